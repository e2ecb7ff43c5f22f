"""Runs what this repository offers for build servers against the demo project, as far as that goes without a server.

In: the path of the binary; with `--packages FOLDER` the wheels that are installed as the recipes say, and pre-commit on the
path, otherwise the binary stands in for what they install, and the hook of pre-commit is left out. Out: one line, or an error
that says which step did something else than it should. The steps of the action and of the template are taken from their own
files, so that what is tested is what is shipped.
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
ROOT = HERE.parent.parent
DEMO = ROOT / "fixtures" / "demo"


def main():
    binary = Path(sys.argv[1]).resolve()
    packages = Path(sys.argv[3]).resolve() if sys.argv[2:3] == ["--packages"] else None
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        tools, project = scratch / "tools", scratch / "project"
        tools.mkdir()
        (tools / "deconflict").symlink_to(binary)
        environment = {**os.environ}
        environment.pop("FOUNDRY_PROFILE", None)
        if packages:
            # What the recipes install comes from the folder alone.
            environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packages), "PRE_COMMIT_HOME": str(scratch / "hooks")}

        def run(command, code, first=tools, **variables):
            """Standard output of a command that has to end with `code`; `first` is where the path begins."""
            variables = {**environment, "PATH": f"{first}{os.pathsep}{environment['PATH']}", **variables}
            # As the servers call it.
            shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command]
            result = subprocess.run(shell, cwd=project, env=variables, capture_output=True, text=True)
            if result.returncode != code:
                sys.exit(f"`{command}` ended with {result.returncode}, not {code}:\n{result.stdout}{result.stderr}")
            return result.stdout

        def turn(moment):
            shutil.copytree(DEMO / moment, project, dirs_exist_ok=True)

        turn("start")
        run("git init -q && git config user.name Test && git config user.email test@example.com", 0)
        run("deconflict check --write-baseline && deconflict budget --write && git add . && git commit -qm Start", 0)

        github(run, turn, project, scratch, packages)
        turn("start")
        gitlab(run, turn, project, packages)
        turn("start")
        hook(run, turn, project)
        if packages:
            turn("start")
            # As projects have it: what is compiled is not the repository's, so that pre-commit leaves it where it is.
            ignore = "git rm -rq --cached out && echo out/ >.gitignore && git add src .gitignore"
            run(f"{ignore} && git commit -qm 'Back to the start' --no-verify", 0)
            framework(run, turn, project, scratch)
    done = "the action, the template and the hooks do what they say"
    print(done if packages else f"{done}, but for what they install: --packages FOLDER looks at that too")


def steps(text):
    """Name, variables and command of each step of an action, with the inputs' defaults put in."""
    inputs = dict(re.findall(r"^  (\w+):\n    description: .*\n    default: (.*)$", text, re.M))
    found = []
    for step in text.split("    - name: ")[1:]:
        name, rest = step.split("\n", 1)
        values = re.findall(r"^        (\w+): (.*)$", rest, re.M)
        given = {key: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda it: inputs[it[1]], value) for key, value in values}
        command = re.search(r"^      run: (?:\|\n((?:        .*\n)+)|(.*)$)", rest, re.M)
        assert "shell: bash" in rest and command and "${{" not in str(given), step
        variables = {key: value.strip('"') for key, value in given.items()}
        found.append((name, variables, command[1] or command[2]))
    return found


def github(run, turn, project, scratch, packages):
    (_, wanted, install), (_, variables, command) = steps((ROOT / "action.yml").read_text())
    summary, path = scratch / "summary.md", scratch / "path"
    runner = {"RUNNER_TEMP": str(scratch / "runner"), "GITHUB_PATH": str(path), "GITHUB_ACTION_PATH": str(ROOT)}
    path.touch()
    run(install, 0, **runner | {"VERSION": "none"})
    assert not path.read_text(), "`none` takes what is there"
    if packages:
        run(install, 0, **runner | wanted)
        (folder,) = path.read_text().split()
        run(install, 1, **runner | {"VERSION": "0.0.0"})
    else:
        folder = scratch / "tools"
    variables |= {"GITHUB_STEP_SUMMARY": str(summary), "first": folder, **runner}
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


def gitlab(run, turn, project, packages):
    text = (HERE / "gitlab.yml").read_text()
    variables = dict(re.findall(r"^    (DECONFLICT_\w+): ([\w.]+)$", text, re.M))
    install, command = re.search(r"^  script:\n    - (.*)\n    - (.*)\n", text, re.M).groups()
    command = command.replace("ci/deconflict", str(HERE))
    reports = re.findall(r"^      \w+: (\S+\.\w+)$", text, re.M)
    assert len(variables) == 3 and len(reports) == 2, text
    if packages:
        run(install, 0, **variables)
        assert (project / ".deconflict" / "bin" / "deconflict").exists()
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


def framework(run, turn, project, scratch):
    """The hook of the pre-commit framework, which clones this repository as it is now and installs what it says."""
    (project / ".git" / "hooks" / "pre-commit").unlink()
    clone = scratch / "repository"
    run(f"git clone --quiet --depth 1 'file://{ROOT}' '{clone}'", 0)
    for name in [".pre-commit-hooks.yaml", "pyproject.toml"]:
        shutil.copy(ROOT / name, clone / name)
    commit = "-c user.name=Test -c user.email=test@example.com commit --quiet --allow-empty --all --message Now"
    run(f"git -C '{clone}' add . && git -C '{clone}' {commit} && git -C '{clone}' tag -f v0.0.0", 0)
    configuration = f"repos:\n- repo: {clone}\n  rev: v0.0.0\n  hooks:\n  - id: deconflict\n"
    (project / ".pre-commit-config.yaml").write_text(configuration)
    # What the hook calls has to be what it has installed.
    nothing = {"first": scratch / "nothing"}
    run("git add .pre-commit-config.yaml && pre-commit install", 0, **nothing)
    run("git commit -qm 'Check before each commit'", 0, **nothing)
    turn("counter")
    out = run("git add src && git commit -m 'Count the volume' 2>&1", 1, **nothing)
    assert "C102" in out and "has changed since" not in out, out
    turn("suppressed")
    run("git add src && git commit -qm 'Count the volume, and say why'", 0, **nothing)


main()
