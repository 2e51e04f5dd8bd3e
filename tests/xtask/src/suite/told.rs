//! What of a guest's many lines is told again at the end of a run, when it failed: those around the failure that its
//! script saw first, and the last ones. It only picks lines.

use std::collections::VecDeque;

/// Lines around the failure, at most so many from it on; before it, those that were the last ones then.
const AROUND_LINES: usize = 30;
/// Last lines, at most.
const LAST_LINES: usize = 30;

/// The lines of one guest worth telling again.
#[derive(Default)]
pub(super) struct Told {
    around: Vec<String>,
    last: VecDeque<String>,
}

impl Told {
    pub(super) fn hear(&mut self, line: &str) {
        if self.around.is_empty() && line.contains("FAILED") {
            self.around.extend(self.last.drain(..));
            self.around.push(line.to_owned());
        } else if !self.around.is_empty() && self.around.len() < 2 * AROUND_LINES {
            self.around.push(line.to_owned());
        } else {
            if self.last.len() == LAST_LINES {
                self.last.pop_front();
            }
            self.last.push_back(line.to_owned());
        }
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &String> {
        self.around.iter().chain(&self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut told = Told::default();
        lines.into_iter().for_each(|line| told.hear(&line));
        told.lines().cloned().collect()
    }

    #[test]
    fn lines_around_the_failure_and_the_last_ones_are_told() {
        let line = |n: usize| if n == 100 { "FAILED: it".to_owned() } else { n.to_string() };
        let expected: Vec<_> =
            (100 - LAST_LINES..100 + AROUND_LINES).chain(1000 - LAST_LINES..1000).map(line).collect();
        assert_eq!(told((0..1000).map(line)), expected);
    }

    #[test]
    fn few_lines_are_all_told_once() {
        let lines = ["one", "FAILED: two", "three"].map(str::to_owned);
        assert_eq!(told(lines.clone()), lines);
        assert_eq!(told(["one".to_owned()]), ["one"]);
    }
}
