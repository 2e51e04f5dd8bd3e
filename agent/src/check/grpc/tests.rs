//! Against servers that say what they are told to.

use super::*;
use berth_core::check::Verdict;
use tokio::net::TcpListener;

/// A server that takes one call and says this; its port.
async fn server(says: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"svc") {
            stream.read_buf(&mut heard).await.unwrap();
        }
        stream.write_all(&says).await.unwrap();
        // The client hangs up.
        while stream.read_buf(&mut heard).await.is_ok_and(|n| n > 0) {}
    });
    port
}

#[tokio::test]
async fn calls_are_judged_by_their_reply() {
    let settings = || frame::encode(4, 0, 0, &[0, 3, 0, 0, 0, 100]);
    let headers = |flags| frame::encode(1, flags, 1, &[0x88]);
    let data = |status| frame::encode(0, 0, 1, &[0, 0, 0, 0, 2, 8, status]);
    let ping = || frame::encode(6, 0, 0, b"12345678");
    for (frames, verdict, output) in [
        (vec![settings(), headers(4), data(1)], Verdict::Success, ""),
        (vec![settings(), ping(), headers(4), data(1), headers(5)], Verdict::Success, ""),
        (vec![headers(4), data(2)], Verdict::Failure, "service unhealthy (responded with \"NOT_SERVING\")"),
        (vec![settings(), headers(5)], Verdict::Failure, "or does not know the service"),
        (vec![frame::encode(3, 0, 1, &[0, 0, 0, 2])], Verdict::Failure, "the server has reset the stream"),
        (vec![frame::encode(7, 0, 0, &[0; 8])], Verdict::Failure, "the server goes away"),
        (vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()], Verdict::Failure, "this is no gRPC server"),
        (vec![settings(); FRAMES_MAX + 1], Verdict::Failure, "no reply in 64 frames"),
    ] {
        let port = server(frames.concat()).await;
        let answer = ask(&Network::default(), "127.0.0.1", port, "svc").await;
        assert_eq!(answer.verdict, verdict, "{frames:?}: {answer:?}");
        assert!(answer.output.ends_with(output), "{frames:?}: {answer:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let answer = ask(&Network::default(), "127.0.0.1", port, "").await;
    assert_eq!(answer.verdict, Verdict::Failure);
    assert!(answer.output.starts_with("error: failed to connect service at"), "{answer:?}");
}
