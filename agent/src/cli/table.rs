//! Tables as kubectl prints them: columns as wide as they must be and three spaces between. Pure.

/// Spaces between two columns.
const GAP: usize = 3;
/// Characters in a column, its gap included.
const WIDTH_MIN: usize = 6;

/// How a cell looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// On its way, or not worth alarm.
    Wait,
    /// Something is wrong.
    Bad,
    /// Over and done with.
    Past,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Wait => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Past => "\x1b[2m",
        }
    }
}

/// `text` in a tone, if colours are wanted.
pub(crate) fn toned(text: &str, tone: Tone, colour: bool) -> String {
    match tone.code() {
        code if colour && !code.is_empty() => format!("{code}{text}\x1b[0m"),
        _ => text.to_owned(),
    }
}

/// One field of a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A field in a tone.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { tone, ..Self::from(text.into()) }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text: printable(&text), tone: Tone::Plain }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// `text` on one line, without characters that could do something to a terminal.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.trim_end().chars().map(shown).collect()
}

/// Lays out rows; remembers the widths, so that rows printed later stand below those printed before.
#[derive(Debug, Default)]
pub(crate) struct Table {
    widths: Vec<usize>,
    colour: bool,
}

impl Table {
    pub(crate) fn new(colour: bool) -> Self {
        Self { widths: Vec::new(), colour }
    }

    /// The rows as text, a line each. The last column is not padded.
    pub(crate) fn layout(&mut self, rows: &[Vec<Cell>]) -> String {
        for row in rows {
            self.widths.resize(self.widths.len().max(row.len()), 0);
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (cell.text.chars().count() + GAP).max(*width).max(WIDTH_MIN);
            }
        }
        let mut text = String::new();
        for row in rows {
            for (i, cell) in row.iter().enumerate() {
                text.push_str(&toned(&cell.text, cell.tone, self.colour));
                if i + 1 < row.len() {
                    let padding = self.widths[i] - cell.text.chars().count();
                    text.extend(std::iter::repeat_n(' ', padding));
                }
            }
            let end = text.trim_end_matches(' ').len();
            text.truncate(end);
            text.push('\n');
        }
        text
    }
}

/// A row of headings.
pub(crate) fn headings(names: &[&str]) -> Vec<Cell> {
    names.iter().map(|name| Cell::from(*name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[&[&str]]) -> Vec<Vec<Cell>> {
        text.iter().map(|row| headings(row)).collect()
    }

    #[test]
    fn columns_are_three_spaces_apart_and_six_wide() {
        let mut table = Table::new(false);
        let text = table.layout(&rows(&[&["NAME", "X", "AGE"], &["a-longer-name", "1", "5s"]]));
        assert_eq!(text, "NAME            X     AGE\na-longer-name   1     5s\n");
        assert_eq!(table.layout(&rows(&[&["b", "2", "6s"]])), "b               2     6s\n");
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let row = vec![vec![Cell::toned("ok", Tone::Good), "x".into()]];
        assert_eq!(Table::new(true).layout(&row), "\x1b[32mok\x1b[0m    x\n");
        assert_eq!(Table::new(false).layout(&row), "ok    x\n");
    }

    #[test]
    fn no_cell_can_do_anything_to_a_terminal() {
        assert_eq!(Table::new(false).layout(&rows(&[&["a\x1b[2Jb\nc\n"]])), "a\u{fffd}[2Jb c\n");
    }
}
