//! What to say to those who type a verb of kubectl, docker or crictl that Berth has no use for. Pure.

/// What takes the place of the verb; None when there is nothing to say.
pub(super) fn instead_of(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "apply" | "create" | "replace" | "patch" | "edit" | "run" | "play" | "start" => {
            "copy the manifest into /etc/berth/manifests (`berth config` names all directories): it takes effect at \
             once. `berth check FILE` tells before whether it is right"
        }
        "delete" | "rm" | "stop" | "kill" => {
            "remove the pod's manifest from /etc/berth/manifests and the pod stops; put a link to /dev/null with the \
             file's name there to mask a vendor's one"
        }
        "rollout" | "restart" => {
            "any change of the manifest replaces the pod: an annotation will do. `berth get pods -w` shows how it goes"
        }
        "ps" | "pods" | "list" | "ls" => "berth get pods -A",
        "images" => "berth image ls",
        "rmi" => "berth image rm IMAGE",
        "save" => "berth image export IMAGE -o FILE",
        "events" => "berth get events",
        "stats" => "berth top pods --containers, or berth top node",
        "inspect" => "berth get pod NAME -o yaml, or berth describe pod NAME",
        "pull" | "load" => {
            "berth import PATH takes in an archive, a layout or a stick; or copy the image's archive into /var/lib/berth/images (`berth config` names all directories): it is taken \
             from there when a pod needs it"
        }
        "attach" => "berth logs NAME -f for the output; berth exec -it NAME -- sh for a shell",
        "lint" | "validate" => "berth check FILE",
        "info" | "status" => "berth version for what runs; berth doctor for what this machine lacks",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Subcommand as _;

    #[test]
    fn only_verbs_that_do_not_exist_have_hints() {
        for verb in ["apply", "delete", "restart", "ps", "pull"] {
            assert!(instead_of(verb).is_some(), "{verb}");
            assert!(!super::super::Verb::has_subcommand(verb), "{verb}");
        }
        for verb in super::super::command().get_subcommands() {
            assert_eq!(instead_of(verb.get_name()), None);
        }
    }
}
