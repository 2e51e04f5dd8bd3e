//! Against servers that say what they are told to.

use super::*;
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use std::{
    io::{Read as _, Write as _},
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// Serves the answers one after another, one for each connection; its port.
async fn server(answers: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let answer = answer.replace("PORT", &port.to_string());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

#[tokio::test]
async fn answers_are_judged_as_kubelet_judges_them() {
    use Verdict::{Failure, Success, Warning};
    const LOOP: [&str; 10] = ["HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"; 10];
    for (answers, verdict, output) in [
        (&["HTTP/1.1 200 OK\r\n\r\nhello"][..], Success, ""),
        (&["HTTP/1.1 204 No Content\r\n\r\n"], Success, ""),
        (&["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"], Success, ""),
        (&["HTTP/1.1 400 No\r\n\r\n"], Failure, "HTTP probe failed with statuscode: 400"),
        (
            &["HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"],
            Failure,
            "HTTP probe failed with statuscode: 503",
        ),
        (&["HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"], Success, ""),
        (
            &["HTTP/1.1 301 x\r\nLocation: http://127.0.0.1:PORT/b\r\n\r\n", "HTTP/1.1 500 x\r\n\r\n"],
            Failure,
            "HTTP probe failed with statuscode: 500",
        ),
        (
            &["HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\nbye"],
            Warning,
            "Probe terminated redirects, Response body: bye",
        ),
        (&["HTTP/1.1 304 x\r\n\r\n"], Warning, "Probe terminated redirects, Response body: "),
        (&LOOP, Failure, "stopped after 10 redirects"),
        (&["SSH-2.0-OpenSSH\r\n"], Failure, "malformed HTTP response \"SSH-2.0-OpenSSH\""),
        (&["HTTP/1.1 200 OK\r\n"], Failure, "EOF"),
    ] {
        let port = server(answers).await;
        let answer = get(&Network::default(), Url::new(false, "127.0.0.1", port, "/"), &[], false).await;
        assert_eq!(answer.verdict, verdict, "{answers:?}: {answer:?}");
        assert!(answer.output.ends_with(output), "{answers:?}: {answer:?}");
    }
}

#[tokio::test]
async fn to_a_hook_every_answer_is_a_good_one_but_none_is_not() {
    let port = server(&["HTTP/1.1 500 No\r\n\r\n"]).await;
    let url = Url::new(false, "127.0.0.1", port, "/");
    let network = Network::default();
    let ask = || get(&network, url.clone(), &[], true);
    assert_eq!(ask().await.verdict, Verdict::Success);
    let answer = ask().await;
    assert_eq!(answer.verdict, Verdict::Failure);
    assert!(answer.output.ends_with("connect: connection refused"), "{answer:?}");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    let (_, body) = once(&Network::default(), &Url::new(false, "127.0.0.1", port, "/"), &[]).await.unwrap();
    assert_eq!(body.len(), BODY_LEN_MAX_BYTES);
}

/// A server of one answer under TLS, with a certificate of its own that is for another name and for one day only.
fn secure(answer: &'static str) -> u16 {
    let pem = include_bytes!("../testdata/server.pem");
    let (chain, key) =
        (CertificateDer::from_pem_slice(pem).unwrap(), PrivateKeyDer::from_pem_slice(pem).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        let session = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(session, tcp);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut piece = [0; 512];
            let n = stream.read(&mut piece).unwrap();
            request.extend_from_slice(&piece[..n]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
    });
    port
}

#[tokio::test]
async fn over_tls_any_certificate_will_do() {
    for (answer, verdict) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Verdict::Success),
        // The end comes without a word.
        ("HTTP/1.1 200 OK\r\n\r\nhello", Verdict::Success),
        ("HTTP/1.1 500 No\r\n\r\n", Verdict::Failure),
    ] {
        let url = Url::new(true, "127.0.0.1", secure(answer), "/");
        let answered = get(&Network::default(), url, &[], false).await;
        assert_eq!(answered.verdict, verdict, "{answer:?}: {answered:?}");
    }
}

#[tokio::test]
async fn a_plain_server_is_found_out_and_a_hook_asks_it_again_without_tls() {
    const BAD: &str = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.";
    for (hook, verdict) in [(false, Verdict::Failure), (true, Verdict::Success)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 64]).await;
                let _ = stream.write_all(BAD.as_bytes()).await;
            }
        });
        let answered = get(&Network::default(), Url::new(true, "127.0.0.1", port, "/"), &[], hook).await;
        assert_eq!(answered.verdict, verdict, "{answered:?}");
        assert!(
            hook || answered.output.ends_with("server gave HTTP response to HTTPS client"),
            "{answered:?}"
        );
    }
}
