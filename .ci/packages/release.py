"""Holds what describes a release to its readers and to itself: versions, platforms, crates, workflow, action, Dockerfile.

In: the files of the repository, and the tools beside this interpreter. Out: one line a part, or an error that says what does
not hold. Never: a release; nothing is built but the archives of the crates, and nothing is uploaded.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = Path(sys.executable).parent
# What names the version beside Cargo.toml, and where it stands there.
VERSIONS = {
    "Cargo.toml": r'version = "=(.*)" }$',
    "pyproject.toml": r'^version = "(.*)"$|"deconflict==(.*)"',
    "action.yml": r"The version to install.*\n    default: (.*)$",
    "docs/CHANGELOG.md": r"\A# .*\n(?:(?!## ).*\n)*## (\S+)",
    "docs/ci/gitlab.yml": r"DECONFLICT_VERSION: (.*)$",
    "docs/ci/README.md": r"OWNER/deconflict@v(.*)$|rev: v(.*)$",
    "docs/editors/vscode/package.json": r'^  "version": "(.*)"',
}
CRATES = ["deconflict-analyzer", "deconflict-executor", "deconflict-lints", "deconflict", "deconflict-alloy-evm"]


def main():
    step("versions", versions)
    step("platforms", platforms)
    step("descriptions", descriptions)
    step("crates", crates)


def step(name, action, *arguments):
    start = time.monotonic()
    said = action(*arguments)
    print(f"{name}: {said} ({time.monotonic() - start:.0f} s)", flush=True)


def run(command, folder, code=0, **variables):
    """Standard output of a command that has to end with `code`."""
    environment = {**os.environ, **variables}
    result = subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    if result.returncode != code:
        words = " ".join(str(word) for word in command)
        sys.exit(f"`{words}` ended with {result.returncode}, not {code}:\n{result.stdout}{result.stderr}")
    return result.stdout


def released():
    """The version that cargo gives the workspace."""
    return next(line.split('"')[1] for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("version"))


def versions():
    for name, pattern in VERSIONS.items():
        found = [it[it.lastindex] for it in re.finditer(pattern, (ROOT / name).read_text(), re.M)]
        assert found and set(found) == {released()}, f"{name} names {found}, Cargo.toml {released()}"
    return f"{len(VERSIONS)} files agree on {released()}"


def platforms():
    """Archives, npm packages and the workflow's runs are for the same platforms."""
    packed = dict(re.findall(r'^  "([\w-]+)": "([\w-]+)",$', (ROOT / "cli/npm/pack.mjs").read_text(), re.M))
    workflow = (ROOT / ".github/workflows/release.yml").read_text()
    assert dict(re.findall(r"platform: ([\w-]+), target: ([\w-]+),", workflow)) == packed, workflow
    plan = json.loads(run([TOOLS / "dist", "plan", "--output-format=json"], ROOT))
    archives = {name: it for name, it in plan["artifacts"].items() if it["kind"] == "executable-zip"}
    targets = sorted(triple for it in archives.values() for triple in it["target_triples"])
    assert targets == sorted(packed.values()), targets
    for name, archive in archives.items():
        inside = {it.get("name") for it in archive["assets"]}
        assert {"LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY-LICENCES.txt"} <= inside, f"{name}: {inside}"
    return f"{len(packed)}, the same for npm, dist and the workflow"


def descriptions():
    """The servers' own schemas, which check-jsonschema brings, and the linters of pre-commit and Dockerfiles."""
    schema = [TOOLS / "check-jsonschema", "--builtin-schema"]
    run([*schema, "vendor.github-workflows", ".github/workflows/release.yml"], ROOT)
    run([*schema, "vendor.github-actions", "action.yml"], ROOT)
    run([*schema, "vendor.gitlab-ci", "docs/ci/gitlab.yml"], ROOT)
    run([TOOLS / "pre-commit", "validate-manifest", ".pre-commit-hooks.yaml"], ROOT)
    # Versions of Debian's packages come and go: what one pins cannot be built next month.
    run([TOOLS / "hadolint", "--ignore", "DL3008", "cli/Dockerfile"], ROOT)
    return "workflow, action, template, hooks and Dockerfile are well formed"


def crates():
    """Packs all crates in the order that they need each other, up to the upload, and looks at what is in them."""
    with tempfile.TemporaryDirectory() as scratch:
        publish = ["cargo", "publish", "--workspace", "--dry-run", "--no-verify", "--allow-dirty", "--locked"]
        run([*publish, "--target-dir", scratch], ROOT)
        archives = {it.name: it for it in Path(scratch).rglob("*.crate")}
        assert sorted(archives) == sorted(f"{name}-{released()}.crate" for name in CRATES), sorted(archives)
        size = 0
        for name, archive in archives.items():
            with tarfile.open(archive) as packed:
                files = [it.split("/", 1)[1] for it in packed.getnames()]
                for wanted in ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "Cargo.toml"]:
                    assert wanted in files, f"{name} has no {wanted}"
                others = [it for it in files if it.startswith(("tests/", "fixtures/", "target/"))]
                assert not others, f"{name} has {others}"
                holds_what_it_includes(name, packed, set(files))
            size += archive.stat().st_size
    return f"{len(archives)} packed, {size >> 10} KiB"


def holds_what_it_includes(name, packed, files):
    """Whether all that the sources take in from other files is in the archive, for the tree around it is gone then."""
    for member in packed.getmembers():
        path = member.name.split("/", 1)[1]
        if not path.endswith(".rs"):
            continue
        text = packed.extractfile(member).read().decode().split("#[cfg(test)]")[0]
        for taken in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', text):
            wanted = os.path.normpath(os.path.join(os.path.dirname(path), taken))
            assert wanted in files, f"{name}: {path} includes {taken}, which is not in it"


if __name__ == "__main__":
    main()
