//! The program by an interpreter of the few instructions that it uses, and in the kernel where there is one.

use super::{program::*, *};

/// What the kernel would ask: kind, access, major, minor.
fn run(program: &[Instruction], kind: i32, access: u32, major: u32, minor: u32) -> u64 {
    let context = [access << 16 | kind.cast_unsigned(), major, minor];
    let mut registers = [0_u64; 11];
    let mut at = 0;
    for _ in 0..10_000 {
        let Instruction { code, registers: pair, offset, immediate } = program[at];
        let (to, from) = (usize::from(pair & 15), usize::from(pair >> 4));
        at += 1;
        match code {
            LOAD => {
                assert_eq!(from, 1, "only the context is read");
                registers[to] = u64::from(context[usize::try_from(offset).unwrap() / 4]);
            }
            MOVE => registers[to] = registers[from] & 0xffff_ffff,
            AND => registers[to] = registers[to] & u64::from(immediate.cast_unsigned()) & 0xffff_ffff,
            SHIFT_RIGHT => registers[to] = (registers[to] & 0xffff_ffff) >> immediate,
            SET => registers[to] = i64::from(immediate).cast_unsigned(),
            JUMP_NOT_EQUAL => {
                if registers[to] != i64::from(immediate).cast_unsigned() {
                    assert!(offset > 0, "forwards only");
                    at += usize::try_from(offset).unwrap();
                }
            }
            EXIT => return registers[0],
            other => panic!("instruction {other:#x}"),
        }
    }
    panic!("does not end");
}

const READ: u32 = 2;
const ALL: u32 = 7;

#[test]
fn the_default_devices_are_allowed_and_no_others() {
    let program = assemble(&default_rules());
    for (kind, access, major, minor, allowed) in [
        (CHAR, ALL, 1, 3, 1),
        (CHAR, READ, 1, 5, 1),
        (CHAR, ALL, 1, 7, 1),
        (CHAR, ALL, 1, 8, 1),
        (CHAR, ALL, 1, 9, 1),
        (CHAR, ALL, 5, 0, 1),
        (CHAR, ALL, 5, 2, 1),
        (CHAR, ALL, 136, 0, 1),
        (CHAR, ALL, 136, 1_048_575, 1),
        // Whiteouts may be made, not opened.
        (CHAR, 1, 0, 0, 1),
        (CHAR, 3, 0, 0, 0),
        // Memory, kernel log, console, the first disk, tun; and a block device with a good number.
        (CHAR, READ, 1, 1, 0),
        (CHAR, READ, 1, 11, 0),
        (CHAR, READ, 5, 1, 0),
        (BLOCK, READ, 8, 0, 0),
        (CHAR, 1, 10, 200, 0),
        (BLOCK, ALL, 1, 3, 0),
        (CHAR, 1, 135, 3, 0),
    ] {
        assert_eq!(run(&program, kind, access, major, minor), allowed, "{kind} {access} {major}:{minor}");
    }
}

#[test]
fn a_rule_allows_what_it_says() {
    let rule = |kind, major, minor, access| DeviceRule { kind, major, minor, access };
    let disk = [rule(DeviceKind::Block, Some(8), None, Access::READ)];
    let program = assemble(&disk);
    for (access, allowed) in [(READ, 1), (1, 0), (4, 0), (6, 0), (0, 1)] {
        assert_eq!(run(&program, BLOCK, access, 8, 17), allowed, "{access}");
    }
    let any = assemble(&[rule(DeviceKind::Char, None, None, Access::ALL)]);
    assert_eq!((run(&any, CHAR, ALL, 200, 7), run(&any, BLOCK, ALL, 200, 7)), (1, 0));
    assert_eq!(run(&assemble(&[]), CHAR, READ, 1, 3), 0, "nothing is allowed by no rule");
}

#[test]
fn too_many_rules_are_refused() {
    let rules = vec![default_rules()[0]; RULES_MAX + 1];
    assert!(matches!(Program::load(&rules), Err(DeviceError::TooMany(_))));
}

#[test]
fn the_kernel_denies_what_the_rules_do_not_allow() {
    crate::testing::with_roots(|roots| {
        let dir = roots.cgroup.join(&roots.cgroup_root).join("c");
        std::fs::create_dir(&dir).unwrap();
        let cgroup = std::fs::File::open(&dir).unwrap();
        match Program::load(&default_rules()).and_then(|program| program.attach(&cgroup)) {
            Err(error @ DeviceError::Load(_)) => eprintln!("skipped: {error}"),
            result => {
                result.unwrap();
                let script = format!(
                    "echo $$ >{}/cgroup.procs; cd {}; echo x >/dev/null || exit 1; mknod ok c 1 5 || exit 2; \
                     mknod mem c 1 1 2>/dev/null && exit 3; mknod disk b 8 0 2>/dev/null && exit 4; exit 0",
                    dir.display(),
                    roots.run.display()
                );
                let status = std::process::Command::new("sh").args(["-c", &script]).status().unwrap();
                assert_eq!(status.code(), Some(0));
            }
        }
    });
}

#[test]
fn the_nodes_devices_are_listed_without_those_of_containers() {
    let devices = host_devices().unwrap();
    let null = devices.iter().find(|device| device.path == std::path::Path::new("/dev/null")).unwrap();
    assert_eq!((null.number, null.block), ((1, 3), false));
    assert!(devices.iter().all(|device| !device.path.starts_with("/dev/pts")));
}
