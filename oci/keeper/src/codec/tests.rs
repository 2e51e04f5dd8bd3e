//! Round trips of every message, arbitrary bytes, and golden bytes that pin the format.

use super::*;
use crate::protocol::*;
use proptest::prelude::*;

fn text<const N: usize>() -> impl Strategy<Value = heapless::String<N>> {
    proptest::collection::vec(any::<char>(), 0..=N / 4)
        .prop_map(|chars| heapless::String::try_from(chars.into_iter().collect::<String>().as_str()).unwrap())
}

fn class() -> impl Strategy<Value = FailClass> {
    (1_u8..=9).prop_map(|tag| FailClass::decode(&[tag]).unwrap())
}

fn exit() -> impl Strategy<Value = ExitStatus> {
    any::<(i32, i32, u64)>().prop_map(|(code, signal, at_ns)| ExitStatus { code, signal, at_ns })
}

fn state() -> impl Strategy<Value = SlotState> {
    prop_oneof![
        Just(SlotState::Creating),
        any::<(i32, u64)>().prop_map(|(pid, started_ns)| SlotState::Running { pid, started_ns }),
        (any::<u64>(), exit()).prop_map(|(started_ns, exit)| SlotState::Exited { started_ns, exit }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        any::<u16>().prop_map(|version| Request::Hello { version }),
        (any::<(u64, u32, u32, u32)>(), text(), text(), text()).prop_map(|(n, id, bundle, cgroup)| {
            Request::Create { op: n.0, id, bundle, cgroup, deadline_ms: n.1, log_uid: n.2, log_gid: n.3 }
        }),
        (any::<(u64, u32, bool)>(), text(), text(), text()).prop_map(|(n, session, container, bundle)| {
            Request::Exec { op: n.0, session, container, bundle, deadline_ms: n.1, tty: n.2 }
        }),
        (any::<(u64, i32)>(), text()).prop_map(|((op, signal), id)| Request::Signal { op, id, signal }),
        (any::<u64>(), text()).prop_map(|(op, id)| Request::Release { op, id }),
        (any::<u64>(), text()).prop_map(|(op, path)| Request::Upgrade { op, path }),
        Just(Request::Ready),
        Just(Request::Alive),
    ]
}

fn notice() -> impl Strategy<Value = Notice> {
    prop_oneof![
        any::<(u16, i32, u16)>().prop_map(|(version, pid, slots)| Notice::Welcome { version, pid, slots }),
        (text(), state()).prop_map(|(id, state)| Notice::Slot { id, state }),
        Just(Notice::ListEnd),
        Just(Notice::Ping),
        (any::<(u64, i32, u64)>(), text()).prop_map(|((op, pid, at_ns), id)| Notice::Started {
            op,
            id,
            pid,
            at_ns
        }),
        (any::<u64>(), text(), class(), text()).prop_map(|(op, id, class, text)| Notice::Failed {
            op,
            id,
            class,
            text
        }),
        any::<u64>().prop_map(|op| Notice::Done { op }),
        (text(), exit()).prop_map(|(id, exit)| Notice::Exited { id, exit }),
    ]
}

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![
        (any::<(u64, u32)>(), text(), text(), text()).prop_map(
            |((ticket, deadline_ms), id, bundle, cgroup)| Work::Create {
                ticket,
                id,
                bundle,
                cgroup,
                deadline_ms
            }
        ),
        (any::<(u64, u32, bool)>(), text(), text(), text()).prop_map(|(n, session, container, bundle)| {
            Work::Exec { ticket: n.0, session, container, bundle, deadline_ms: n.1, tty: n.2 }
        }),
    ]
}

fn report() -> impl Strategy<Value = WorkReport> {
    prop_oneof![
        Just(WorkReport::Ready),
        any::<(u64, i32)>().prop_map(|(ticket, pid)| WorkReport::Started { ticket, pid }),
        (any::<u64>(), class(), text()).prop_map(|(ticket, class, text)| WorkReport::Failed {
            ticket,
            class,
            text
        }),
        (any::<u64>(), class()).prop_map(|(ticket, class)| WorkReport::Lost { ticket, class }),
    ]
}

fn round_trip<M: Message + PartialEq + std::fmt::Debug>(message: &M) {
    let bytes = message.encode();
    assert!(!bytes.is_empty());
    assert_eq!(M::decode(&bytes).as_ref(), Ok(message));
    for cut in 0..bytes.len() {
        assert!(M::decode(&bytes[..cut]).is_err(), "a prefix of {cut} bytes was taken for a message");
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert_eq!(M::decode(&longer), Err(DecodeError::Trailing));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn requests_round_trip(message in request()) { round_trip(&message); }

    #[test]
    fn notices_round_trip(message in notice()) { round_trip(&message); }

    #[test]
    fn works_round_trip(message in work()) { round_trip(&message); }

    #[test]
    fn reports_round_trip(message in report()) { round_trip(&message); }

    /// No bytes panic, and what is understood encodes to the same bytes again.
    #[test]
    fn arbitrary_bytes(tag in 0_u8..9, rest in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = vec![tag];
        bytes.extend(rest);
        if let Ok(message) = Request::decode(&bytes) { prop_assert_eq!(&message.encode()[..], &bytes[..]); }
        if let Ok(message) = Notice::decode(&bytes) { prop_assert_eq!(&message.encode()[..], &bytes[..]); }
        if let Ok(message) = Work::decode(&bytes) { prop_assert_eq!(&message.encode()[..], &bytes[..]); }
        if let Ok(message) = WorkReport::decode(&bytes) { prop_assert_eq!(&message.encode()[..], &bytes[..]); }
    }
}

fn full<const N: usize>() -> heapless::String<N> {
    heapless::String::try_from("x".repeat(N).as_str()).unwrap()
}

#[test]
fn the_longest_messages_fit() {
    let (op, ticket, deadline_ms, tty) = (1, 1, 1, true);
    round_trip(&Request::Create {
        op,
        id: full(),
        bundle: full(),
        cgroup: full(),
        deadline_ms,
        log_uid: 0,
        log_gid: 0,
    });
    round_trip(&Request::Exec { op, session: full(), container: full(), bundle: full(), deadline_ms, tty });
    round_trip(&Notice::Failed { op, id: full(), class: FailClass::Internal, text: full() });
    round_trip(&Work::Create { ticket, id: full(), bundle: full(), cgroup: full(), deadline_ms });
    round_trip(&Work::Exec { ticket, session: full(), container: full(), bundle: full(), deadline_ms, tty });
    round_trip(&WorkReport::Failed { ticket, class: FailClass::Runtime, text: full() });
}

#[test]
fn the_format_is_pinned() {
    let id = Id::try_from("ab").unwrap();
    let table: [(&[u8], Buffer); 5] = [
        (b"\x01\x01\x00", Request::Hello { version: 1 }.encode()),
        (b"\x05\x07\0\0\0\0\0\0\0\x02\0ab", Request::Release { op: 7, id: id.clone() }.encode()),
        (
            b"\x07\x02\0ab\xff\xff\xff\xff\x09\0\0\0\x01\x02\0\0\0\0\0\0",
            Notice::Exited { id, exit: ExitStatus { code: -1, signal: 9, at_ns: 513 } }.encode(),
        ),
        (b"\x02\x03\0\0\0\0\0\0\0\x05\0\0\0", WorkReport::Started { ticket: 3, pid: 5 }.encode()),
        (b"\x04\x03\0\0\0\0\0\0\0\x06", WorkReport::Lost { ticket: 3, class: FailClass::Timeout }.encode()),
    ];
    for (golden, bytes) in table {
        assert_eq!(golden, &bytes[..]);
    }
}

#[test]
fn wrong_bytes_are_named() {
    assert_eq!(Request::decode(b""), Err(DecodeError::Short));
    assert_eq!(Request::decode(b"\xff"), Err(DecodeError::Tag(255)));
    assert_eq!(Request::decode(b"\x05\0\0\0\0\0\0\0\0\x41\0"), Err(DecodeError::TooLong));
    assert_eq!(Request::decode(b"\x05\0\0\0\0\0\0\0\0\x01\0\xff"), Err(DecodeError::NotUtf8));
    assert_eq!(WorkReport::decode(b"\x04\0\0\0\0\0\0\0\0\x0a"), Err(DecodeError::Tag(10)));
}
