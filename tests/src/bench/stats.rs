//! Rows of figures, as a table for people and as JSON for machines.

use super::Result;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// Measurements of one thing, and of the peer's same thing.
pub struct Row {
    /// What was measured.
    pub name: String,
    /// `native` or `guest`.
    pub tier: String,
    /// Unit of all figures.
    pub unit: &'static str,
    /// Ours.
    pub ours: Vec<f64>,
    /// The peer's name and figures, where there is one.
    pub peer: Option<(&'static str, Vec<f64>)>,
}

/// The `q`-quantile (0 to 1) of `values`; 0 of nothing.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * q).round() as usize).copied().unwrap_or(0.0)
}

impl Row {
    /// As the line of a table.
    pub fn line(&self) -> String {
        let [min, p50, p99] = [0.0, 0.5, 0.99].map(|q| quantile(&self.ours, q));
        let own =
            format!("{:<22} {:<7} {:>4} {min:>9.2} {p50:>9.2} {p99:>9.2}", self.name, self.tier, self.unit);
        match &self.peer {
            Some((name, theirs)) => {
                let [min, mid, high] = [0.0, 0.5, 0.99].map(|q| quantile(theirs, q));
                format!("{own}  {name:<10} {min:>9.2} {mid:>9.2} {high:>9.2}  {:>5.2}", p50 / mid)
            }
            None => own,
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let mut row = json!({
            "name": self.name, "tier": self.tier, "unit": self.unit, "n": self.ours.len(),
            "min": quantile(&self.ours, 0.0), "p50": quantile(&self.ours, 0.5), "p99": quantile(&self.ours, 0.99),
        });
        if let Some((name, theirs)) = &self.peer {
            let p50 = quantile(theirs, 0.5);
            row["peer"] = json!(name);
            row["peer_min"] = json!(quantile(theirs, 0.0));
            row["peer_p50"] = json!(p50);
            row["peer_p99"] = json!(quantile(theirs, 0.99));
            row["ratio"] = json!(quantile(&self.ours, 0.5) / p50);
        }
        row
    }
}

/// Prints the table, and writes the same as JSON.
///
/// # Errors
/// The file cannot be written.
pub fn report(rows: &[Row], file: Option<&Path>) -> Result {
    println!("{HEADER}");
    rows.iter().for_each(|row| println!("{}", row.line()));
    if let Some(file) = file {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        fs::write(file, serde_json::to_vec_pretty(&json!({ "rows": rows }))?)?;
    }
    Ok(())
}

/// The line above the rows.
const HEADER: &str = "measured               tier    unit       min       p50       p99  peer             min       p50       p99  ratio";

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_of_small_sets() {
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.99), 3.0);
    }
}
