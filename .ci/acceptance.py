"""What a user is promised of the commands, held against this checkout.

In: the checkout, with `fixtures/real` installed. Out: one line a promise; exit code 1 if one is broken. The commands are
those of the README, run through cargo as a user would run them.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = {
    "A601": "pool-reserves", "B201": "fee-sink-balance", "C101": "global-counter", "C102": "global-accumulator",
    "C105": "sequential-id", "E501": "array-push", "E502": "enumerable-set", "G401": "storage-reentrancy-guard",
    "N802": "self-balance-read", "P301": "false-sharing", "T1101": "temp-in-storage", "X701": "unknown-slot-write",
}
failures = []


def deconflict(*arguments):
    command = ["cargo", "run", "--release", "--locked", "--quiet", "--", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def promise(text, kept, evidence=""):
    print(f"{'kept  ' if kept else 'BROKEN'} {text}")
    if not kept:
        failures.append(text)
        print(f"       {evidence}")


def is_span(span):
    fields = ["start_line", "start_column", "end_line", "end_column"]
    if not isinstance(span, dict) or not isinstance(span.get("file"), str):
        return False
    if not all(isinstance(span.get(field), int) and span[field] >= 1 for field in fields):
        return False
    start, end = (span["start_line"], span["start_column"]), (span["end_line"], span["end_column"])
    path = ROOT / "fixtures" / span["file"]
    return start < end and path.is_file() and span["end_line"] <= len(path.read_text().splitlines())


def lacks(diagnostic):
    """Which of the promised fields a diagnostic lacks."""
    def text(name):
        return isinstance(diagnostic.get(name), str) and diagnostic[name] != ""

    wrong = [name for name in ("rule", "code", "contract", "message", "help", "fingerprint") if not text(name)]
    # A finding about a balance is about no variable.
    if not isinstance(diagnostic.get("variable"), str):
        wrong.append("variable")
    if diagnostic.get("severity") not in ("error", "warning", "note"):
        wrong.append("severity")
    if diagnostic.get("confidence") not in ("proved", "likely"):
        wrong.append("confidence")
    functions = diagnostic.get("functions")
    if not functions or not all(isinstance(name, str) and name for name in functions):
        wrong.append("functions")
    # A location that is no fixed slot has none, and says so.
    if "slot" not in diagnostic or not isinstance(diagnostic["slot"], (str, type(None))):
        wrong.append("slot")
    if not is_span(diagnostic.get("primary")):
        wrong.append("primary")
    related = diagnostic.get("related")
    if not isinstance(related, list) or not all(is_span(it.get("span")) and it.get("label") for it in related):
        wrong.append("related")
    return wrong


def check_prints_every_rule():
    run = deconflict("check", "fixtures")
    promise("`check fixtures` exits with 0", run.returncode == 0, f"{run.returncode}: {run.stderr[:500]}")
    for code, name in RULES.items():
        headed = f"[{code}]" in run.stdout and f"`{name}` ({code})" in run.stdout
        promise(f"`check fixtures` names {code} {name}", headed)
    excerpts = len(re.findall(r"╭─\[ contracts/\S+\.sol:\d+:\d+ \]", run.stdout))
    headings = len(re.findall(r"^(?:warning|error|note)\[", run.stdout, re.M))
    promise("every diagnostic has a source excerpt", headings > 0 and excerpts == headings, f"{excerpts} of {headings}")
    promise("no escape sequence in a pipe", "\x1b" not in run.stdout)
    denied = deconflict("check", "fixtures", "--deny", "warnings")
    promise("`--deny warnings` exits with 1", denied.returncode == 1, f"{denied.returncode}: {denied.stderr[:500]}")


def check_json_is_complete():
    run = deconflict("check", "fixtures", "--format", "json")
    promise("`--format json` exits with 0", run.returncode == 0, run.stderr[:500])
    document = json.loads(run.stdout)
    promise("the schema is deconflict/check/1", document.get("schema") == "deconflict/check/1")
    diagnostics = document["diagnostics"]
    fired = {it["rule"] for it in diagnostics}
    promise("the twelve rules are among those that fire", set(RULES.values()) <= fired, sorted(set(RULES.values()) - fired))
    poor = [f"{it.get('contract')} {it.get('rule')}: {lacks(it)}" for it in diagnostics if lacks(it)]
    promise(f"all {len(diagnostics)} diagnostics have every field", not poor, "; ".join(poor))
    promise("some diagnostics have related spans", any(it["related"] for it in diagnostics))
    expected = set()
    for path in (ROOT / "fixtures/contracts").rglob("*.sol"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            # What only pedantic rules find is marked `//~?`, and not asked for here.
            for rules in re.findall(r"//~(?!\?)([^/]*)", line):
                for rule in filter(None, map(str.strip, rules.split(","))):
                    expected.add((str(path.relative_to(ROOT / "fixtures")), number, rule))
    found = {(it["primary"]["file"], it["primary"]["start_line"], it["rule"]) for it in diagnostics if is_span(it["primary"])}
    promise(f"the findings are the {len(expected)} that comments expect", found == expected and len(found) == len(diagnostics),
            f"missing {sorted(expected - found)}, not expected {sorted(found - expected)}, {len(diagnostics)} in all")


def check_token_matrix(pipeline):
    file = f"fixtures/real/build/openzeppelin-presets-{pipeline}.json"
    run = deconflict("inspect", f"{file}:TokenPreset", "--format", "json")
    promise(f"{pipeline}: `inspect` of the token preset exits with 0", run.returncode == 0, run.stderr[:500])
    document = json.loads(run.stdout)
    promise(f"{pipeline}: the schema is deconflict/inspect/1", document.get("schema") == "deconflict/inspect/1")
    (contract,) = document["contracts"]
    functions = {function["name"]: function for function in contract["functions"]}
    transfer, mint = "transfer(address,uint256)", "mint(address,uint256)"

    def touched(name, kind):
        return {access["variable"].split("[")[0] for access in functions[name][kind]}

    for name in (transfer, mint):
        promise(f"{pipeline}: {name} is complete", functions[name]["complete"])
    promise(f"{pipeline}: transfer touches balances alone",
            touched(transfer, "reads") | touched(transfer, "writes") == {"_balances"},
            f"{touched(transfer, 'reads')} {touched(transfer, 'writes')}")
    cells = {(cell["a"], cell["b"]): cell for cell in contract["conflicts"]}
    cell = cells[transfer, transfer]
    promise(f"{pipeline}: transfer × transfer conflicts under a condition", cell["verdict"] == "when", cell)
    sides = set()
    terms = re.split(r" \|\| ", cell["condition"] or "")
    for term in terms:
        match = re.fullmatch(r"\(?(a\.\w+) == (b\.\w+)\)?", term)
        sides |= set(match.groups()) if match else {term}
    promise(f"{pipeline}: the condition compares caller and recipient only",
            sides == {"a.caller", "a.to", "b.caller", "b.to"}, cell["condition"])
    cell = cells[mint, mint]
    promise(f"{pipeline}: mint × mint always conflicts on the total supply, mergeable",
            cell["verdict"] == "always" and "_totalSupply" in cell["variables"] and cell["mergeable"], cell)


def main():
    check_prints_every_rule()
    check_json_is_complete()
    for pipeline in ("legacy", "via-ir"):
        check_token_matrix(pipeline)
    print(f"{len(failures)} broken" if failures else "all kept")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
