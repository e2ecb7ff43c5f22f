//! The runtime code that creation code deploys, found by running it.
//!
//! In: code that may be creation code. Out: what a transaction that deploys it would leave behind, with the bytes that
//! only the deployment decides (immutables, libraries' own addresses) told apart, or nothing where no run returns code.
//! No compiler is known by its bytes: whatever returns a code is creation code, and a runtime code, called without data as
//! a creation is, returns none. What a deployment sees of the chain is not known; the run takes a likely word for it,
//! remembers that it did, and goes both ways where such a word decides.

mod memory;
mod machine;

use std::{collections::VecDeque, ops::Range};

use alloy_primitives::{Bytes, U256};
use revm_bytecode::{OpCode, opcode as op};

use crate::code::Code;
use machine::{ConstructorMachine, Ending, StepsLeft};
use memory::{ByteOrigin, CodeByte};

/// What running code as creation code comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// It deploys this.
    Runtime(Deployed),
    /// It deploys a copy of the code of another account.
    Copy,
}

/// A runtime code as a deployment leaves it behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployed {
    /// The code, with zeros where bytes are not known.
    pub code: Bytes,
    /// The bytes that are not known, in order.
    pub unknown: Vec<UnknownBytes>,
    /// Which bytes are copied from the creation code, in order.
    pub copied: Vec<CopiedBytes>,
}

/// Bytes of a runtime code that the deployment decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBytes {
    /// Places with the same number hold the same bytes.
    pub id: u32,
    /// The place in the runtime code.
    pub range: Range<u32>,
}

/// Bytes of a runtime code that stand in the creation code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedBytes {
    /// The place in the runtime code.
    pub range: Range<u32>,
    /// Where they begin in the creation code.
    pub from: u32,
}

/// How many ways through a constructor are followed.
const MAX_WAYS: usize = 400;

/// How many instructions are run, on all ways together.
const MAX_STEPS: u64 = 400_000;

/// The longest code that is looked for.
const MAX_CODE: usize = 1024 * 1024;

/// Runs `code` as creation code. `None` where nothing says that it is any.
///
/// ```
/// use deconflict_analyzer::{Deployment, deployed};
///
/// // Copies the five bytes behind itself to memory and returns them.
/// let constructor = [0x60, 0x05, 0x60, 0x0a, 0x5f, 0x39, 0x60, 0x05, 0x5f, 0xf3];
/// let runtime = [0x60, 0x01, 0x33, 0x55, 0x00];
/// let creation = [constructor.as_slice(), runtime.as_slice()].concat();
/// let Some(Deployment::Runtime(found)) = deployed(&creation.into()) else { panic!("it returns code") };
/// assert_eq!(found.code.as_ref(), runtime);
/// ```
pub fn deployed(code: &Bytes) -> Option<Deployment> {
    // Formats that are no instructions are no creation code, and a code without a return has no way to deploy anything.
    if code.first() == Some(&0xef) || !code.contains(&op::RETURN) {
        return None;
    }
    let code = Code::new(code.clone());
    let mut room = StepsLeft::new(MAX_STEPS);
    // Ways are followed in the order of how many guesses they contradict.
    let mut ways = VecDeque::from([ConstructorMachine::default()]);
    let mut followed = 0;
    while let Some(machine) = ways.pop_front() {
        followed += 1;
        if followed > MAX_WAYS {
            break;
        }
        match machine.run(&code, &mut room, &mut ways) {
            Ending::Returned(cells) => {
                if let Some(found) = judge(&cells) {
                    return Some(found);
                }
            }
            Ending::Otherwise => {}
            Ending::OutOfRoom => break,
        }
    }
    None
}

/// What a return would deploy, if that can be code that runs.
fn judge(cells: &[CodeByte]) -> Option<Deployment> {
    if cells.is_empty() || cells.len() > MAX_CODE {
        return None;
    }
    if cells[0].origin == ByteOrigin::OtherCode(0) {
        return Some(Deployment::Copy);
    }
    let deployed = gather(cells);
    (is_program(&deployed) && deployed.code.len() <= MAX_CODE).then_some(Deployment::Runtime(deployed))
}

fn gather(cells: &[CodeByte]) -> Deployed {
    let mut found =
        Deployed { code: cells.iter().map(CodeByte::known_value).collect(), ..Deployed::default() };
    // Words by what they are, so that one immutable in several places has one number.
    let mut words: Vec<(u32, u8)> = Vec::new();
    for (at, cell) in (0_u32..).zip(cells) {
        if cell.tag != 0 {
            let follows = at > 0 && {
                let before = &cells[at as usize - 1];
                before.tag == cell.tag && before.part.wrapping_add(1) == cell.part
            };
            if let Some(last) = found.unknown.last_mut().filter(|it| follows && it.range.end == at) {
                last.range.end += 1;
            } else {
                let word = (cell.tag, cell.part);
                let id = words.iter().position(|it| *it == word).unwrap_or_else(|| {
                    words.push(word);
                    words.len() - 1
                });
                found.unknown.push(UnknownBytes { id: id as u32, range: at..at + 1 });
            }
        } else if let ByteOrigin::Code(from) = cell.origin {
            match found.copied.last_mut() {
                Some(last)
                    if last.range.end == at && last.from + (last.range.end - last.range.start) == from =>
                {
                    last.range.end += 1;
                }
                _ => found.copied.push(CopiedBytes { range: at..at + 1, from }),
            }
        }
    }
    found
}

/// Whether bytes can be a program: its first instructions exist, are known, find their operands on the stack and lead to a
/// jump that has a target, or to an end. What a contract answers to a call, which runtime code returns, does not.
fn is_program(deployed: &Deployed) -> bool {
    let is_known = |at: u32| !deployed.unknown.iter().any(|it| it.range.contains(&at));
    let code = Code::new(deployed.code.clone());
    let mut pushed: Option<U256> = None;
    let (mut height, mut effects) = (0_usize, 0_usize);
    for instruction in &code.instructions {
        let Some(opcode) = OpCode::new(instruction.opcode).filter(|_| is_known(instruction.pc.0)) else {
            return false;
        };
        let info = opcode.info();
        if usize::from(info.inputs()) > height {
            return false;
        }
        height = height - usize::from(info.inputs()) + usize::from(info.outputs());
        match instruction.opcode {
            // A program that does nothing is not worth deploying, and words begin with zeros.
            op::STOP | op::INVALID => return effects > 0,
            op::RETURN | op::REVERT | op::SELFDESTRUCT => return true,
            op::JUMP | op::JUMPI => {
                // A target that was computed is no evidence against it.
                return pushed.is_none_or(|target| code.destination(&target).is_some());
            }
            _ => {}
        }
        let is_push = opcode.is_push();
        pushed = is_push.then_some(instruction.immediate);
        effects += usize::from(!is_push && instruction.opcode != op::JUMPDEST);
    }
    // Running off the end is how short programs stop.
    effects > 0
}

#[cfg(test)]
mod tests;
