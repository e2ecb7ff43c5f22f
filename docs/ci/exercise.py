"""Runs what this folder offers for build servers against the demo project, as far as that goes without a server.

In: the path of the binary. Out: nothing, or an error that says which step did something else than it should. The steps of
the action and of the template are taken from their own files, so that what is tested is what is shipped.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent.parent / "fixtures" / "demo"


def main():
    binary = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        tools, project = scratch / "tools", scratch / "project"
        tools.mkdir()
        (tools / "deconflict").symlink_to(binary)
        environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        environment.pop("FOUNDRY_PROFILE", None)

        def run(command, code, **variables):
            result = subprocess.run(
                ["sh", "-c", command], cwd=project, env={**environment, **variables}, capture_output=True, text=True
            )
            if result.returncode != code:
                sys.exit(f"`{command}` ended with {result.returncode}, not {code}:\n{result.stdout}{result.stderr}")
            return result.stdout

        def turn(moment):
            shutil.copytree(DEMO / moment, project, dirs_exist_ok=True)

        turn("start")
        run("git init -q && git config user.name Test && git config user.email test@example.com", 0)
        run("deconflict check --write-baseline && deconflict budget --write && git add . && git commit -qm Start", 0)

        github(run, turn, project, scratch)
        turn("start")
        gitlab(run, turn, project)
        turn("start")
        hook(run, turn, project)
    print("the action, the template and the hook do what they say")


def github(run, turn, project, scratch):
    text = (HERE / "github" / "action.yml").read_text()
    command = re.search(r"^ +run: (.*)$", text, re.M)[1]
    inputs = dict(re.findall(r"^  (\w+):\n    description: .*\n    default: (.*)$", text, re.M))
    names = re.findall(r"^ +(DECONFLICT_\w+): \$\{\{ inputs\.(\w+) \}\}$", text, re.M)
    constants = re.findall(r"^ +(DECONFLICT_\w+): ([a-z]+)$", text, re.M)
    variables = {variable: inputs[name].strip('"') for variable, name in names} | dict(constants)
    summary = scratch / "summary.md"
    variables |= {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTION_PATH": str(HERE / "github")}
    assert "::" not in run(command, 0, **variables), "a clean project has no annotations"
    turn("counter")
    out = run(command, 1, **variables)
    assert "::error file=src/Token.sol,line=20," in out, out
    assert "now always (totalVolume" in out, out
    written = summary.read_text()
    assert "global-accumulator" in written and "| worse | Token |" in written, written
    sarif = json.loads((project / "deconflict.sarif").read_text())
    results = sarif["runs"][0]["results"]
    assert [it["ruleId"] for it in results] == ["C102"], results
    run(command, 1, **variables | {"DECONFLICT_SINCE": "HEAD"})
    run(command, 2, **variables | {"DECONFLICT_SINCE": "nothing"})


def gitlab(run, turn, project):
    text = (HERE / "gitlab.yml").read_text()
    variables = dict(re.findall(r"^    (DECONFLICT_\w+): (\w+)$", text, re.M))
    command = re.search(r"^    - (sh .*)$", text, re.M)[1].replace("ci/deconflict", str(HERE))
    reports = re.findall(r"^      \w+: (\S+\.\w+)$", text, re.M)
    assert len(variables) == 2 and len(reports) == 2, text
    run(command, 0, **variables)
    turn("counter")
    run(command, 1, **variables)
    issues = json.loads((project / reports[0]).read_text())
    assert [issue["location"]["path"] for issue in issues] == ["src/Token.sol"], issues
    suite = xml.parse(project / reports[1]).getroot()
    assert suite.get("failures") == "1", suite.attrib


def hook(run, turn, project):
    shutil.copy(HERE / "pre-commit", project / ".git" / "hooks" / "pre-commit")
    (project / ".git" / "hooks" / "pre-commit").chmod(0o755)
    run("echo '# Token' >README.md && git add README.md && git commit -qm 'Say what this is'", 0)
    turn("counter")
    run("git add src && git commit -qm 'Count the volume'", 1)
    turn("suppressed")
    run("git add src && git commit -qm 'Count the volume, and say why'", 0)


main()
