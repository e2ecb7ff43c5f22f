//! Prints the summaries and the conflict matrix of a runtime code given as hex in a file.
//!
//! `cargo run -p deconflict-analyzer --example dump -- code.hex`

use deconflict_analyzer::{Alias, Effect, Entry, Options, Plain, Render, analyze, conflicts};

#[expect(clippy::print_stdout, reason = "an example prints")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: dump FILE")?;
    let text = std::fs::read_to_string(path)?;
    let code = alloy_primitives::hex::decode(text.trim())?;
    let analysis = analyze(code.into(), &Options::default());
    for summary in &analysis.summaries {
        let render =
            Render { expressions: &analysis.expressions, names: &Plain, entry: summary.entry, prefix: "" };
        let name = match summary.entry {
            Entry::Function(selector) => selector.to_string(),
            Entry::Receive => "receive".to_owned(),
            Entry::Fallback => "fallback".to_owned(),
        };
        println!(
            "{name} reverts={} {:?} {:?}",
            summary.always_reverts, summary.permission, summary.incomplete
        );
        for access in &summary.accesses {
            let place = render.access_slot(access.space, &access.slot, access.bytes);
            let when: Vec<String> = access.circumstance.when.iter().map(|c| render.condition(*c)).collect();
            let detail = match &access.effect {
                Effect::Read { escapes, .. } => format!("read {escapes:?}"),
                Effect::Write { value, form } => format!("write {form:?} = {}", render.expression(*value)),
            };
            println!(
                "  {} {place} {detail}{}{}{} when {when:?}",
                access.position.pc,
                if access.circumstance.reverts { " reverts" } else { "" },
                if access.circumstance.always { " always" } else { "" },
                if access.circumstance.repeated { " repeated" } else { "" },
            );
        }
        for call in &summary.calls {
            println!(
                "  {} {:?} {} {:?}",
                call.position.pc,
                call.kind,
                render.expression(call.target),
                call.selector
            );
        }
    }
    for conflict in conflicts(&analysis) {
        for cause in &conflict.causes {
            let side = |index: usize, prefix| Render {
                expressions: &analysis.expressions,
                names: &Plain,
                entry: analysis.summaries[index].entry,
                prefix,
            };
            let condition = match &cause.alias {
                Alias::When(pairs) => pairs
                    .iter()
                    .map(|(a, b)| {
                        format!(
                            "{} == {}",
                            side(conflict.a, "a.").expression(*a),
                            side(conflict.b, "b.").expression(*b)
                        )
                    })
                    .collect::<Vec<_>>()
                    .join(" && "),
                other => format!("{other:?}"),
            };
            println!(
                "{:?} x {:?} {:?} {condition}",
                analysis.summaries[conflict.a].entry, analysis.summaries[conflict.b].entry, cause.kind
            );
        }
    }
    Ok(())
}
