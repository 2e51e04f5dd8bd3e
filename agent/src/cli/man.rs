//! `berth man`: the manual pages, made from the command line itself. For packaging.

use super::{command, failure::Failure, session::Session};
use clap::Command;
use clap_mangen::Man;
use std::{fs, io, path::PathBuf};

/// Write the manual pages: berth(1) and one for each verb
#[derive(Debug, clap::Args)]
#[command(hide = true, after_help = "Example:\n  berth man /usr/share/man/man1")]
pub(crate) struct Args {
    /// Where to; without it, berth(1) is printed
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let pages = pages().map_err(Failure::error)?;
    let Some(directory) = &args.directory else {
        return Ok(pages.iter().take(1).try_for_each(|(_, page)| session.out.write_all(page))?);
    };
    let cannot = |error: io::Error| {
        Failure::error(format!("cannot write manual pages to {}: {error}", directory.display()))
    };
    fs::create_dir_all(directory).map_err(cannot)?;
    for (name, page) in pages {
        fs::write(directory.join(format!("{name}.1")), page).map_err(cannot)?;
    }
    Ok(())
}

/// Name and text of each page, that of the whole first.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut root = command().disable_help_subcommand(true);
    root.build();
    let mut pages = vec![("berth".to_owned(), page(root.clone())?)];
    for verb in root.get_subcommands() {
        let name = format!("berth-{}", verb.get_name());
        pages.push((name, page(verb.clone().hide(false))?));
    }
    Ok(pages)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).manual("Berth").render(&mut page)?;
    // What stands behind the options are examples and notes, whose lines must stay as they are.
    let text = String::from_utf8_lossy(&page).replace(".SH EXTRA\n", ".SH EXAMPLES AND NOTES\n.nf\n");
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_each_verb_and_applet() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "berth");
        for name in ["berth-get", "berth-exec", "berth-keeper", "berth-zygote"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        let exec = &pages.iter().find(|(name, _)| name == "berth-exec").unwrap().1;
        let exec = String::from_utf8(exec.clone()).unwrap();
        assert!(exec.contains("tar x") && exec.contains(".SH SYNOPSIS"), "{exec}");
    }
}
