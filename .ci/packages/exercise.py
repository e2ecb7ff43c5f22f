"""Packs the binary for pip and npm, installs each package where nothing else is, and checks a project with it.

In: the path of a release build in cargo's target folder, and the tools beside this interpreter. Out: one line a package, or an
error that says which step did something else than it should. Never: a package that was not built here.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

from release import ROOT, released, run, step

DEMO = ROOT / "fixtures" / "demo"
LICENCES = ROOT / "cli" / "THIRD-PARTY-LICENCES.txt"
PLATFORM = "linux-x64"
# Of the crates that everybody's licence files come from: one in Rust, one that brings a library in C.
LINKED = ["clap ", "zstd-sys "]


def main():
    binary = Path(sys.argv[1]).resolve()
    if (sys.platform, os.uname().machine) != ("linux", "x86_64"):
        sys.exit(f"packages are built here for {PLATFORM} alone")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        run(["python3", ROOT / "cli" / "licences.py", LICENCES], ROOT)
        text = LICENCES.read_text()
        assert all(f"\n{name}" in text for name in LINKED) and len(text) > 100_000, "the licences are not all there"
        step("wheel", wheel, binary, scratch)
        step("npm", npm, binary, scratch)
        step("recipes", recipes, binary, scratch)


def works(command, scratch, name):
    """Holds an installed command to what it says and ends with: its version, a clean project, and one with a finding."""
    folder = scratch / f"checked-{name}"
    shutil.copytree(DEMO / "start", folder)
    # No compiler and no other deconflict can help: the path has what starts the command, and the system's own folders.
    path = f"{Path(command[0]).parent}{os.pathsep}{Path(shutil.which('node')).parent}{os.pathsep}/usr/bin{os.pathsep}/bin"
    version = run([*command, "--version"], folder, PATH=path).split()
    assert version == ["deconflict", released()], version
    run([*command, "check", ".", "--no-build", "--write-baseline"], folder, PATH=path)
    run([*command, "check", ".", "--no-build", "--deny", "warnings"], folder, PATH=path)
    shutil.copytree(DEMO / "counter", folder, dirs_exist_ok=True)
    out = run([*command, "check", ".", "--no-build", "--deny", "warnings", "--format", "json"], folder, 1, PATH=path)
    found = [json.loads(line) for line in out.splitlines() if line.startswith("{")] if "\n{" in out else json.loads(out)
    assert "C102" in json.dumps(found), out


def digest(data):
    return hashlib.sha256(data).hexdigest()


def wheel(binary, scratch):
    """Of the same target folder and profile, so that cargo has it built already and the wheel holds this very binary."""
    out = scratch / "wheels"
    before = digest(binary.read_bytes())
    command = [Path(sys.executable).parent / "maturin", "build", "--manifest-path", ROOT / "cli" / "Cargo.toml"]
    run([*command, "--profile", binary.parent.name, "--target-dir", binary.parent.parent, "--out", out], ROOT)
    (built,) = out.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        inside = next(name for name in names if name.endswith(".data/scripts/deconflict"))
        assert digest(archive.read(inside)) == before, "the sources have changed since the binary was built: build it again"
        for licence in ["LICENSE-MIT", "LICENSE-APACHE", LICENCES.name]:
            assert any(name.endswith(f".dist-info/licenses/{licence}") for name in names), f"{built.name} has no {licence}"
    environment = scratch / "environment"
    run([sys.executable, "-m", "venv", environment], scratch)
    python = environment / "bin" / "python"
    run([python, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", out, f"deconflict=={released()}"], scratch)
    works([environment / "bin" / "deconflict"], scratch, "wheel")
    run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "deconflict"], scratch)
    assert not (environment / "bin" / "deconflict").exists(), "pip leaves the binary behind"
    return f"{built.name}, {built.stat().st_size >> 10} KiB"


def npm(binary, scratch):
    """The package for this platform and the one that finds it, installed from their archives as from a registry."""
    out, project = scratch / "npm", scratch / "project"
    pack = ["node", ROOT / "cli" / "npm" / "pack.mjs", out]
    platform = Path(run([*pack, PLATFORM, binary, LICENCES], scratch).split()[-1])
    wrapper = Path(run([*pack, "wrapper"], scratch).split()[-1])
    with tarfile.open(platform) as archive:
        names = archive.getnames()
        member = archive.getmember("package/deconflict")
        assert member.mode & 0o111 == 0o111, "the binary cannot be executed"
        assert digest(archive.extractfile(member).read()) == digest(binary.read_bytes())
        for licence in ["LICENSE-MIT", "LICENSE-APACHE", LICENCES.name]:
            assert f"package/{licence}" in names, f"{platform.name} has no {licence}"
    project.mkdir()
    # The other platforms' packages are optional and of no registry; `overrides` says where this one's is.
    manifest = {"private": True, "overrides": {f"@deconflict/{PLATFORM}": f"file:{platform}"}}
    (project / "package.json").write_text(json.dumps(manifest))
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run(["npm", "install", *quiet, "--save-dev", wrapper], project)
    installed = sorted(it.name for it in (project / "node_modules" / "@deconflict").iterdir())
    assert installed == [PLATFORM], installed
    command = project / "node_modules" / ".bin" / "deconflict"
    works([command], scratch, "npm")
    signals(command, project)
    shutil.rmtree(project / "node_modules" / "@deconflict")
    run([command, "--version"], project, 2)
    return f"{wrapper.name} {wrapper.stat().st_size} bytes, {platform.name} {platform.stat().st_size >> 10} KiB"


def recipes(binary, scratch):
    """Those for build servers, and the hook of pre-commit, with the wheel that was built above."""
    packages = scratch / "wheels"
    # pip builds the hook's own package with these, wherever it takes them from otherwise.
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", packages]
    run([*pip, "setuptools>=77", "wheel"], scratch)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["python3", ROOT / "docs" / "ci" / "exercise.py", binary, "--packages", packages]
    return run(command, scratch, PATH=path).strip()


def signals(command, project):
    """Whoever ends the wrapper ends the binary: neither a language server nor a hint server goes on alone."""
    server = subprocess.Popen([command, "lsp"], cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    deadline = time.monotonic() + 60
    while not (started := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert started, "the wrapper starts no binary"
    server.terminate()
    server.wait(timeout=60)
    while Path(f"/proc/{started[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{started[0]}").exists(), "the binary outlives the wrapper"


if __name__ == "__main__":
    main()
