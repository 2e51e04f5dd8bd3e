//! Servers on the loopback: that answer, that fail, that are not there.

use super::*;
use berth_core::{
    dns::{Host, Verdict, Zone, decide},
    ids::PodKey,
};
use std::net::IpAddr;

fn query(stream: bool) -> Query {
    let pod: IpAddr = "10.86.0.2".parse().unwrap();
    let key = PodKey { namespace: "default".into(), name: "web".into() };
    let host = Host { pod: &key, names: &[], addresses: &[pod] };
    let zone = Zone::new("10.86.0.0/16".parse().unwrap(), [host].into_iter());
    let bytes = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";
    match decide(&zone, "", bytes, pod, stream) {
        Verdict::Forward(query) => query,
        other => panic!("{other:?}"),
    }
}

/// Answers one question with each of these: what to put behind the response's head and question, and the code.
async fn server(answers: Vec<(u8, Vec<u8>)>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 512];
        let (len, from) = socket.recv_from(&mut bytes).await.unwrap();
        for (code, more) in answers {
            let mut answer = bytes[..len].to_vec();
            (answer[2], answer[3]) = (0x81, 0x80 | code);
            // Nobody asked this one.
            let mut other = answer.clone();
            other[0] ^= 1;
            socket.send_to(&other, from).await.unwrap();
            answer.extend(more);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

async fn nobody() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn the_first_server_that_knows_is_believed() {
    let refused = nobody().await;
    let failing = server(vec![(code::FAILURE, Vec::new())]).await;
    let knowing = server(vec![(code::SUCCESS, vec![7])]).await;
    let answer = ask(&query(false), &[refused, failing, knowing], Way::Datagram).await;
    assert_eq!((&answer[..2], answer[3] & 0xf, answer.last()), (&[0x12, 0x34][..], 0, Some(&7)));
    let none = server(vec![(code::NO_NAME, Vec::new())]).await;
    assert_eq!(ask(&query(false), &[none], Way::Datagram).await[3] & 0xf, code::NO_NAME);
}

#[tokio::test]
async fn without_a_server_that_answers_it_fails() {
    let refused = nobody().await;
    for (servers, way) in
        [(vec![], Way::Datagram), (vec![refused], Way::Datagram), (vec![refused], Way::Stream)]
    {
        let answer = ask(&query(false), &servers, way).await;
        assert_eq!((&answer[..2], answer[3] & 0xf), (&[0x12, 0x34][..], code::FAILURE));
    }
}

#[tokio::test]
async fn what_is_too_long_is_asked_for_over_tcp() {
    for len in [500, MESSAGE_LEN_MAX_BYTES + 100] {
        let long = server(vec![(code::SUCCESS, vec![0; len])]).await;
        let answer = ask(&query(false), &[long], Way::Datagram).await;
        assert!(answer[2] & 2 != 0 && answer.len() < 100, "{len}");
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes[2] |= 0x80;
        bytes.extend(vec![0; 9_000]);
        write_message(&mut stream, &bytes).await.unwrap();
    });
    let answer = ask(&query(true), &[address], Way::Stream).await;
    assert_eq!((&answer[..2], answer.len()), (&[0x12, 0x34][..], query(true).bytes.len() + 9_000));
}
