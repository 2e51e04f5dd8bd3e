//! Who asks for which name, and what he hears; and that whatever comes over the wire is survived.

use super::*;
use crate::{ids::PodKey, manifest::types::PodSpec};
use proptest::prelude::*;

fn key(namespace: &str, name: &str) -> PodKey {
    PodKey { namespace: namespace.into(), name: name.into() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn zone() -> Zone {
    let pods = [
        (key("default", "web-box"), vec!["web"], vec!["10.86.0.2", "fd00::2"]),
        (key("default", "db-0-box"), vec!["db-0", "db-0.db"], vec!["10.86.0.3", "fd00::3"]),
        (key("shop", "web-box"), vec!["web"], vec!["10.86.0.4", "fd00::4"]),
        (key("shop", "old-box"), vec![], vec!["10.86.0.5"]),
    ];
    let owned: Vec<(PodKey, Vec<String>, Vec<IpAddr>)> = pods
        .into_iter()
        .map(|(key, names, addresses)| {
            let names = names.into_iter().map(str::to_owned).collect();
            (key, names, addresses.into_iter().map(ip).collect())
        })
        .collect();
    let hosts = owned.iter().map(|(pod, names, addresses)| Host { pod, names, addresses });
    Zone::new("10.86.0.0/16,fd00::/64".parse().unwrap(), hosts)
}

fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

/// Response code, addresses or names of the answer; none if it is to be forwarded.
fn asked(name: &str, kind: u16, from: &str) -> Option<(u8, Vec<String>)> {
    let bytes = question(name, kind);
    match decide(&zone(), "cluster.local", &bytes, ip(from), false) {
        Verdict::Answer(answer) => Some(read(&bytes, &answer)),
        Verdict::Forward(_) => None,
        Verdict::ForwardBeyond(_) => panic!("nobody on the node's network asks"),
        Verdict::Ignore => panic!("ignored"),
    }
}

fn read(query: &[u8], answer: &[u8]) -> (u8, Vec<String>) {
    assert_eq!(&answer[..2], &query[..2]);
    assert_eq!(answer[2] & 0x80, 0x80);
    assert_eq!(&answer[12..query.len()], &query[12..]);
    let mut at = query.len();
    let records = (0..u16::from_be_bytes([answer[6], answer[7]])).map(|_| {
        assert_eq!(&answer[at..at + 2], &[0xc0, 12]);
        let len = usize::from(u16::from_be_bytes([answer[at + 10], answer[at + 11]]));
        let data = &answer[at + 12..at + 12 + len];
        at += 12 + len;
        match len {
            4 => IpAddr::from(<[u8; 4]>::try_from(data).unwrap()).to_string(),
            16 => IpAddr::from(<[u8; 16]>::try_from(data).unwrap()).to_string(),
            _ => String::from_utf8_lossy(data).into_owned(),
        }
    });
    let records = records.collect();
    assert_eq!(at, answer.len());
    (answer[3] & 0xf, records)
}

#[test]
fn names_mean_pods_by_who_asks() {
    const FROM_DEFAULT: &str = "10.86.0.2";
    const FROM_SHOP: &str = "fd00::4";
    for (name, from, address) in [
        ("web", FROM_DEFAULT, "10.86.0.2"),
        ("WEB", FROM_DEFAULT, "10.86.0.2"),
        ("web-box", FROM_DEFAULT, "10.86.0.2"),
        ("web", FROM_SHOP, "10.86.0.4"),
        ("web", "10.86.0.1", "10.86.0.2"),
        ("web.shop", FROM_DEFAULT, "10.86.0.4"),
        ("web.default", FROM_SHOP, "10.86.0.2"),
        ("db-0.db", FROM_DEFAULT, "10.86.0.3"),
        ("db-0.db.default", FROM_SHOP, "10.86.0.3"),
        ("web.shop.svc", FROM_DEFAULT, "10.86.0.4"),
        ("web.shop.svc.cluster.local", FROM_DEFAULT, "10.86.0.4"),
        ("web.svc.cluster.local", FROM_SHOP, "10.86.0.4"),
        ("web.cluster.local", FROM_SHOP, "10.86.0.4"),
        ("db-0.db.default.svc.cluster.local", FROM_SHOP, "10.86.0.3"),
        ("old-box.shop", FROM_DEFAULT, "10.86.0.5"),
    ] {
        assert_eq!(asked(name, kind::A, from), Some((0, vec![address.to_owned()])), "{name} from {from}");
    }
    assert_eq!(asked("web", kind::AAAA, FROM_SHOP), Some((0, vec!["fd00::4".to_owned()])));
    // The name is there, what was asked for is not.
    for (name, kind) in [("old-box.shop", kind::AAAA), ("web", kind::PTR), ("web", 16)] {
        assert_eq!(asked(name, kind, FROM_DEFAULT), Some((0, Vec::new())), "{name}");
    }
    for name in
        ["nobody.svc", "svc", "cluster.local", "example.com.default.svc", "db.default.svc.cluster.local"]
    {
        assert_eq!(asked(name, kind::A, FROM_DEFAULT), Some((3, Vec::new())), "{name}");
    }
    for name in ["example.com", "nobody", "db-0.db.shop", "mysvc", "xcluster.local", ""] {
        assert_eq!(asked(name, kind::A, FROM_DEFAULT), None, "{name}");
        assert_eq!(asked(name, kind::A, "10.86.0.1"), Some((5, Vec::new())), "the node, {name}");
    }
    assert_eq!(asked("web", kind::AXFR, FROM_DEFAULT), Some((5, Vec::new())));
}

#[test]
fn pods_on_the_nodes_network_ask_under_its_address() {
    let zone = zone().asked_by_node(true);
    let ask = |name: &str| decide(&zone, "cluster.local", &question(name, kind::A), ip("10.86.0.1"), false);
    assert!(matches!(ask("web"), Verdict::Answer(answer) if answer[3] & 0xf == 0));
    assert!(matches!(ask("example.com"), Verdict::ForwardBeyond(_)));
    let nobody_else = Zone::new("10.86.0.0/16".parse().unwrap(), std::iter::empty());
    assert!(nobody_else.is_empty() && !nobody_else.asked_by_node(true).is_empty());
}

#[test]
fn of_a_network_without_a_way_out_nobody_outside_is_asked() {
    let asked = |name: &str| {
        let bytes = question(name, kind::A);
        match decide(&zone().closed(true), "", &bytes, ip("10.86.0.2"), false) {
            Verdict::Answer(answer) => read(&bytes, &answer),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(asked("db-0"), (code::SUCCESS, vec!["10.86.0.3".to_owned()]));
    assert_eq!(asked("secret.example.com"), (code::REFUSED, vec![]));
}

#[test]
fn addresses_have_names() {
    let nibbles = format!("3.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
    for (name, says) in [
        ("2.0.86.10.in-addr.arpa", Some((0, vec!["\u{7}web-box\u{7}default\0".to_owned()]))),
        (&nibbles, Some((0, vec!["\u{4}db-0\u{2}db\u{7}default\0".to_owned()]))),
        ("9.0.86.10.in-addr.arpa", Some((3, Vec::new()))),
        ("9.9.9.10.in-addr.arpa", None),
        ("86.10.in-addr.arpa", None),
        ("1.ip6.arpa", None),
    ] {
        assert_eq!(asked(name, kind::PTR, "10.86.0.2"), says, "{name}");
    }
}

#[test]
fn who_is_no_pod_and_what_is_no_query_is_not_answered() {
    let bytes = question("web", kind::A);
    for from in ["10.86.0.99", "192.0.2.1", "127.0.0.1"] {
        assert_eq!(decide(&zone(), "", &bytes, ip(from), false), Verdict::Ignore, "{from}");
    }
    let ask = |bytes: &[u8]| match decide(&zone(), "", bytes, ip("10.86.0.2"), false) {
        Verdict::Answer(answer) => Some((answer.len(), answer[3] & 0xf)),
        _ => None,
    };
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(ask(&bytes[..11]), None);
    assert_eq!(ask(&changed(2, 0x81)), None);
    for (bytes, code) in [
        (bytes[..15].to_vec(), code::MALFORMED),
        (changed(5, 2), code::MALFORMED),
        (changed(12, 0xc0), code::MALFORMED),
        (changed(2, 0x29), code::NOT_IMPLEMENTED),
    ] {
        assert_eq!(ask(&bytes), Some((12, code)), "{bytes:?}");
    }
}

#[test]
fn what_is_too_long_for_a_datagram_says_so() {
    let name = format!("a.{}", vec!["b".repeat(60); 4].join("."));
    let (pod, addresses) = (key("default", "a"), [ip("fd00::7"), ip("fd00::8")]);
    let names = [name.clone()];
    let many = vec![Host { pod: &pod, names: &names, addresses: &addresses }; 20];
    let zone = Zone::new("fd00::/64".parse().unwrap(), many.into_iter());
    let mut bytes = question(&name, kind::AAAA);
    let answered = |bytes: &[u8], stream| match decide(&zone, "", bytes, ip("fd00::7"), stream) {
        Verdict::Answer(answer) => (answer[2] & 2 != 0, answer[7], answer.len()),
        other => panic!("{other:?}"),
    };
    let (cut, count, len) = answered(&bytes, false);
    assert!(cut && count > 0 && len <= 512, "{count} {len}");
    assert!(matches!(answered(&bytes, true), (false, 32, _)));
    // With EDNS there is more room, and the answer has it too.
    bytes[11] = 1;
    bytes.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    let (cut, _, len) = answered(&bytes, false);
    assert!(!cut && (513..=4096).contains(&len), "{len}");
    let Verdict::Answer(answer) = decide(&zone, "", &bytes, ip("fd00::7"), false) else { panic!() };
    assert_eq!((&answer[10..12], &answer[len - 11..len - 6]), (&[0, 1][..], &[0, 0, 41, 4, 208][..]));
}

#[test]
fn an_answer_belongs_to_its_question() {
    let bytes = question("example.com", kind::A);
    let Verdict::Forward(query) = decide(&zone(), "", &bytes, ip("10.86.0.2"), false) else { panic!() };
    let mut answer = query.fail(code::FAILURE);
    assert_eq!(answer[3] & 0xf, code::FAILURE);
    assert!(is_answer(&answer, 0x1234, &query) && !is_answer(&answer, 0x1235, &query));
    set_id(&mut answer, [0x56, 0x78]);
    assert!(is_answer(&answer, 0x5678, &query));
    assert!(!is_answer(&bytes, 0x1234, &query));
    answer[13] = b'E';
    assert!(is_answer(&answer, 0x5678, &query));
    answer[13] = b'f';
    assert!(!is_answer(&answer, 0x5678, &query));
    assert!(query.truncated()[2] & 2 != 0);
}

#[test]
fn a_pod_is_called_as_its_manifest_says() {
    let spec =
        |subdomain: Option<&str>| PodSpec { subdomain: subdomain.map(str::to_owned), ..PodSpec::default() };
    for (name, subdomain, names) in [
        ("web-box", None, vec!["web"]),
        ("db-box", Some("s"), vec!["db", "db-box.s"]),
        ("box", Some(""), vec![]),
        ("-box", None, vec![]),
    ] {
        assert_eq!(names_of(&key("default", name), &spec(subdomain), name, "box"), names, "{name}");
    }
}

#[test]
fn the_nodes_own_servers_are_asked_but_never_ourselves() {
    let text = "# nameserver 1.1.1.1\nsearch x\nnameserver 10.86.0.1\nnameserver fe80::1%eth0\nnameserver ::ffff:10.0.0.1 # x\n\
        nameserver 10.0.0.2\nnameserver\nnameserver name\n";
    let upstream = |address: &str, interface: Option<&str>| Upstream {
        address: ip(address),
        interface: interface.map(str::to_owned),
    };
    let expected = [upstream("fe80::1", Some("eth0")), upstream("10.0.0.1", None)];
    assert_eq!(upstreams(text, &[ip("10.86.0.1")]), expected);
    assert_eq!(upstreams("", &[]), []);
}

proptest! {
    /// Whatever comes: an answer is within what the other one takes, is a response, and has its number.
    #[test]
    fn rubbish_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600), stream: bool) {
        if let Verdict::Answer(answer) = decide(&zone(), "cluster.local", &bytes, ip("10.86.0.2"), stream) {
            prop_assert_eq!(&answer[..2], &bytes[..2]);
            prop_assert!(answer[2] & 0x80 != 0);
            prop_assert!(answer.len() <= MESSAGE_LEN_MAX_BYTES || stream);
        }
    }

    /// As above, with a head that leads further in.
    #[test]
    fn a_broken_question_is_survived(mut bytes in proptest::collection::vec(any::<u8>(), 12..600), at in 12_usize..40) {
        bytes[2..12].copy_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        for (i, byte) in bytes.iter_mut().enumerate().skip(12).step_by(8) {
            *byte = if i > at { 0 } else { 7 };
        }
        if let Verdict::Answer(answer) = decide(&zone(), "", &bytes, ip("10.86.0.2"), false) {
            prop_assert!(answer.len() <= MESSAGE_LEN_MAX_BYTES);
        }
    }

    /// Every name that can be is read as it was written.
    #[test]
    fn names_are_read_as_written(labels in proptest::collection::vec("[a-z0-9_-]{1,40}", 1..6)) {
        let name = labels.join(".");
        let bytes = question(&name, kind::A);
        let query = Query::parse(&bytes, false).unwrap();
        prop_assert_eq!((query.name, query.kind, query.limit), (name, kind::A, 512));
    }
}
