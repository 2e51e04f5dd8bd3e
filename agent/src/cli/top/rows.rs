//! Readings as rows of a table, in kubectl's columns and units. Pure.

use super::super::{
    get::image_size as size,
    json,
    table::{Cell, headings as cells},
};
use berth_core::{manifest::quantity, time::NS_PER_MS};
use serde_json::Value;

/// Where a reading has what `--sort-by` goes by.
pub(super) const CPU: &str = "/cpu/usageNanoCores";
pub(super) const MEMORY: &str = "/memory/workingSetBytes";

/// How a column shows what is at its place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// Thousandths of a processor.
    Milli,
    /// In the unit in which kubectl shows memory.
    Mi,
    Bytes,
    Count,
    /// Of time.
    Window,
    /// Percent of what the node has for pods: of the resource of this name.
    Share(&'static str),
    /// Percent of the last ten seconds in which some task waited for CPU, memory, block devices.
    Stalls,
}

/// Heading, place, and how it is shown.
pub(super) type Column = (&'static str, &'static str, Shown);

/// What is always shown of pods and containers: so many columns of the list.
const PLAIN: usize = 2;
const COLUMNS: [Column; 13] = [
    ("CPU(cores)", CPU, Shown::Milli),
    ("MEMORY(bytes)", MEMORY, Shown::Mi),
    ("WINDOW", "/cpu/windowNanoSeconds", Shown::Window),
    ("TOTAL", "/memory/usageBytes", Shown::Bytes),
    ("RSS", "/memory/rssBytes", Shown::Bytes),
    ("SWAP", "/swap/swapUsageBytes", Shown::Bytes),
    ("PIDS", "/process_stats/process_count", Shown::Count),
    ("READ", "/io/readBytes", Shown::Bytes),
    ("WRITTEN", "/io/writeBytes", Shown::Bytes),
    ("RX", "/network/rxBytes", Shown::Bytes),
    ("TX", "/network/txBytes", Shown::Bytes),
    ("DISK", "/ephemeral-storage", Shown::Bytes),
    ("STALLED(cpu/mem/io)", "", Shown::Stalls),
];

/// What is always shown of the node.
const NODE_PLAIN: usize = 4;
const NODE_COLUMNS: [Column; 14] = [
    ("CPU(cores)", CPU, Shown::Milli),
    ("CPU(%)", CPU, Shown::Share("cpu")),
    ("MEMORY(bytes)", MEMORY, Shown::Mi),
    ("MEMORY(%)", MEMORY, Shown::Share("memory")),
    ("WINDOW", "/cpu/windowNanoSeconds", Shown::Window),
    ("TOTAL", "/memory/usageBytes", Shown::Bytes),
    ("RSS", "/memory/rssBytes", Shown::Bytes),
    ("SWAP", "/swap/swapUsageBytes", Shown::Bytes),
    ("PIDS", "/rlimit/curproc", Shown::Count),
    ("READ", "/io/readBytes", Shown::Bytes),
    ("WRITTEN", "/io/writeBytes", Shown::Bytes),
    ("DISK", "/fs/usedBytes", Shown::Bytes),
    ("IMAGES", "/runtime/imageFs/usedBytes", Shown::Bytes),
    ("STALLED(cpu/mem/io)", "", Shown::Stalls),
];

/// Bytes in kubectl's unit.
const MI: u64 = 1 << 20;
/// Billionths of a processor in a thousandth.
const NANO_PER_MILLI: u64 = 1_000_000;

/// Which columns there are.
pub(super) fn columns(node: bool, wide: bool) -> &'static [Column] {
    match (node, wide) {
        (false, true) => &COLUMNS,
        (false, false) => &COLUMNS[..PLAIN],
        (true, true) => &NODE_COLUMNS,
        (true, false) => &NODE_COLUMNS[..NODE_PLAIN],
    }
}

/// The line of headings.
pub(super) fn headings(mut titles: Vec<&'static str>, columns: &[Column]) -> Vec<Cell> {
    titles.extend(columns.iter().map(|(title, ..)| title));
    cells(&titles)
}

/// Of one reading: what stands before the numbers, and these.
pub(super) fn row(titles: &[&str], reading: &Value, columns: &[Column]) -> Vec<Cell> {
    let number = |(_, place, shown): &Column| match shown {
        Shown::Stalls => stalls(reading),
        _ => reading.pointer(place).and_then(|found| cell(reading, found, *shown)),
    };
    let numbers = columns.iter().map(|column| number(column).unwrap_or_else(|| "<none>".into()).into());
    titles.iter().map(|title| Cell::from(*title)).chain(numbers).collect()
}

fn cell(reading: &Value, found: &Value, shown: Shown) -> Option<String> {
    if let Some(disk) = found.get("usedBytes") {
        // More than could be counted.
        let more = if found.get("incomplete").is_some() { ">" } else { "" };
        return Some(format!("{more}{}", size(disk.as_u64()?)));
    }
    let number = found.as_u64()?;
    Some(match shown {
        // Rounded up, as kubectl does: what uses little does not use nothing.
        Shown::Milli => format!("{}m", number.div_ceil(NANO_PER_MILLI)),
        Shown::Mi => format!("{}Mi", number / MI),
        Shown::Bytes => size(number),
        Shown::Window => {
            let ms = number / NS_PER_MS;
            format!("{}.{}s", ms / 1000, ms % 1000 / 100)
        }
        Shown::Share(resource) => format!("{}%", percent(reading, number, resource)?),
        Shown::Count | Shown::Stalls => number.to_string(),
    })
}

fn percent(reading: &Value, used: u64, resource: &str) -> Option<u64> {
    let all = quantity::parse(json::text(reading, &format!("/allocatable/{resource}"))).ok()?;
    let (used, all) =
        if resource == "cpu" { (used / NANO_PER_MILLI, all.milli()) } else { (used, all.value()) };
    used.saturating_mul(100).checked_div(u64::try_from(all).ok()?)
}

fn stalls(reading: &Value) -> Option<String> {
    let of = |what: &str| {
        let share = reading.pointer(&format!("/{what}/psi/some/avg10")).and_then(Value::as_f64);
        share.map_or_else(|| "-".into(), |share| format!("{share:.0}%"))
    };
    let known = ["cpu", "memory", "io"].iter().any(|what| reading[what].get("psi").is_some());
    known.then(|| format!("{}/{}/{}", of("cpu"), of("memory"), of("io")))
}
