//! What runs, and where: the rules by which a pod's `command` and `args` stand in for the image's
//! entrypoint and cmd.

use crate::{
    error::{Error, Result},
    expand::{expand, lookup},
};
use berth_core::{action::ImageFacts, manifest::types::Container};

/// `command` replaces the entrypoint and drops the image's cmd; `args` alone keep the entrypoint.
pub(super) fn command(
    container: &Container,
    image: &ImageFacts,
    variables: &[(String, String)],
) -> Result<Vec<String>> {
    let expanded = |list: &[String]| -> Vec<String> {
        list.iter().map(|text| expand(text, |name| lookup(variables, name))).collect()
    };
    let (command, args) = (expanded(&container.command), expanded(&container.args));
    let mut line = if command.is_empty() { image.entrypoint.clone() } else { command };
    if !args.is_empty() {
        line.extend(args);
    } else if container.command.is_empty() {
        line.extend(image.cmd.iter().cloned());
    }
    if line.first().is_none_or(String::is_empty) {
        return Err(Error::Config(format!(
            "container {}: no command specified: image {:?} has no entrypoint and no cmd, set command",
            container.name, image.reference
        )));
    }
    Ok(line)
}

/// The pod's `workingDir`, else the image's, else `/`.
pub(super) fn working_dir(container: &Container, image: &ImageFacts) -> Result<String> {
    let of_pod = container.working_dir.as_deref().filter(|dir| !dir.is_empty());
    let dir = of_pod.unwrap_or(&image.working_dir);
    match dir {
        "" => Ok("/".to_owned()),
        dir if dir.starts_with('/') => Ok(dir.to_owned()),
        // Some image builders leave the slash out.
        dir if of_pod.is_none() => Ok(format!("/{dir}")),
        dir => Err(Error::Config(format!(
            "container {}: workingDir {dir:?} must be an absolute path",
            container.name
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_and_args_stand_in_for_entrypoint_and_cmd() {
        let list = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        for (entrypoint, cmd, command, args, line) in [
            ("/ep", "a b", "", "", Some("/ep a b")),
            ("/ep", "a b", "/c", "", Some("/c")),
            ("/ep", "a b", "", "x", Some("/ep x")),
            ("/ep", "a b", "/c", "x", Some("/c x")),
            ("", "/cmd a", "", "", Some("/cmd a")),
            ("", "/cmd a", "", "/x", Some("/x")),
            ("", "/cmd $(V) $$(V) $(W)", "/c", "$(V) $$(V) $(W)", Some("/c val $(V) $(W)")),
            // The image's own words are not expanded.
            ("$(V)", "", "", "", Some("$(V)")),
            ("", "", "", "", None),
        ] {
            let image = ImageFacts { entrypoint: list(entrypoint), cmd: list(cmd), ..ImageFacts::default() };
            let container = Container { command: list(command), args: list(args), ..Container::default() };
            let env = [("V".to_owned(), "val".to_owned())];
            let built = super::command(&container, &image, &env).ok();
            assert_eq!(built, line.map(list), "{entrypoint} {cmd} {command} {args}");
        }
    }

    #[test]
    fn the_working_directory_is_always_absolute() {
        for (pod, image, dir) in [
            (None, "", Some("/")),
            (None, "/srv", Some("/srv")),
            (None, "srv", Some("/srv")),
            (Some(""), "/srv", Some("/srv")),
            (Some("/w"), "/srv", Some("/w")),
            (Some("w"), "/srv", None),
        ] {
            let image = ImageFacts { working_dir: image.into(), ..ImageFacts::default() };
            let container = Container { working_dir: pod.map(str::to_owned), ..Container::default() };
            assert_eq!(working_dir(&container, &image).ok().as_deref(), dir, "{pod:?}");
        }
    }
}
