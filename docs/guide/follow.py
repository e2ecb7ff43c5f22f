"""Follows the guide literally, in a Foundry project made from nothing.

In: the path of the binary. Out: nothing, or an error that names the command that did something else than the guide says.
Every `sh` block of README.md beside this file is run in order, and then what a day's work consists of (loop.py). forge and solc come from npm; `forge` on the PATH is npm's
with the compiler that the demo's wrapper makes of npm's solc, since no other compiler can be taken for granted.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import loop

HERE = Path(__file__).resolve().parent
WRAPPER = HERE.parent.parent / "fixtures" / "demo" / "solc"
TOOLS = ["@foundry-rs/forge@1.7.1", "solc@0.8.30"]

COUNTER = """// SPDX-License-Identifier: MIT
pragma solidity ^0.8.13;

contract Counter {
    uint256 public number;

    function increment() public {
        number++;
    }
}
"""
WORSE = """
contract Shop {
    mapping(address buyer => uint256) public paid;
    uint256 public takings;

    function buy() external payable {
        paid[msg.sender] += msg.value;
        takings += msg.value;
    }
}
"""


def main():
    binary = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        environment = tools(scratch, binary)
        project = scratch / "project"
        (project / "src").mkdir(parents=True)
        (project / "foundry.toml").write_text('[profile.default]\nsrc = "src"\nout = "out"\nlibs = ["lib"]\n')
        source = project / "src" / "Counter.sol"
        source.write_text(COUNTER)

        def run(command, code=0):
            result = subprocess.run(
                ["sh", "-ec", command], cwd=project, env=environment, capture_output=True, text=True
            )
            if result.returncode != code:
                sys.exit(f"`{command}` ended with {result.returncode}, not {code}:\n{result.stdout}{result.stderr}")
            return result.stdout

        blocks = re.findall(r"^```sh\n(.*?)^```$", (HERE / "README.md").read_text(), re.M | re.S)
        assert len(blocks) == 5, f"the guide has {len(blocks)} blocks of commands; this script knows what 5 of them do"
        first, *others, server = blocks
        assert "[C101]" in run(first), "the first look finds the counter"
        for block in others:
            run(block)
        for file in ["deconflict.toml", "deconflict-baseline.json", "deconflict-budget.json"]:
            assert (project / file).is_file(), f"the guide makes {file}"
        assert "1 known to the baseline" in run(server), "the server knows the counter"

        source.write_text(COUNTER + WORSE)
        run("forge build")
        check, budget = server.splitlines()
        out = run(check, 1)
        assert "takings" in out and "`increment`" not in out, out
        assert "Shop: buy × buy: was not there, now always (" in run(budget, 1)
        line = "        takings += msg.value;"
        reason = ' // deconflict: allow(global-accumulator) reason="ten calls a day"'
        source.write_text(source.read_text().replace(line, line + reason))
        run("forge build")
        run(check)
        print(f"{len(blocks)} blocks of the guide do what it says")
        loop.follow(scratch, environment, scratch / "tools" / "node_modules" / "solc" / "soljson.js")


def tools(scratch, binary):
    """Installs forge and solc, and gives an environment in which they are on the PATH beside the binary."""
    install = ["npm", "install", "--prefix", str(scratch / "tools"), "--no-audit", "--no-fund", "--no-save", "--ignore-scripts"]
    subprocess.run([*install, *TOOLS], check=True, capture_output=True)
    modules = scratch / "tools" / "node_modules"
    solc = modules / "solc" / "solc"
    shutil.copy(WRAPPER, solc)
    path = scratch / "path"
    path.mkdir()
    (path / "deconflict").symlink_to(binary)
    forge = path / "forge"
    forge.write_text(f'#!/bin/sh\ncommand=$1\nshift\nexec "{modules}/.bin/forge" "$command" --offline --use "{solc}" "$@"\n')
    forge.chmod(0o755)
    environment = {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("FOUNDRY_PROFILE", None)
    return environment


main()
