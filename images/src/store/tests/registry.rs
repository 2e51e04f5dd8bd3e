//! A registry on the loopback that serves a layout and can be told to misbehave. Plain HTTP, a connection for each
//! request.

use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

/// What it does wrong, and what it was asked.
#[derive(Default)]
pub(super) struct Manners {
    /// Wanted in `Authorization`; a token of this text is given to user `me` with password `secret`.
    pub(super) token: Option<&'static str>,
    /// Blobs are cut after so many bytes of each answer.
    pub(super) cut: Option<usize>,
    /// One byte of each blob is wrong.
    pub(super) wrong: bool,
    /// Every answer.
    pub(super) status: Option<u16>,
    /// Blobs lie somewhere else.
    pub(super) redirects: bool,
    /// Happens when the second blob is asked for: the first is the config.
    pub(super) meanwhile: Option<Box<dyn FnOnce() + Send>>,
    /// Requests, as `GET /v2/…` with ` from N` for a range.
    pub(super) asked: Vec<String>,
}

pub(super) struct Registry {
    pub(super) port: u16,
    pub(super) manners: Arc<Mutex<Manners>>,
}

impl Registry {
    /// Serves the layout at `dir` as any repository; every tag is its first image.
    pub(super) fn serve(dir: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let manners = Arc::new(Mutex::new(Manners::default()));
        let shared = Arc::clone(&manners);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (dir, manners) = (dir.clone(), Arc::clone(&shared));
                thread::spawn(move || answer(stream, &dir, port, &manners));
            }
        });
        Self { port, manners }
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.manners.lock().unwrap());
    }

    /// What it was asked since the last time.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.manners.lock().unwrap().asked)
    }
}

struct Request {
    method: String,
    path: String,
    from: usize,
    authorization: String,
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
    let mut next = || String::from_utf8(lines.next()?).ok().map(|line| line.trim_end().to_owned());
    let first = next()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request { method, path, from: 0, authorization: String::new() };
    loop {
        let line = next()?;
        let Some((key, value)) = line.split_once(": ") else { return Some(request) };
        match key.to_ascii_lowercase().as_str() {
            "range" => {
                request.from = value.trim_start_matches("bytes=").trim_end_matches('-').parse().ok()?
            }
            "authorization" => value.clone_into(&mut request.authorization),
            _ => {}
        }
    }
}

fn answer(mut stream: TcpStream, dir: &std::path::Path, port: u16, manners: &Mutex<Manners>) {
    // Not HTTP: somebody tries TLS.
    let Some(request) = read(&stream) else { return };
    let mut manners = manners.lock().unwrap();
    let from = if request.from > 0 { format!(" from {}", request.from) } else { String::new() };
    manners.asked.push(format!("{} {}{from}", request.method, request.path));
    let mut say = |status: u16, headers: &str, body: &[u8], stated: usize| {
        let head =
            format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {stated}\r\n{headers}\r\n");
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    };
    if let Some(status) = manners.status {
        return say(status, "", b"", 0);
    }
    if request.path.starts_with("/token") {
        // me:secret
        let known = request.authorization == "Basic bWU6c2VjcmV0";
        let body = format!("{{\"token\":\"{}\"}}", manners.token.unwrap_or_default());
        return if known { say(200, "", body.as_bytes(), body.len()) } else { say(401, "", b"", 0) };
    }
    if !request.path.starts_with("/cdn/")
        && manners.token.is_some_and(|token| request.authorization != format!("Bearer {token}"))
    {
        let header =
            format!("WWW-Authenticate: Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"s\"\r\n");
        return say(401, &header, b"", 0);
    }
    let name = request.path.rsplit('/').next().unwrap();
    let is_blob = request.path.contains("/blobs/");
    if is_blob && manners.redirects && !request.path.starts_with("/cdn/") {
        return say(307, &format!("Location: /cdn/blobs/{name}\r\n"), b"", 0);
    }
    let digest = match name.strip_prefix("sha256:") {
        Some(hex) => hex.to_owned(),
        None if name.starts_with("sha256-") => return say(404, "", b"", 0),
        None => {
            let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap();
            index["manifests"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned()
        }
    };
    let Ok(mut bytes) = fs::read(dir.join("blobs/sha256").join(&digest)) else { return say(404, "", b"", 0) };
    let mut headers = format!("Docker-Content-Digest: sha256:{digest}\r\n");
    if !is_blob {
        let parsed: Value = serde_json::from_slice(&bytes).unwrap();
        let kind = parsed["mediaType"].as_str().unwrap_or("application/vnd.oci.image.manifest.v1+json");
        headers.push_str(&format!("Content-Type: {kind}; charset=utf-8\r\n"));
        let stated = bytes.len();
        return say(200, &headers, if request.method == "HEAD" { b"" } else { &bytes }, stated);
    }
    if manners.asked.iter().filter(|line| line.contains("/blobs/")).count() == 2
        && let Some(happens) = manners.meanwhile.take()
    {
        happens();
    }
    if manners.wrong {
        *bytes.last_mut().unwrap() ^= 1;
    }
    let status = if request.from > 0 { 206 } else { 200 };
    let rest = &bytes[request.from.min(bytes.len())..];
    let part = &rest[..manners.cut.unwrap_or(rest.len()).min(rest.len())];
    say(status, &headers, part, rest.len());
}
