//! Whose fault a refusal is: the pod's, which will be refused again, or the machine's, which was short of
//! something for a moment. libcontainer's processes tell their errors as text only, so the text decides;
//! when it names no error that passes, the pod is to blame.

use nix::errno::Errno;

/// Errors that pass by themselves, or when something else lets go.
const PASSING: [Errno; 15] = [
    Errno::EAGAIN,
    Errno::EBUSY,
    Errno::EDQUOT,
    Errno::EINTR,
    Errno::EIO,
    Errno::EMFILE,
    Errno::ENFILE,
    Errno::ENOBUFS,
    Errno::ENOLCK,
    Errno::ENOMEM,
    Errno::ENOSPC,
    Errno::ESTALE,
    Errno::ETIMEDOUT,
    Errno::ETXTBSY,
    Errno::EUSERS,
];

/// The message names an error that passes, by name (`ENOMEM`) or as the standard library does
/// (`os error 12`). What stands in quotes is the pod's own and not looked at.
pub(super) fn is_machines(message: &str) -> bool {
    let ours: String = message.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let names = |errno: &Errno| {
        let name = format!("{errno:?}");
        ours.split_whitespace().any(|word| word.trim_matches(|c: char| "():,;.".contains(c)) == name)
    };
    let numbers = ours.split("os error ").skip(1).filter_map(|rest| {
        rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<i32>().ok())
    });
    let mut numbered = numbers.map(Errno::from_raw);
    numbered.any(|errno| PASSING.contains(&errno)) || PASSING.iter().any(names)
}

#[cfg(test)]
mod tests {
    use super::is_machines;

    #[test]
    fn the_machine_is_to_blame_for_what_passes() {
        for (message, machine) in [
            ("exec: \"app\": cannot allocate memory (ENOMEM)", true),
            ("failed to write pid: EBUSY: Device or resource busy", true),
            ("cannot create /run/x: No space left on device (os error 28)", true),
            ("failed to fork, err EAGAIN", true),
            ("cannot make the overlay: Too many open files (os error 24) (failed to prepare rootfs)", true),
            ("exec: \"ENOMEM\": executable file not found in $PATH", false),
            ("exec: \"/bin/x\": no such file or directory", false),
            ("cannot open /etc/EBUSY/os: Permission denied (os error 13)", false),
            ("exec: \"os error 28\": is a directory", false),
            ("EPERM: Operation not permitted", false),
            ("", false),
        ] {
            assert_eq!(is_machines(message), machine, "{message}");
        }
    }
}
