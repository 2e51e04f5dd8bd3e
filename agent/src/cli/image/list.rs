//! `berth image ls`: what is in the store, what of it is shared, and why it stays.

use super::super::{
    failure::Failure,
    get, json, output,
    output::Machine,
    session::Session,
    table::{Cell, Table, headings},
};
use crate::api::wire::Request;
use serde_json::Value;

/// Of `berth image ls`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  berth image ls -o json")]
pub(crate) struct Args {
    /// Form of the output [default: a table]
    #[arg(short, long, value_name = "FORM")]
    output: Option<Machine>,
    /// Ids only, a line each
    #[arg(short, long)]
    quiet: bool,
    /// No line of column headings
    #[arg(long)]
    no_headers: bool,
}

const COLUMNS: [&str; 5] = ["NAME", "IMAGE-ID", "SIZE", "UNSHARED", "KEPT BY"];

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let store = session.client.call(&Request::Images)?;
    let images = json::list(&store, "/items");
    if args.output.is_some() {
        return output::json(session.out, &images);
    }
    if args.quiet {
        return images
            .iter()
            .try_for_each(|image| Ok(writeln!(session.out, "{}", json::text(image, "/id"))?));
    }
    let mut rows: Vec<(String, Vec<Cell>)> = images.iter().flat_map(rows).collect();
    if rows.is_empty() {
        return Ok(writeln!(session.err, "No images yet: `berth image import` takes them in.")?);
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let heading = (!args.no_headers).then(|| headings(&COLUMNS));
    let all: Vec<_> = heading.into_iter().chain(rows.into_iter().map(|(_, row)| row)).collect();
    Ok(session.out.write_all(Table::new(session.colour).layout(&all).as_bytes())?)
}

/// A row for each name, with what to sort by.
fn rows(image: &Value) -> Vec<(String, Vec<Cell>)> {
    let bytes = |pointer| get::image_size(u64::try_from(json::number(image, pointer)).unwrap_or(0));
    let mut names: Vec<String> = json::list(image, "/names").iter().map(json::plain).collect();
    if names.is_empty() {
        names.push("<none>".into());
    }
    let row = |name: String| {
        let id = get::short_id(json::text(image, "/id"));
        let cells = vec![
            name.as_str().into(),
            id.into(),
            bytes("/sizeBytes").into(),
            bytes("/uniqueBytes").into(),
            kept_by(image).into(),
        ];
        (name, cells)
    };
    names.into_iter().map(row).collect()
}

fn kept_by(image: &Value) -> String {
    let flag = |pointer: &str, word: &str| json::flag(image, pointer).then(|| word.to_owned());
    let pods = json::list(image, "/usedBy").iter().map(json::plain);
    let all: Vec<String> =
        flag("/vendor", "vendor").into_iter().chain(flag("/pinned", "pin")).chain(pods).collect();
    if all.is_empty() { "<none>".into() } else { all.join(",") }
}
