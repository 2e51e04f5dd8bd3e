//! `berth get images`: what is in the image store.

use super::{
    super::{
        failure::Failure,
        json,
        output::Form,
        session::Session,
        table::{Cell, headings},
    },
    Args, print,
};
use crate::api::wire::Request;
use serde_json::Value;

/// Characters of an id that tell it from all others in practice.
const SHORT_ID_LEN: usize = 13;

pub(super) fn run(args: &Args, names: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
    let meaningless = [
        ("-w", args.watch),
        ("-l", args.selector.is_some()),
        ("--for", args.about.is_some()),
        ("--show-labels", args.show_labels),
    ];
    args.refuse("images", &meaningless)?;
    let store = session.client.call(&Request::Images)?;
    let wanted = |image: &&Value| names.is_empty() || names.iter().any(|name| is_named(image, name));
    let images: Vec<&Value> = json::list(&store, "/items").iter().filter(wanted).collect();
    if let Some(name) = names.iter().find(|name| !images.iter().any(|image| is_named(image, name))) {
        return Err(Failure::error(format!(
            "image {name:?} is not in the store; `berth get images` lists all"
        )));
    }
    match args.output {
        Some(form @ (Form::Json | Form::Yaml)) => super::items(session, form, &images),
        Some(Form::Name) => {
            let names = images.iter().flat_map(|image| references(image));
            names.into_iter().try_for_each(|name| Ok(writeln!(session.out, "image/{name}")?))
        }
        None | Some(Form::Wide) => {
            let wide = args.output == Some(Form::Wide);
            let mut rows: Vec<_> = images.iter().flat_map(|image| rows(image, wide)).collect();
            rows.sort_by(|a, b| a.0.cmp(&b.0));
            let rows = rows.into_iter().map(|(_, row)| row).collect();
            let mut columns = vec!["NAME", "IMAGE-ID", "SIZE"];
            if wide {
                columns.extend(["DIGEST", "USED BY"]);
            }
            let nothing =
                "No images in the store yet: put archives into one of imageSourcePaths (`berth config`).";
            print(session, headings(&columns), rows, args.no_headers, nothing)
        }
    }
}

/// By one of its names, with or without the tag `latest`; by id or digest, whole or its beginning.
fn is_named(image: &Value, name: &str) -> bool {
    let begins = |pointer: &str| {
        let id = json::text(image, pointer);
        let hex = id.rsplit_once(':').map_or(id, |(_, hex)| hex);
        id == name || name.len() >= 4 && hex.starts_with(name)
    };
    references(image).iter().any(|known| known == name || known.strip_suffix(":latest") == Some(name))
        || begins("/id")
        || begins("/digest")
}

fn references(image: &Value) -> Vec<String> {
    let names = json::list(image, "/names").iter().map(json::plain).collect::<Vec<_>>();
    if names.is_empty() { vec!["<none>".into()] } else { names }
}

/// A row for each name of the image, with what to sort by.
fn rows(image: &Value, wide: bool) -> Vec<(String, Vec<Cell>)> {
    let short = short_id(json::text(image, "/id"));
    let used_by: Vec<_> = json::list(image, "/usedBy").iter().map(json::plain).collect();
    let row = |name: String| {
        let mut row: Vec<Cell> = vec![
            name.as_str().into(),
            json::or_none(&short).into(),
            size(u64::try_from(json::number(image, "/sizeBytes")).unwrap_or(0)).into(),
        ];
        if wide {
            row.push(json::or_none(json::text(image, "/digest")).into());
            row.push(json::or_none(&used_by.join(",")).into());
        }
        (name, row)
    };
    references(image).into_iter().map(row).collect()
}

/// The beginning of an id, without its algorithm.
pub(crate) fn short_id(id: &str) -> String {
    id.rsplit_once(':').map_or(id, |(_, hex)| hex).chars().take(SHORT_ID_LEN).collect()
}

/// Three digits and a decimal unit: `12.3MB`.
pub(crate) fn size(bytes: u64) -> String {
    let mut unit_bytes = 1_u64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if bytes / unit_bytes < 1000 {
            break;
        }
        unit_bytes *= 1000;
        unit = next;
    }
    let hundredths = u128::from(bytes) * 100 / u128::from(unit_bytes);
    match hundredths {
        _ if unit_bytes == 1 => format!("{bytes}B"),
        0..=999 => format!("{}.{:02}{unit}", hundredths / 100, hundredths % 100),
        1000..=9999 => format!("{}.{}{unit}", hundredths / 100, hundredths % 100 / 10),
        _ => format!("{}{unit}", hundredths / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.00kB"),
            (4_023_456, "4.02MB"),
            (12_345_678, "12.3MB"),
            (123_456_789, "123MB"),
            (999_999_999, "999MB"),
            (1_000_000_000, "1.00GB"),
            (u64::MAX, "18446744TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn images_go_by_name_id_and_digest() {
        let image = json!({"names": ["docker.io/library/nginx:latest"], "id": "sha256:abcdef", "digest": "sha256:012345"});
        for (name, is) in [
            ("docker.io/library/nginx", true),
            ("docker.io/library/nginx:latest", true),
            ("sha256:abcdef", true),
            ("abcd", true),
            ("0123", true),
            ("abc", false),
            ("nginx", false),
        ] {
            assert_eq!(is_named(&image, name), is, "{name}");
        }
    }
}
