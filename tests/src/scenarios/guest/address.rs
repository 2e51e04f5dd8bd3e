//! The address that the machine's configuration names for manifests (`staticPodURL`), served on the machine itself.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Where it is: `http://127.0.0.1:8088/`.
const PORT: u16 = 8088;
/// Only who shows this header is told anything.
const HEADER: &str = "x-box: seven";
/// No pods, said in the one way that counts.
pub(super) const NO_PODS: &str = "{apiVersion: v1, kind: PodList, items: []}";

/// What it says; none while it fails.
#[derive(Debug, Clone)]
pub(super) struct Address(Arc<Mutex<Option<String>>>);

impl Address {
    /// Serves it from now on.
    pub(super) fn serve() -> Result<Self, String> {
        let told = |error: io::Error| format!("port {PORT}: {error}");
        let listener = TcpListener::bind(("127.0.0.1", PORT)).map_err(told)?;
        let address = Self(Arc::new(Mutex::new(Some(NO_PODS.to_owned()))));
        let served = address.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who goes away is not to be told anything.
                let _ = served.answer(&stream);
            }
        });
        Ok(address)
    }

    /// From now on, or that it fails.
    pub(super) fn says(&self, text: Option<&str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.map(str::to_owned);
    }

    fn answer(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut shown = false;
        for line in BufReader::new(stream).lines() {
            let line = line?;
            shown |= line.eq_ignore_ascii_case(HEADER);
            if line.is_empty() {
                break;
            }
        }
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (status, text) = match text {
            _ if !shown => ("403 Forbidden", String::new()),
            None => ("503 Service Unavailable", String::new()),
            Some(text) => ("200 OK", text),
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
    }
}
