//! Every form of source, every compression, names, platforms.

use super::*;
use crate::{
    build::{self, Compression},
    error::ErrorKind,
};
use std::process::Command;

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

#[test]
fn every_form_and_compression_gives_the_same_image() {
    let image = sample("demo/web:1", "hello");
    type Write<'a> = Box<dyn Fn(&Path) + 'a>;
    let mut forms: Vec<(String, Write<'_>)> = Vec::new();
    for layers in ALL {
        let image = image.clone().compression(layers);
        let copy = image.clone();
        forms.push((format!("layout {layers:?}"), Box::new(move |to| copy.write_layout(to).unwrap())));
        for whole in ALL {
            let image = image.clone();
            let write = move |to: &Path| image.write_oci_archive_as(to, whole).unwrap();
            forms.push((format!("oci {layers:?} in {whole:?}"), Box::new(write)));
        }
    }
    for whole in ALL {
        let image = image.clone();
        let write = move |to: &Path| build::write_docker_archive(to, &[&image], whole).unwrap();
        forms.push((format!("docker in {whole:?}"), Box::new(write)));
    }
    let mut ids = Vec::new();
    for (form, write) in forms {
        let place = Place::new();
        // Without any ending: what it is, is seen from its bytes.
        write(&place.source("image"));
        let (store, _) = place.open();
        let image = store.ensure("demo/web:1", &arm64()).unwrap_or_else(|e| panic!("{form}: {e}"));
        assert_eq!(file(&image, "app"), "hello", "{form}");
        assert_eq!(file(&image, "bin/sh"), "shell", "{form}");
        assert_eq!((image.layers.len(), image.size_bytes), (2, 10), "{form}");
        assert!(image.layers[0].join("app").exists(), "{form}: top first");
        assert_eq!(names(&place.store("staging")), [""; 0], "{form}");
        ids.push(image.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "an image's id does not depend on how it is packed");
}

#[test]
fn names_by_which_images_are_known() {
    let place = Place::new();
    sample("docker.io/library/full:latest", "1").write_layout(&place.source("a")).unwrap();
    sample("short:latest", "2").write_oci_archive(&place.source("b.tar")).unwrap();
    sample("x", "3").nameless().annotation("v7").write_oci_archive(&place.source("tagged.tar")).unwrap();
    let nameless = sample("x", "4").nameless();
    nameless.write_oci_archive_as(&place.source("By-File.tar.gz"), Compression::Gzip).unwrap();
    nameless.write_docker_archive(&place.source("dock.tar")).unwrap();
    let (one, two) = (sample("multi:1", "5").name("multi:one"), sample("multi:2", "6"));
    build::write_docker_archive(&place.source("multi.tar"), &[&one, &two], Compression::Gzip).unwrap();
    let (store, _) = place.open();
    let table = [
        ("full", "1"),
        ("full:latest", "1"),
        ("docker.io/library/full", "1"),
        ("short", "2"),
        ("docker.io/short", "2"),
        ("tagged:v7", "3"),
        ("by-file", "4"),
        ("dock", "4"),
        ("multi:1", "5"),
        ("multi:one", "5"),
        ("multi:2", "6"),
    ];
    for (name, content) in table {
        let image = store.ensure(name, &arm64()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(file(&image, "app"), content, "{name}");
    }
    for name in ["full:2", "example.org/full", "v7", "tagged", "multi", "library/demo/full"] {
        assert_eq!(store.ensure(name, &arm64()).unwrap_err().kind(), ErrorKind::NotFound, "{name}");
    }
    assert_eq!(store.ensure("Full", &arm64()).unwrap_err().kind(), ErrorKind::InvalidName);
}

#[test]
fn not_found_says_where_and_what_is_like_it() {
    let place = Place::new();
    sample("demo/web:1", "").write_layout(&place.source("a")).unwrap();
    fs::write(place.source("broken.tar"), "this is no archive, however long it may be").unwrap();
    fs::write(place.source(".hidden"), "x").unwrap();
    fs::write(place.source("half.tar.part"), "x").unwrap();
    let (store, _) = place.open();
    let text = store.ensure("demo/web:2", &arm64()).unwrap_err().to_string();
    for part in [
        "docker.io/demo/web:2",
        place.source("").to_str().unwrap(),
        "similar names there: demo/web:1",
        "broken.tar",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains(".hidden") && !text.contains(".part"), "{text}");
    assert_eq!(store.source_problems().len(), 1);
}

#[test]
fn the_right_platform_of_an_index() {
    let arch =
        |arch: &str| ImageBuilder::new(arch).layer(vec![Item::file("arch", 0o644, arch)]).name("multi");
    let images = ["amd64", "arm/v6", "arm/v7", "arm64/v8", "s390x"].map(arch);
    let all: Vec<&ImageBuilder> = images.iter().collect();
    let arm: Vec<&ImageBuilder> = images[1..3].iter().collect();
    let table: [(&[&ImageBuilder], &str, Option<&str>); 8] = [
        (&all, "arm64", Some("arm64/v8")),
        (&all, "arm/v7", Some("arm/v7")),
        (&all, "arm/v6", Some("arm/v6")),
        (&all, "arm/v5", None),
        (&all, "amd64/v3", Some("amd64")),
        (&all, "riscv64", None),
        (&arm, "arm64", Some("arm/v7")),
        (&arm, "amd64", None),
    ];
    for nested in [true, false] {
        for (images, node, expected) in &table {
            let place = Place::new();
            build::write_layout(&place.source("multi"), images, nested).unwrap();
            let (store, _) = place.open();
            match (store.ensure("multi", &Platform::new(node)), expected) {
                (Ok(image), Some(expected)) => assert_eq!(file(&image, "arch"), *expected, "{node}"),
                (Err(error), None) => {
                    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                    assert!(error.to_string().contains(&format!("this node is linux/{node}")), "{error}");
                }
                (got, expected) => panic!("{node}: {got:?}, expected {expected:?}"),
            }
        }
    }
}

#[test]
fn the_only_image_for_another_platform_is_refused_clearly() {
    let place = Place::new();
    sample("x", "").write_docker_archive(&place.source("x.tar")).unwrap();
    let error = place.open().0.ensure("x", &Platform::new("amd64")).unwrap_err();
    assert!(error.to_string().contains("it is for linux/arm64, this node is linux/amd64"), "{error}");
}

#[test]
fn by_digest() {
    let place = Place::new();
    let (a, b) =
        (sample("demo/web:1", "a"), ImageBuilder::new("amd64").layer(vec![Item::file("b", 0o644, "")]));
    build::write_layout(&place.source("a"), &[&a, &b], true).unwrap();
    let (store, _) = place.open();
    let image = store.ensure("demo/web:1", &arm64()).unwrap();
    let by_digest = format!("demo/web@{}", image.digest);
    assert_eq!(store.ensure(&by_digest, &arm64()).unwrap().id, image.id);
    let index = fs::read_to_string(place.source("a/index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let above = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    drop(store);
    fs::remove_dir_all(place.store("")).unwrap();
    // The same from an empty store: of the manifest, which only the index names, and of the index.
    for digest in [&image.digest, &above] {
        let (store, _) = place.open();
        let again = store.ensure(&format!("demo/web:other@{digest}"), &arm64()).unwrap();
        assert_eq!(again.id, image.id);
        drop(store);
        fs::remove_dir_all(place.store("")).unwrap();
    }
    let other = format!("demo/web@{}", Digest::of(b"other"));
    assert_eq!(place.open().0.ensure(&other, &arm64()).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn zstd_of_the_reference_tool() {
    let place = Place::new();
    let many = (0..2000).map(|n| Item::file(&format!("d/{n}"), 0o644, format!("{n}").repeat(500)));
    let image = ImageBuilder::new("arm64").layer(many.collect()).name("z").compression(Compression::None);
    image.write_oci_archive(&place.source("z.tar")).unwrap();
    for flags in [&["-3"][..], &["-19", "--long=26"], &["--fast=5", "--no-check"]] {
        let run = Command::new("zstd")
            .args(flags)
            .args(["-f", "--rm", "-q", "-k"])
            .arg(place.source("z.tar"))
            .status();
        if run.is_err() {
            eprintln!("SKIPPED zstd_of_the_reference_tool: no zstd command here");
            return;
        }
        let packed = place.source("z.tar.zst");
        let other = Place::new();
        fs::rename(packed, other.source("z.tar.zst")).unwrap();
        let image = other.open().0.ensure("z", &arm64()).unwrap();
        assert_eq!(file(&image, "d/1999"), "1999".repeat(500));
    }
}

#[test]
fn config_of_an_image() {
    let place = Place::new();
    let labels = serde_json::json!({"a": "b"});
    sample("x", "")
        .cmd(["serve", "--now"])
        .env(["A=1", "PATH=/bin"])
        .user("1000:1001")
        .workdir("/srv")
        .stop_signal("SIGINT")
        .set("Labels", labels)
        .set("ExposedPorts", serde_json::json!({"80/tcp": {}}))
        .set("Volumes", serde_json::json!({"/data": {}}))
        .set("OnBuild", serde_json::Value::Null)
        .write_layout(&place.source("x"))
        .unwrap();
    let config = place.open().0.ensure("x", &arm64()).unwrap().config;
    let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let expected = crate::ImageConfig {
        env: strings(&["A=1", "PATH=/bin"]),
        entrypoint: strings(&["/app"]),
        cmd: strings(&["serve", "--now"]),
        working_dir: "/srv".into(),
        user: "1000:1001".into(),
        stop_signal: "SIGINT".into(),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        exposed_ports: strings(&["80/tcp"]),
        volumes: strings(&["/data"]),
    };
    assert_eq!(config, expected);
}
