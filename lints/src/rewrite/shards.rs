//! A sum for everybody becomes one for each of 64 groups of senders.
//!
//! In: a finding on a counter or a sum. Out: a mapping in its place, and a view of its name that adds up. Offered where
//! the sum only grows and only views read it: then nothing else of the contract changes.

use super::{
    Rewrite, declaration, indent,
    uses::{Deed, Uses},
};
use crate::{diagnostic::Diagnostic, source_map::SourceSpan, unit::Project};

/// How many groups.
const SHARDS: u32 = 64;

/// Counts in shards that the sender picks.
pub(super) fn by_sender(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let variable = declaration(project, diagnostic)?;
    // Packed variables would move their neighbours.
    if variable.type_name != "uint256" {
        return None;
    }
    let uses = Uses::of(project, variable)?;
    let specifiers = uses.specifiers(1);
    let visibility = match specifiers.as_slice() {
        [] => "internal",
        [one @ ("public" | "internal" | "private")] => one,
        _ => return None,
    };
    let name = &variable.name;
    let sharded = format!("{name}In");
    if uses.initial().is_some() || !uses.is_free(project, &sharded) {
        return None;
    }
    let mut edits = Vec::new();
    let mut is_read = visibility == "public";
    for one in &uses.all {
        match one.deed {
            Deed::Assign { first, operator, semicolon } => {
                let added = match uses.code.text(operator) {
                    "+=" => {
                        let value = uses.code.span(operator + 1, semicolon - 1);
                        project.text(value).to_owned()
                    }
                    "++" => "1".to_owned(),
                    // What one group has taken in, another may give back.
                    _ => return None,
                };
                let text = format!("{sharded}[uint160(msg.sender) % {SHARDS}] += {added}");
                edits.push((uses.code.span(first, semicolon - 1), text));
            }
            Deed::Read => {
                let function = one.function?;
                let (from, to) = uses.code.within(function.span);
                let body = (from..to).find(|&it| uses.code.text(it) == "{")?;
                if !uses.code.texts(from, body).contains(&"view") {
                    return None;
                }
                is_read = true;
                edits.push((uses.code.span(one.at, one.at), format!("{name}()")));
            }
            Deed::Push { .. } => return None,
        }
    }
    let indent = indent(project, variable.span)?;
    let declared = uses.code.span(uses.declared.0, uses.declared.1);
    edits.push((declared, format!("mapping(uint256 => uint256) private {sharded}")));
    if visibility == "internal" {
        // Contracts that inherit it count as well.
        edits.pop();
        edits.push((declared, format!("mapping(uint256 => uint256) internal {sharded}")));
    }
    if is_read {
        let at = uses.contract.end - 1;
        let place = SourceSpan { start: at, end: at, ..uses.contract };
        let text = format!(
            "\n{indent}/// What all {SHARDS} shards come to.\n\
             {indent}function {name}() {visibility} view returns (uint256 sum) {{\n\
             {indent}{indent}for (uint256 shard = 0; shard < {SHARDS}; shard++) {{\n\
             {indent}{indent}{indent}sum += {sharded}[shard];\n\
             {indent}{indent}}}\n\
             {indent}}}\n"
        );
        edits.push((place, text));
    }
    Some(Rewrite {
        title: format!("Count `{name}` in {SHARDS} shards by sender"),
        note: format!(
            "reading `{name}` costs {SHARDS} loads instead of one, and a contract that is deployed behind a proxy would \
             start again at zero"
        ),
        edits,
    })
}
