//! From a program counter to the line a developer wrote.
//!
//! In: the compiler's source map (solc's compressed instruction map, or Vyper's positions by program counter) and the
//! code it belongs to. Out: a [`SourceMap`] that answers with byte spans in the project's sources. A span that is handed
//! out always lies inside its source's text and on character boundaries; what does not is dropped here, never later.

mod decode;
mod position;

use deconflict_analyzer::Pc;
use revm_bytecode::opcode::{self, OpCode};

pub(crate) use decode::{MapEntry, decode};
pub use position::LineColumn;
pub(crate) use position::Lines;

/// A source file: its index in [`crate::Project::sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// Bytes `[start, end)` of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceSpan {
    /// The file.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl SourceSpan {
    /// Whether `other` lies within this span.
    pub fn contains(&self, other: &Self) -> bool {
        self.source == other.source && self.start <= other.start && other.end <= self.end
    }
}

/// What a jump does, as the compiler says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Jump {
    /// Enters a function.
    Into,
    /// Returns from a function.
    Out,
    /// Anything else.
    #[default]
    Regular,
}

/// How much an instruction's location says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A statement, expression or function.
    Exact(SourceSpan),
    /// A whole contract: code the compiler added for it (dispatcher, ABI checks, helpers).
    Container(SourceSpan),
    /// Code the compiler generated, such as the ABI coder.
    Generated,
    /// Nothing is known.
    Unknown,
}

/// One instruction with its location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mapped {
    /// The instruction.
    pub pc: Pc,
    /// Where it comes from.
    pub location: Location,
    /// What its jump does.
    pub(crate) jump: Jump,
    /// Whether a basic block starts here.
    starts_block: bool,
    /// Whether control cannot run on behind it, or may branch.
    ends_block: bool,
}

/// Where one access or call is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribution {
    /// The innermost line the caller asked for, else the innermost line there is.
    pub primary: SourceSpan,
    /// Whether `primary` is one that the caller asked for.
    pub preferred: bool,
    /// The innermost line where `primary` is an outer one: the library statement that a project's line calls.
    pub inner: Option<SourceSpan>,
}

/// What is under way at the end of a way through the code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trail {
    /// The `JUMP`s of the internal calls that are open, outermost first.
    pub calls: Vec<Pc>,
    /// The `JUMP` of the internal call that has just returned into the last block, if one has.
    pub returned: Option<Pc>,
}

/// The locations of all instructions of one code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMap {
    /// The instructions in order of their program counters.
    pub instructions: Vec<Mapped>,
    /// Where the functions begin that calls jump into, in order.
    functions: Vec<Pc>,
}

impl SourceMap {
    /// Joins solc's decoded map with the code it belongs to. `locate` turns an entry into a location in the project's
    /// sources and must answer [`Location::Unknown`] for a span outside its source. Instructions after the end of the
    /// map (metadata) have no location.
    pub(crate) fn from_instructions(
        code: &[u8],
        entries: &[MapEntry],
        locate: impl Fn(&MapEntry) -> Location,
    ) -> Self {
        let mut instructions = Vec::new();
        let mut functions = Vec::new();
        let mut starts_block = true;
        let mut before = 0..0;
        for (entry, pc) in entries.iter().zip(program_counters(code)) {
            let at = pc as usize;
            let byte = code[at];
            starts_block |= byte == opcode::JUMPDEST;
            let ends_block = ends_block(byte);
            let (location, jump) = (locate(entry), entry.jump);
            instructions.push(Mapped { pc: Pc(pc), location, jump, starts_block, ends_block });
            if jump == Jump::Into {
                functions.extend(pushed(&code[before]).map(Pc));
            }
            starts_block = ends_block;
            before = at..at + instruction_length(byte).min(code.len() - at);
        }
        functions.sort_unstable();
        functions.dedup();
        Self { instructions, functions }
    }

    /// Builds the map from locations by program counter, as Vyper gives them. An instruction without its own entry has
    /// no location.
    pub(crate) fn from_positions(code: &[u8], mut locate: impl FnMut(u32) -> Location) -> Self {
        let mut instructions = Vec::new();
        let mut starts_block = true;
        for pc in program_counters(code) {
            let byte = code[pc as usize];
            starts_block |= byte == opcode::JUMPDEST;
            let ends_block = ends_block(byte);
            let (location, jump) = (locate(pc), Jump::Regular);
            instructions.push(Mapped { pc: Pc(pc), location, jump, starts_block, ends_block });
            starts_block = ends_block;
        }
        Self { instructions, functions: Vec::new() }
    }

    /// The instruction at `pc`.
    pub(crate) fn instruction(&self, pc: Pc) -> Option<&Mapped> {
        self.index(pc).map(|index| &self.instructions[index])
    }

    /// The span that explains `pc` best: its own, else the nearest exact one before or after it in its basic block, else
    /// the contract it was generated for.
    pub(crate) fn span_of(&self, pc: Pc) -> Option<SourceSpan> {
        self.exact(pc).or_else(|| match self.instruction(pc)?.location {
            Location::Exact(span) | Location::Container(span) => Some(span),
            Location::Generated | Location::Unknown => None,
        })
    }

    /// The exact span of `pc`, its own or the nearest one in its basic block.
    pub(crate) fn exact(&self, pc: Pc) -> Option<SourceSpan> {
        let index = self.index(pc)?;
        let first =
            self.instructions[..=index].iter().rposition(|mapped| mapped.starts_block).unwrap_or_default();
        let after = &self.instructions[index + 1..];
        let length = after.iter().position(|mapped| mapped.starts_block).unwrap_or(after.len());
        let before = self.instructions[first..=index].iter().rev();
        before.chain(&after[..length]).find_map(|mapped| match mapped.location {
            Location::Exact(span) => Some(span),
            _ => None,
        })
    }

    /// Where to show something that happens at `pc` inside the internal `calls` (the jumps that are open, outermost first):
    /// the innermost exact line that `prefer` accepts, usually one in the project's own code.
    pub(crate) fn attribute(
        &self,
        pc: Pc,
        calls: &[Pc],
        prefer: impl Fn(SourceSpan) -> bool,
    ) -> Option<Attribution> {
        let lines = || std::iter::once(&pc).chain(calls.iter().rev()).filter_map(|&pc| self.exact(pc));
        let innermost = lines().next();
        if let Some(primary) = lines().find(|&span| prefer(span)) {
            let inner = innermost.filter(|&inner| inner != primary);
            return Some(Attribution { primary, preferred: true, inner });
        }
        let primary = innermost.or_else(|| self.span_of(pc))?;
        Some(Attribution { primary, preferred: prefer(primary), inner: None })
    }

    /// Follows the calls along `way`, the first instructions of the blocks that control passes through. `None` where the
    /// map does not say which jumps are calls.
    pub(crate) fn follow(&self, way: &[Pc]) -> Option<Trail> {
        if !self.instructions.iter().any(|mapped| mapped.jump == Jump::Into) {
            return None;
        }
        let mut trail = Trail::default();
        for (&block, &entered) in way.iter().zip(way.get(1..)?) {
            let first = self.index(block)?;
            let after = &self.instructions[first + 1..];
            let length = after.iter().position(|mapped| mapped.starts_block).unwrap_or(after.len());
            let last = &self.instructions[first + length];
            // Where a function stands right behind its call, there is no jump.
            let runs_on = after.get(length).is_some_and(|next| next.pc == entered) && !last.ends_block;
            trail.returned = None;
            match last.jump {
                Jump::Into => trail.calls.push(last.pc),
                Jump::Out => trail.returned = trail.calls.pop(),
                Jump::Regular if runs_on && self.functions.binary_search(&entered).is_ok() => {
                    trail.calls.push(last.pc);
                }
                Jump::Regular => {}
            }
        }
        Some(trail)
    }

    /// Those of the `JUMP`s before the return addresses of a call that are the calls which return there. A block that
    /// several calls return to (a `STOP` that the optimiser shares) stands behind a jump of one of them or of none; the
    /// map tells, where it has kinds of jumps at all.
    pub(crate) fn open_calls(&self, call_sites: &[Pc]) -> Vec<Pc> {
        let is_in = |mapped: &Mapped| mapped.jump == Jump::Into;
        let tells = self.instructions.iter().any(is_in);
        let is_call = |pc: &Pc| !tells || self.instruction(*pc).is_some_and(is_in);
        call_sites.iter().copied().filter(is_call).collect()
    }

    fn index(&self, pc: Pc) -> Option<usize> {
        self.instructions.binary_search_by_key(&pc, |mapped| mapped.pc).ok()
    }
}

/// The program counter of every instruction, as the EVM decodes the code from its first byte.
pub(crate) fn program_counters(code: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let mut next = 0;
    std::iter::from_fn(move || {
        let pc = next;
        let &byte = code.get(pc)?;
        next += instruction_length(byte);
        Some(pc as u32)
    })
}

/// Bytes of an instruction. Only pushes carry immediates in the code that compilers emit today; an undefined byte is one
/// instruction.
fn instruction_length(byte: u8) -> usize {
    let push = OpCode::new(byte).filter(|op| op.is_push());
    1 + push.map_or(0, |op| usize::from(op.info().immediate_size()))
}

/// The word that an instruction pushes, where it is one that a program counter fits.
fn pushed(instruction: &[u8]) -> Option<u32> {
    let (&byte, immediate) = instruction.split_first()?;
    let is_push = OpCode::new(byte).is_some_and(OpCode::is_push);
    (is_push && immediate.len() <= 4)
        .then(|| immediate.iter().fold(0, |word, &byte| word << 8 | u32::from(byte)))
}

fn ends_block(byte: u8) -> bool {
    byte == opcode::JUMP
        || byte == opcode::JUMPI
        || OpCode::new(byte).is_some_and(|op| op.info().is_terminating())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: SourceId = SourceId(0);

    fn at(entry: &MapEntry) -> Location {
        let span =
            |file| SourceSpan { source: SourceId(file), start: entry.start as u32, end: entry.end() as u32 };
        match entry.file {
            0 | 1 if entry.start == 0 => Location::Container(span(entry.file as u32)),
            0 | 1 => Location::Exact(span(entry.file as u32)),
            2 => Location::Generated,
            _ => Location::Unknown,
        }
    }

    #[test]
    fn push_immediates_are_not_instructions() {
        let code =
            [opcode::PUSH2, opcode::JUMPDEST, opcode::JUMPDEST, opcode::JUMPDEST, 0x0c, opcode::PUSH32];
        assert_eq!(program_counters(&code).collect::<Vec<_>>(), [0, 3, 4, 5]);
    }

    #[test]
    fn generated_code_takes_the_nearest_line_of_its_block() {
        // The store's own location is generated code; the line before the jump destination must not be taken.
        let code =
            [opcode::CALLER, opcode::JUMPDEST, opcode::CALLER, opcode::SSTORE, opcode::STOP, opcode::CALLER];
        let entries = decode("10:5:0;0:9:2;30:3:0;0:9:2;40:2:0;").expect("a valid map");
        let map = SourceMap::from_instructions(&code, &entries, at);
        assert_eq!(map.exact(Pc(3)), Some(SourceSpan { source: SOURCE, start: 30, end: 33 }));
        assert_eq!(map.exact(Pc(1)), Some(SourceSpan { source: SOURCE, start: 30, end: 33 }));
        assert_eq!(map.exact(Pc(0)), Some(SourceSpan { source: SOURCE, start: 10, end: 15 }));
        assert_eq!(map.exact(Pc(77)), None);
    }

    #[test]
    fn the_projects_line_wins_over_the_library_and_keeps_it_as_inner() {
        let code =
            [opcode::JUMP, opcode::JUMPDEST, opcode::JUMP, opcode::JUMPDEST, opcode::SSTORE, opcode::STOP];
        let entries = decode("10:5:0:i;20:1;21:1:0:i;0:90:1;70:4:1;").expect("a valid map");
        let map = SourceMap::from_instructions(&code, &entries, at);
        let found = map.attribute(Pc(4), &[Pc(0), Pc(2)], |span| span.source == SOURCE).expect("located");
        assert_eq!(found.primary, SourceSpan { source: SOURCE, start: 21, end: 22 });
        assert_eq!(found.inner, Some(SourceSpan { source: SourceId(1), start: 70, end: 74 }));
        assert_eq!(map.instruction(Pc(2)).map(|mapped| mapped.jump), Some(Jump::Into));
        let library = map.attribute(Pc(4), &[], |span| span.source == SOURCE).expect("located");
        assert!(!library.preferred);
    }

    #[test]
    fn a_shared_return_address_is_nobodys_call() {
        // The jump at 0 leaves another function; what it calls with the address behind it is called from elsewhere.
        let code =
            [opcode::JUMP, opcode::JUMPDEST, opcode::JUMP, opcode::JUMPDEST, opcode::SSTORE, opcode::STOP];
        let own = |span: SourceSpan| span.source == SOURCE;
        let shared = decode("10:5:0;20:1;21:1:1:i;0:90:1;70:4:1;").expect("a valid map");
        let shared = SourceMap::from_instructions(&code, &shared, at);
        let found = shared.attribute(Pc(4), &shared.open_calls(&[Pc(0), Pc(2)]), own).expect("located");
        assert!(!found.preferred, "{found:?}");
        // A map without kinds of jumps, as Vyper's, leaves every one of them a call.
        let silent = decode("10:5:0;20:1;21:1:1;0:90:1;70:4:1;").expect("a valid map");
        let silent = SourceMap::from_instructions(&code, &silent, at);
        let found = silent.attribute(Pc(4), &silent.open_calls(&[Pc(0), Pc(2)]), own).expect("located");
        assert_eq!(found.primary, SourceSpan { source: SOURCE, start: 10, end: 15 });
    }
}
