//! A page of names and values, the values of neighbours below each other. Pure.

/// Spaces between the longest name's colon and the values.
const GAP: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Page {
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    /// Name and value, at an indentation.
    Field(usize, String, String),
    /// A value that goes on below the one before it.
    More(String),
    /// As it is.
    Verbatim(String),
}

impl Page {
    /// `name:   value`.
    pub(super) fn field(&mut self, indent: usize, name: &str, value: &str) {
        self.lines.push(Line::Field(indent, name.to_owned(), value.to_owned()));
    }

    /// `name:   first`, the others below it; `<none>` if there is none.
    pub(super) fn lines(&mut self, indent: usize, name: &str, values: &[String]) {
        let mut values = values.iter();
        self.field(indent, name, values.next().map_or("<none>", String::as_str));
        self.lines.extend(values.map(|value| Line::More(value.clone())));
    }

    /// `name:`, for what follows further in.
    pub(super) fn heading(&mut self, indent: usize, name: &str) {
        self.verbatim(&format!("{:indent$}{name}:\n", ""));
    }

    /// Text of the caller's own layout, whole lines.
    pub(super) fn verbatim(&mut self, text: &str) {
        self.lines.push(Line::Verbatim(text.to_owned()));
    }

    /// The page. Fields without a line of another kind between them, and none further out than the first, are
    /// one group: their values begin in the same column.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut column = 0;
        // Indentation of the group's first field.
        let mut group = None;
        for (i, line) in self.lines.iter().enumerate() {
            match line {
                Line::Verbatim(lines) => {
                    group = None;
                    text.push_str(lines);
                }
                Line::Field(indent, name, value) => {
                    if group.is_none_or(|first| *indent < first) {
                        column = self.column_from(i, *indent);
                        group = Some(*indent);
                    }
                    let head = format!("{:indent$}{name}:", "");
                    push_line(&mut text, &format!("{head:column$}{value}"));
                }
                Line::More(value) => push_line(&mut text, &format!("{:column$}{value}", "")),
            }
        }
        text
    }

    /// Where the values begin of the group whose first field is line `first`.
    fn column_from(&self, first: usize, outermost: usize) -> usize {
        let group = self.lines[first..].iter().map_while(|line| match line {
            Line::Field(indent, name, _) => (*indent >= outermost).then(|| indent + name.chars().count() + 1),
            Line::More(_) => Some(0),
            Line::Verbatim(_) => None,
        });
        group.max().unwrap_or(0) + GAP
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}
