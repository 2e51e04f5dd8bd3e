//! The smallest assembler that does: a rule list becomes a BPF program for `BPF_PROG_TYPE_CGROUP_DEVICE`.
//! Pure. The kernel gives the program a `struct bpf_cgroup_dev_ctx` in R1 and takes 1 for "allowed".

use super::{Access, DeviceKind, DeviceRule};

/// One instruction, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    /// Operation.
    pub(super) code: u8,
    /// Destination in the lower four bits, source in the upper.
    pub(super) registers: u8,
    /// For jumps: how many instructions are left out.
    pub(super) offset: i16,
    /// Immediate operand.
    pub(super) immediate: i32,
}

/// `BPF_LDX | BPF_MEM | BPF_W`.
pub(super) const LOAD: u8 = 0x61;
/// `BPF_ALU | BPF_MOV | BPF_X`.
pub(super) const MOVE: u8 = 0xbc;
/// `BPF_ALU | BPF_AND | BPF_K`.
pub(super) const AND: u8 = 0x54;
/// `BPF_ALU | BPF_RSH | BPF_K`.
pub(super) const SHIFT_RIGHT: u8 = 0x74;
/// `BPF_ALU64 | BPF_MOV | BPF_K`.
pub(super) const SET: u8 = 0xb7;
/// `BPF_JMP | BPF_JNE | BPF_K`.
pub(super) const JUMP_NOT_EQUAL: u8 = 0x55;
/// `BPF_JMP | BPF_EXIT`.
pub(super) const EXIT: u8 = 0x95;

/// Registers. R0 is the answer, R1 the context.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// Offsets in the context: access and kind share a word, then the numbers.
const ACCESS_AND_KIND_AT: i16 = 0;
const MAJOR_AT: i16 = 4;
const MINOR_AT: i16 = 8;

/// `BPF_DEVCG_DEV_BLOCK`.
pub(super) const BLOCK: i32 = 1;
/// `BPF_DEVCG_DEV_CHAR`.
pub(super) const CHAR: i32 = 2;

/// Assembles the program: the rules one after another, the first that allows ends it.
pub(super) fn assemble(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![
        load(KIND, ACCESS_AND_KIND_AT),
        copy(ACCESS, KIND),
        immediate(AND, KIND, 0xffff),
        immediate(SHIFT_RIGHT, ACCESS, 16),
        load(MAJOR, MAJOR_AT),
        load(MINOR, MINOR_AT),
    ];
    for rule in rules {
        program.extend(one(rule));
    }
    program.extend(answer(0));
    program
}

fn one(rule: &DeviceRule) -> Vec<Instruction> {
    let mut checks: Vec<Vec<Instruction>> = vec![vec![unless_equal(KIND, kind(rule.kind))]];
    if rule.access != Access::ALL {
        // What is asked for beyond the rule must be nothing.
        let beyond = i32::from(!rule.access.0 & Access::ALL.0);
        let jump = unless_equal(SCRATCH, 0);
        checks.push(vec![copy(SCRATCH, ACCESS), immediate(AND, SCRATCH, beyond), jump]);
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        // The kernel compares 64 bits with the sign-extended immediate; numbers have 20 bits at most.
        checks.extend(number.map(|number| vec![unless_equal(register, number.cast_signed())]));
    }
    let mut code: Vec<Instruction> = checks.into_iter().flatten().chain(answer(1)).collect();
    let end = code.len();
    for (at, instruction) in code.iter_mut().enumerate() {
        if instruction.code == JUMP_NOT_EQUAL {
            // A rule has a dozen instructions at most.
            instruction.offset = i16::try_from(end - at - 1).unwrap_or(i16::MAX);
        }
    }
    code
}

fn kind(kind: DeviceKind) -> i32 {
    match kind {
        DeviceKind::Char => CHAR,
        DeviceKind::Block => BLOCK,
    }
}

fn load(to: u8, offset: i16) -> Instruction {
    Instruction { code: LOAD, registers: CONTEXT << 4 | to, offset, immediate: 0 }
}

fn copy(to: u8, from: u8) -> Instruction {
    Instruction { code: MOVE, registers: from << 4 | to, offset: 0, immediate: 0 }
}

fn immediate(code: u8, register: u8, value: i32) -> Instruction {
    Instruction { code, registers: register, offset: 0, immediate: value }
}

/// The offset is filled in when the rule's end is known.
fn unless_equal(register: u8, value: i32) -> Instruction {
    immediate(JUMP_NOT_EQUAL, register, value)
}

fn answer(value: i32) -> [Instruction; 2] {
    [immediate(SET, ANSWER, value), immediate(EXIT, 0, 0)]
}
