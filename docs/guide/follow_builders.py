"""Follows the builders' guide literally.

In: the path of the binary. Out: nothing, or an error that names the command that did something else than the guide says.
Every `sh` block of builders.md beside this file is run in order, in a folder that shows the repository's fixtures.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def main():
    binary = Path(sys.argv[1]).resolve()
    blocks = re.findall(r"^```sh\n(.*?)^```$", (HERE / "builders.md").read_text(), re.M | re.S)
    assert len(blocks) == 5, f"the guide has {len(blocks)} blocks of commands; this script knows what 5 of them do"
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        (scratch / "path").mkdir()
        (scratch / "path" / "deconflict").symlink_to(binary)
        (scratch / "fixtures").symlink_to(ROOT / "fixtures")
        path = f"{scratch / 'path'}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "DECONFLICT_CACHE_DIR": str(scratch / "cache")}

        def run(command):
            result = subprocess.run(["sh", "-ec", command], cwd=scratch, env=environment, capture_output=True, text=True)
            if result.returncode != 0:
                sys.exit(f"`{command}` ended with {result.returncode}:\n{result.stdout}{result.stderr}")
            return result.stdout

        first, formats, own, templates, server = blocks
        assert "wait for nobody" in run(first)
        assert run(formats).startswith("0x01")
        document = json.loads((scratch / "hints.json").read_text())
        assert document["schema"] == "deconflict/hints/1" and document["plan"]["lanes"]
        assert (scratch / "hints.bin").read_bytes()[:4] == b"DCFH"
        assert json.loads(run(own))["from"] == "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
        assert json.loads(run(templates)), "there is something to read ahead"
        assert json.loads(run(server))["result"]["plan"]["lanes"] == [[0]]
    print(f"{len(blocks)} blocks of the builders' guide do what it says")


main()
