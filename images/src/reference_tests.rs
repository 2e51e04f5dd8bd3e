//! Tables of references, and that no input makes the parser panic or its output unreadable to itself.

use super::*;
use proptest::prelude::*;

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn completed() {
    let table = [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1", "busybox:1"),
        ("library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/library/busybox:latest", "docker.io/library/busybox:latest", "busybox:latest"),
        ("demo/web:1", "docker.io/demo/web:1", "demo/web:1"),
        ("localhost/web", "localhost/web:latest", "localhost/web:latest"),
        ("localhost:5000/web", "localhost:5000/web:latest", "localhost:5000/web:latest"),
        ("docker.io/localhost/web", "docker.io/localhost/web:latest", "docker.io/localhost/web:latest"),
        ("reg.example/a/b/c:v1.2-x_y", "reg.example/a/b/c:v1.2-x_y", "reg.example/a/b/c:v1.2-x_y"),
        ("Reg/a", "Reg/a:latest", "Reg/a:latest"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        ("[::1]/a", "[::1]/a:latest", "[::1]/a:latest"),
        ("a__b/c-d.e", "docker.io/a__b/c-d.e:latest", "a__b/c-d.e:latest"),
        ("a---b", "docker.io/library/a---b:latest", "a---b:latest"),
    ];
    for (given, full, familiar) in table {
        let reference = Reference::parse(given).unwrap();
        assert_eq!(reference.to_string(), full, "{given}");
        assert_eq!(reference.familiar(), familiar, "{given}");
        assert_eq!(reference.tagged().as_deref(), Some(full), "{given}");
    }
}

#[test]
fn with_digest() {
    let by_digest = Reference::parse(&format!("busybox@{D}")).unwrap();
    assert_eq!(by_digest.to_string(), format!("docker.io/library/busybox@{D}"));
    assert_eq!((by_digest.tag(), by_digest.tagged()), (None, None));
    let both = Reference::parse(&format!("reg:5000/x:1@{D}")).unwrap();
    assert_eq!(both.to_string(), format!("reg:5000/x:1@{D}"));
    assert_eq!((both.tag(), both.name().as_str()), (Some("1"), "reg:5000/x"));
    assert_eq!(both.digest().map(ToString::to_string).as_deref(), Some(D));
}

#[test]
fn refused() {
    let long_tag = format!("a:{}", "x".repeat(129));
    let long_name = "a/".repeat(200) + "a";
    let long = "x".repeat(2000);
    let table = [
        "",
        ":",
        "@",
        "/",
        "a:",
        "a@",
        ":tag",
        "Busybox",
        "a/B",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a/",
        "/a",
        "a//b",
        "a b",
        "a\n",
        "a:t t",
        "a:-t",
        "a:.t",
        "ä",
        "a@sha256:12",
        "a@md5",
        "http://x/y",
        "x:port/y",
        "x:99999/y",
        "-x.y/a",
        "x..y/a",
        "[::g]/a",
        "a@sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        &D[7..],
        &long_tag,
        &long_name,
        &long,
    ];
    for given in table {
        match Reference::parse(given) {
            Err(error @ Error::InvalidName { .. }) => assert_eq!(error.reason(), "InvalidImageName"),
            other => panic!("{given:?}: {other:?}"),
        }
    }
    assert!(matches!(Reference::parse("a@sha512:00"), Err(Error::Unsupported { .. })));
}

proptest! {
    #[test]
    fn never_panics_and_is_stable(text in "\\PC{0,80}|[a-zA-Z0-9/:@._\\[\\]-]{0,60}") {
        if let Ok(reference) = Reference::parse(&text) {
            let again = Reference::parse(&reference.to_string()).unwrap();
            prop_assert_eq!(&again, &reference);
            prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
        }
    }
}
