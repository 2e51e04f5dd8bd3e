//! The client against a server on the loopback that says, to the byte, what it is told to say; by TLS too, with
//! certificates that openssl makes.

use super::*;
use crate::tls::pem;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

/// Seconds within which a server that answers does; only a failing test waits for it.
const PATIENCE_S: u64 = 20;

/// Of each path an answer, verbatim.
type Says = Mutex<Vec<(&'static str, Vec<u8>)>>;

struct Server {
    port: u16,
    /// Of a path that is not there nothing is ever said.
    says: Arc<Says>,
    /// Requests, all lines of each.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, says: Arc::default(), asked: Arc::default() };
        let (says, asked, tls) = (Arc::clone(&server.says), Arc::clone(&server.asked), tls.map(Arc::new));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (says, asked, tls) = (Arc::clone(&says), Arc::clone(&asked), tls.clone());
                thread::spawn(move || match tls {
                    None => answer(stream, &says, &asked),
                    Some(config) => {
                        answer(
                            StreamOwned::new(ServerConnection::new(config).unwrap(), stream),
                            &says,
                            &asked,
                        );
                    }
                });
            }
        });
        server
    }

    fn say(&self, path: &'static str, answer: impl Into<Vec<u8>>) {
        self.says.lock().unwrap().insert(0, (path, answer.into()));
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(mut stream: impl Read + Write, says: &Says, asked: &Mutex<Vec<String>>) {
    let mut request = String::new();
    let mut reader = BufReader::new(&mut stream);
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
    }
    let path = request.split(' ').nth(1).unwrap().to_owned();
    asked.lock().unwrap().push(request);
    let said = says.lock().unwrap().iter().find(|(of, _)| *of == path).map(|(_, said)| said.clone());
    match said {
        Some(said) => drop(stream.write_all(&said).and_then(|()| stream.flush())),
        // Until the client has had enough.
        None => drop(stream.read(&mut [0])),
    }
}

fn settings(url: String) -> Settings {
    let patience = Duration::from_secs(PATIENCE_S);
    Settings {
        url,
        headers: Vec::new(),
        timeout: patience,
        connect_timeout: patience,
        ca_file: None,
        client: None,
        pins: Vec::new(),
    }
}

fn fetch(settings: Settings, known: &Validators) -> Result<Fetched, String> {
    let client = Client::new(settings, SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())?;
    client.fetch(known).map_err(|error| error.to_string())
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn body(text: &str) -> Result<Fetched, String> {
    Ok(Fetched::Body { bytes: text.into(), validators: Validators::default() })
}

#[test]
fn whole_answers_are_taken() {
    let server = Server::new(None);
    let packed = gzip(b"kind: Pod");
    for answer in [
        ok("Content-Type: application/yaml\r\n", b"kind: Pod"),
        ok("", b"kind: Pod"),
        ok("Content-Encoding: gzip\r\n", &packed),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nkind\r\n5\r\n: Pod\r\n0\r\n\r\n".to_vec(),
    ] {
        server.say("/", answer);
        assert_eq!(
            fetch(settings(format!("http://127.0.0.1:{}", server.port)), &Validators::default()),
            body("kind: Pod")
        );
    }
}

#[test]
fn anything_else_is_an_error_that_says_what() {
    let server = Server::new(None);
    let packed = gzip(b"kind: Pod");
    let bomb = gzip(&vec![b' '; BODY_MAX_BYTES + 1]);
    for (answer, why) in [
        (b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n".to_vec(), "status 404"),
        (b"HTTP/1.1 500 x\r\nContent-Length: 2\r\n\r\n{}".to_vec(), "status 500"),
        (b"HTTP/1.1 204 x\r\n\r\n".to_vec(), "status 204"),
        (b"HTTP/1.1 206 x\r\nContent-Length: 2\r\n\r\n{}".to_vec(), "status 206"),
        (b"HTTP/1.1 304 x\r\n\r\n".to_vec(), "status 304"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nkind: Pod".to_vec(), "cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nkind\r\n5\r\n: P".to_vec(), "cut"),
        (b"HTTP/1.1 200 OK\r\n\r\nkind: Pod".to_vec(), "how long"),
        (ok("Content-Encoding: gzip\r\n", &packed[..packed.len() - 4]), "cut"),
        (ok("Content-Encoding: br\r\n", b"x"), "coding \"br\""),
        (ok("Content-Type: text/html; charset=utf-8\r\n", b"<p>Sign in"), "neither YAML nor JSON"),
        (ok("", &vec![b' '; BODY_MAX_BYTES + 1]), "the limit"),
        (ok("Content-Encoding: gzip\r\n", &bomb), "the limit"),
        (b"HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: /\r\n\r\n".to_vec(), "redirects in a row"),
        (b"HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n".to_vec(), "no address"),
        (
            b"HTTP/1.1 301 x\r\nContent-Length: 0\r\nLocation: https://a.test/\r\n\r\n".to_vec(),
            "not followed",
        ),
        (b"nonsense\r\n\r\n".to_vec(), ""),
        (Vec::new(), ""),
    ] {
        server.say("/", answer.clone());
        let url = format!("http://127.0.0.1:{}/", server.port);
        let error = fetch(settings(url.clone()), &Validators::default()).unwrap_err();
        assert!(
            error.starts_with(&url) && error.contains(why),
            "{:?}: {error}",
            String::from_utf8_lossy(&answer[..answer.len().min(80)])
        );
    }
}

#[test]
fn a_server_that_says_nothing_costs_the_time_out() {
    let server = Server::new(None);
    let short = Settings {
        timeout: Duration::from_millis(50),
        ..settings(format!("http://127.0.0.1:{}/", server.port))
    };
    let error = fetch(short, &Validators::default()).unwrap_err();
    assert!(error.contains("timeout"), "{error}");
}

#[test]
fn what_is_known_is_asked_after() {
    let server = Server::new(None);
    server.say("/", ok("ETag: \"a\"\r\nLast-Modified: Thu\r\n", b"x"));
    let url = format!("http://127.0.0.1:{}/", server.port);
    let Ok(Fetched::Body { validators, .. }) = fetch(settings(url.clone()), &Validators::default()) else {
        panic!()
    };
    server.say("/", "HTTP/1.1 304 x\r\n\r\n");
    assert_eq!(fetch(settings(url), &validators), Ok(Fetched::Unchanged));
    let asked = server.asked();
    assert!(!asked[0].to_lowercase().contains("if-none-match"));
    let second = asked[1].to_lowercase();
    assert!(
        second.contains("if-none-match: \"a\"\r\n") && second.contains("if-modified-since: thu\r\n"),
        "{second}"
    );
}

#[test]
fn redirects_are_followed_and_the_owners_headers_stay_at_home() {
    let (server, other) = (Server::new(None), Server::new(None));
    server.say("/", "HTTP/1.1 307 x\r\nContent-Length: 0\r\nLocation: next\r\n\r\n");
    let away = format!(
        "HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:{}/pods\r\n\r\n",
        other.port
    );
    server.say("/next", away);
    other.say("/pods", ok("", b"x"));
    let headers = vec![("X-Token".to_owned(), "secret".to_owned())];
    let with = Settings { headers, ..settings(format!("http://127.0.0.1:{}/", server.port)) };
    assert!(!format!("{with:?}").contains("secret"));
    assert_eq!(fetch(with, &Validators::default()), body("x"));
    let at_home = server.asked();
    assert_eq!(at_home.len(), 2);
    assert!(at_home.iter().all(|request| request.to_lowercase().contains("x-token: secret")));
    assert!(!other.asked()[0].to_lowercase().contains("x-token"));
}

/// Runs a shell line in `dir`; what it says.
fn sh(dir: &Path, line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An authority, a server's certificate for localhost valid for two days, a client's, and their keys.
fn certificates(dir: &Path) {
    sh(
        dir,
        "key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'; \
         leaf='-CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE'; \
         openssl req -x509 $key -subj /CN=own -keyout ca.key -out ca.pem; \
         openssl req -x509 $key -subj /CN=other -keyout other.key -out other.pem; \
         openssl req -x509 $key -subj /CN=localhost $leaf -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem; \
         openssl req -x509 $key -subj /CN=box $leaf -addext subjectAltName=DNS:box -keyout box.key -out box.pem",
    );
}

fn serve(dir: &Path, clients: Option<Arc<dyn ClientCertVerifier>>) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (chain, key) = pem::identity(&dir.join("cert.pem"), &dir.join("key.pem")).unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients),
    };
    let server = Server::new(Some(builder.with_single_cert(chain, key).unwrap()));
    server.say("/", ok("", b"x"));
    server
}

#[test]
fn servers_are_known_by_authority_pin_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    certificates(dir);
    let server = serve(dir, None);
    let pin = sh(
        dir,
        "openssl x509 -in cert.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64",
    );
    let pin: Pin = format!("sha256//{}", pin.trim()).parse().unwrap();
    let url = format!("https://localhost:{}/", server.port);
    let trusting =
        |ca: &str, pins: Vec<Pin>| Settings { ca_file: Some(dir.join(ca)), pins, ..settings(url.clone()) };
    let as_of = |settings: Settings, days: u64| {
        let floor = SystemTime::now() + Duration::from_secs(days * 24 * 3600);
        Client::new(settings, floor).unwrap().fetch(&Validators::default()).map_err(|error| error.to_string())
    };
    assert_eq!(as_of(trusting("ca.pem", Vec::new()), 0), body("x"));
    assert_eq!(as_of(trusting("ca.pem", vec![Pin([0; 32]), pin]), 0), body("x"));
    for (settings, days, why) in [
        (trusting("ca.pem", vec![Pin([0; 32])]), 0, "pinned"),
        (trusting("other.pem", vec![pin]), 0, "UnknownIssuer"),
        (trusting("ca.pem", Vec::new()), 3, "expired"),
        (
            Settings { url: url.replace("localhost", "127.0.0.1"), ..trusting("ca.pem", Vec::new()) },
            0,
            "not valid for name",
        ),
    ] {
        let error = as_of(settings, days).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn a_server_may_want_to_know_the_box() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    certificates(dir);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(pem::certificates(&dir.join("ca.pem")).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = serve(
        dir,
        Some(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap()),
    );
    let url = format!("https://localhost:{}/", server.port);
    let with = |client| Settings { ca_file: Some(dir.join("ca.pem")), client, ..settings(url.clone()) };
    fetch(with(None), &Validators::default()).unwrap_err();
    assert_eq!(
        fetch(with(Some((dir.join("box.pem"), dir.join("box.key")))), &Validators::default()),
        body("x")
    );
}

#[test]
fn files_that_do_not_fit_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    certificates(dir);
    let with = |ca: &str, client| Settings {
        ca_file: Some(dir.join(ca)),
        client,
        ..settings("https://a.test/".into())
    };
    for (settings, why) in [
        (with("none.pem", None), "none.pem"),
        (with("key.pem", None), "no certificate"),
        (with("ca.pem", Some((dir.join("box.pem"), dir.join("key.pem")))), "does not belong"),
        (with("ca.pem", Some((dir.join("box.pem"), dir.join("box.pem")))), "no key"),
    ] {
        let error = Client::new(settings, SystemTime::UNIX_EPOCH).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_server_that_is_its_own_authority_is_known_by_its_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // As people make them: this one calls itself an authority.
    let own = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
               -addext subjectAltName=DNS:localhost";
    sh(dir, &format!("{own} -keyout key.pem -out cert.pem; {own} -keyout other.key -out other.pem"));
    let server = serve(dir, None);
    let url = format!("https://localhost:{}/", server.port);
    let as_of = |url: &str, ca: &str, days: u64| {
        let floor = SystemTime::now() + Duration::from_secs(days * 24 * 3600);
        let settings = Settings { ca_file: Some(dir.join(ca)), ..settings(url.to_owned()) };
        Client::new(settings, floor).unwrap().fetch(&Validators::default()).map_err(|error| error.to_string())
    };
    assert_eq!(as_of(&url, "cert.pem", 0), body("x"));
    let elsewhere = url.replace("localhost", "127.0.0.1");
    for (url, ca, days, why) in [
        (&url, "other.pem", 0, "CaUsedAsEndEntity"),
        (&url, "cert.pem", 3, "expired"),
        (&elsewhere, "cert.pem", 0, "not valid for name"),
    ] {
        let error = as_of(url, ca, days).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
}
