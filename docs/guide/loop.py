"""The loop of whoever writes contracts: edit, build or not, check; in Foundry and in Hardhat 2 and 3.

In: a folder for scratch files, an environment with forge and deconflict on the PATH, and where npm's solc lies. Out: nothing,
or an error that names the command that did something else. Everything that is run is what a person would run, everything
that is advised is done to the letter, and no tool that is missing is passed over.
"""

import hashlib
import json
import re
import subprocess
import sys

HARDHAT = {
    2: ["hardhat@2.29.1"],
    # npm installs what runs on this machine alone only if it is asked for by name.
    3: ["hardhat@3.18.0", "node@22"],
}

SOURCE = """// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

contract Till {
    uint256 public takings;

    function pay() external payable {
        takings += msg.value;
    }
}
"""
NAMES = """
import {Till} from "./Till.sol";

contract Door {
    uint256 public visits;

    function enter(Till till) external payable {
        visits += 1;
        till.pay{value: msg.value}();
    }
}
"""


class Shell:
    """Commands in one project."""

    def __init__(self, project, environment):
        self.project, self.environment = project, environment

    def run(self, command, code=0):
        ended = subprocess.run(
            ["sh", "-c", command], cwd=self.project, env=self.environment, capture_output=True, text=True, check=False
        )
        if ended.returncode != code:
            sys.exit(f"`{command}` ended with {ended.returncode}, not {code}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout, ended.stderr

    def check(self, *expected, options="", code=0):
        """Checks, and expects these and no number of a slot, no finding without a line and no warning."""
        before = listing(self.project)
        out, err = self.run(f"deconflict check --format concise {options}", code)
        for text in expected:
            require(text in out, f"check does not say {text!r}:\n{out}{err}")
        require("slot 0" not in out and ".json" not in out, f"names or lines are missing:\n{out}")
        require("warning: " not in err, f"the build is current:\n{err}")
        require(listing(self.project) == before, "check has written to the project")
        return out


def require(holds, message):
    if not holds:
        sys.exit(message)


def listing(project):
    """Every file of a project but for its packages, by its content."""
    files = (it for it in sorted(project.rglob("*")) if it.is_file() and "node_modules" not in it.parts)
    return {str(it): hashlib.sha256(it.read_bytes()).hexdigest() for it in files}


def edit(file, old, new):
    text = file.read_text()
    require(old in text, f"{file.name} has no {old!r}")
    file.write_text(text.replace(old, new))


def foundry(project, environment):
    """Edits and builds of a Foundry project."""
    source = project / "src"
    source.mkdir(parents=True)
    (project / "foundry.toml").write_text('[profile.default]\nsrc = "src"\nout = "out"\n')
    till, door = source / "Till.sol", source / "Door.sol"
    till.write_text(SOURCE)
    shell = Shell(project, environment)
    shell.check("src/Till.sol:8:9:", "`takings`")

    # A plain build keeps neither names nor trees.
    shell.run("forge build")
    shell.check("src/Till.sol:8:9:", "`takings`")

    # Edited and not built; then built, by and by.
    edit(till, "takings += msg.value;", "takings += msg.value;\n        count += 1;")
    edit(till, "uint256 public takings;", "uint256 public takings;\n    uint256 public count;")
    shell.check("src/Till.sol:10:9:", "`count`")
    shell.run("forge build")
    shell.check("src/Till.sol:10:9:", "`count`")
    door.write_text(SOURCE.split("contract")[0] + NAMES)
    shell.check("src/Door.sol:11:9:", "`visits`")
    shell.run("forge build")
    edit(door, "visits += 1;", "visits += 2;")
    shell.run("forge build")
    shell.check("src/Door.sol:11:9:", "src/Till.sol:10:9:")

    # A linter that leaves artifacts without code.
    edit(till, "count += 1;", "count += 3;")
    shell.run("forge lint || true")
    shell.run("forge build")
    shell.check("src/Till.sol:10:9:", "src/Door.sol:11:9:", options="--exit-zero --deny warnings")

    # Another name, and another file.
    edit(door, "contract Door", "contract Gate")
    door.rename(source / "Gate.sol")
    door = source / "Gate.sol"
    out = shell.check("src/Gate.sol:11:9:", "src/Till.sol:9:9:")
    require("Door" not in out, f"what was renamed is still told of:\n{out}")
    shell.run("forge build")
    out = shell.check("src/Gate.sol:11:9:")
    require("Door" not in out, f"what was renamed is still told of:\n{out}")

    # What does not compile is said in the compiler's words; what is there is read if it is asked for, and vouched for by nobody.
    edit(door, "visits += 2;", "visits += ;")
    _, err = shell.run("deconflict check", 2)
    require("src/Gate.sol:11" in err and "Error" in err, f"the compiler's words are missing:\n{err}")
    shell.run("deconflict check --fresh", 2)
    _, err = shell.run("deconflict check --no-build --format concise")
    advice = re.search(r"run `([^`]+)`", err)
    require(advice, f"nothing is advised:\n{err}")
    shell.run("deconflict check --no-build --deny C101 --exit-zero", 2)

    # What is advised brings all of it.
    edit(door, "visits += ;", "visits += 5;")
    shell.run(advice[1])
    shell.check("src/Gate.sol:11:9:", options="--no-build")
    shell.check("src/Gate.sol:11:9:", options="--fresh")

    # Without a compiler: what was built, and what to do about the rest.
    edit(door, "visits += 5;", "visits += 6;")
    bare = {**environment, "PATH": "/usr/bin:/bin"}
    binary, _ = shell.run("command -v deconflict")
    before = Shell(project, bare)
    _, err = before.run(f"{binary.strip()} check --format concise")
    require("cannot be compiled here" in err and "has changed since" in err, f"it does not say what is missing:\n{err}")
    before.run(f"{binary.strip()} check --deny warnings", 2)


def hardhat(version, project, environment, soljson):
    """Edits and builds of a Hardhat project."""
    (project / "contracts").mkdir(parents=True)
    (project / "package.json").write_text(json.dumps({"name": "till", "type": "module" if version == 3 else "commonjs"}))
    shell = Shell(project, environment)
    install = "npm install --no-audit --no-fund --no-save"
    shell.run(f"{install} {' '.join(HARDHAT[version])}")
    if version == 2:
        compiler = {
            "compilerPath": str(soljson),
            "isSolcJs": True,
            "version": "0.8.30",
            "longVersion": "0.8.30+commit.73712a01",
        }
        (project / "hardhat.config.js").write_text(
            'const { subtask } = require("hardhat/config");\n'
            'const { TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD: name } = require("hardhat/builtin-tasks/task-names");\n'
            f"subtask(name, async () => ({json.dumps(compiler)}));\n"
            'module.exports = { solidity: "0.8.30" };\n'
        )
    else:
        engine = json.loads((project / "node_modules/@nomicfoundation/edr/package.json").read_text())["version"]
        shell.run(f"{install} {' '.join(HARDHAT[3])} @nomicfoundation/edr-linux-x64-gnu@{engine}")
        (project / "hardhat.config.ts").write_text(
            'import { defineConfig } from "hardhat/config";\n'
            f'export default defineConfig({{ solidity: {{ version: "0.8.30", path: "{soljson}" }} }});\n'
        )
        path = f"{project}/node_modules/.bin:{environment['PATH']}"
        shell = Shell(project, {**environment, "PATH": path})
    source = project / "contracts" / "Till.sol"
    source.write_text(SOURCE)
    shell.check("contracts/Till.sol:8:9:", "`takings`")
    shell.run("npx hardhat compile")
    shell.check("contracts/Till.sol:8:9:", options="--fresh")
    edit(source, "uint256 public takings;", "uint256 public takings;\n    uint256 public count;")
    shell.check("contracts/Till.sol:9:9:")
    other = project / "contracts" / "Door.sol"
    other.write_text(SOURCE.split("contract")[0] + NAMES)
    shell.run("npx hardhat compile")
    edit(other, "visits += 1;", "visits += 2;")
    shell.run("npx hardhat compile")
    shell.check("contracts/Door.sol:11:9:", "contracts/Till.sol:9:9:", options="--no-build")
    edit(other, "visits += 2;", "visits += ;")
    _, err = shell.run("deconflict check", 2)
    require("Door.sol:11" in err, f"the compiler's words are missing:\n{err}")


def follow(scratch, environment, soljson):
    """Everything, one after the other."""
    environment = {**environment, "DECONFLICT_CACHE_DIR": str(scratch / "cache"), "HARDHAT_DISABLE_TELEMETRY_PROMPT": "true"}
    foundry(scratch / "by-forge", environment)
    for version in HARDHAT:
        hardhat(version, scratch / f"by-hardhat-{version}", environment, soljson)
    print("edits, builds and renames are seen in Foundry and in Hardhat 2 and 3")
