"""Holds the output that the documents show against what the binary prints.

In: the path of the binary; every ```console block of README.md and docs/ whose first line is `$ deconflict …`. Out: the
blocks that differ, exit code 1; with `--update` as second argument the blocks are rewritten instead. Output is compared
whole: nothing in a document may be made up.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```console\n\$ deconflict (?P<arguments>.*)\n(?P<output>(?:.*\n)*?)```$", re.M)


def main():
    binary, update = str(Path(sys.argv[1]).resolve()), sys.argv[2:] == ["--update"]
    checked = stale = 0
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text()

        def current(block):
            nonlocal checked, stale
            command = [binary, *shlex.split(block["arguments"])]
            run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            shown = (run.stdout + run.stderr).rstrip("\n") + "\n"
            checked += 1
            if shown != block["output"]:
                stale += 1
                print(f"{path.relative_to(ROOT)}: `deconflict {block['arguments']}` prints something else now:\n{shown}")
            return f"```console\n$ deconflict {block['arguments']}\n{shown}```"

        fresh = BLOCK.sub(current, text)
        if update and fresh != text:
            path.write_text(fresh)
    print(f"{checked} blocks of output, {stale} {'rewritten' if update else 'out of date'}")
    if checked == 0:
        print("no block was found: the documents or this pattern have changed")
    return 1 if checked == 0 or (stale and not update) else 0


if __name__ == "__main__":
    sys.exit(main())
