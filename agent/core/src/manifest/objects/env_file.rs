//! A file of variables, as `fileKeyRef` reads it: `NAME='value'`, a value in single quotes that may go over lines; empty
//! lines and such that begin with `#` say nothing. As kubelet has it, nothing else is allowed. Pure.

/// Bytes of such a file; a longer one is not read.
pub const ENV_FILE_LEN_MAX_BYTES: u64 = 64 * 1024;

/// The value of the first variable of this name; none if there is no such.
///
/// # Errors
/// The line that is none of a file of variables, without its value.
pub fn value(text: &str, wanted: &str) -> Result<Option<String>, String> {
    let (mut rest, mut found) = (text, None);
    while !rest.is_empty() {
        let number = 1 + text.len().checked_sub(rest.len()).map_or(0, |read| lines(text, read));
        let line = rest.split('\n').next().unwrap_or_default();
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            rest = after(rest, line.len());
            continue;
        }
        let wrong = |why: &str| format!("line {number}: {why}; write NAME='value'");
        let (name, quoted) = rest.split_once("='").ok_or_else(|| wrong("no value in single quotes"))?;
        let name = name.trim_start();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '=') {
            return Err(wrong("no name of a variable"));
        }
        let (value, behind) = quoted.split_once('\'').ok_or_else(|| wrong("the value does not end"))?;
        let end = behind.split('\n').next().unwrap_or_default();
        if !end.trim().is_empty() {
            return Err(wrong("something behind the value"));
        }
        if name == wanted {
            found.get_or_insert_with(|| value.to_owned());
        }
        rest = after(behind, end.len());
    }
    Ok(found)
}

/// What stands behind a line of this length.
fn after(text: &str, len: usize) -> &str {
    text.get(len + 1..).unwrap_or_default()
}

/// Ends of lines in the first bytes.
fn lines(text: &str, len: usize) -> usize {
    text.get(..len).unwrap_or_default().matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_values_in_single_quotes() {
        let text = "# who\n\nA='one'\n  B='two\nlines # here'  \nA='again'\nC=''";
        for (name, expected) in
            [("A", Some("one")), ("B", Some("two\nlines # here")), ("C", Some("")), ("D", None)]
        {
            assert_eq!(value(text, name), Ok(expected.map(str::to_owned)), "{name}");
        }
        assert_eq!(value("", "A"), Ok(None));
        for (text, line) in [
            ("A=one", 1),
            ("A='x'\nA=\"one\"", 2),
            ("A='x\ny'\n='one'", 3),
            ("export A='one'", 1),
            ("A='one' B='two'", 1),
            ("#\nA='one", 2),
        ] {
            let error = value(text, "Z").unwrap_err();
            assert!(error.starts_with(&format!("line {line}: ")), "{text:?}: {error}");
        }
    }
}
