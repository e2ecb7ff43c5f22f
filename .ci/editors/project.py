"""A copy of a fixture as a developer would have it: compiled once, with the compiler among its packages."""

import os
import pathlib
import shutil
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


def copy(folder: str) -> pathlib.Path:
    """Copies the demo project into `folder`."""
    root = pathlib.Path(folder).resolve() / "counter"
    shutil.copytree(REPOSITORY / "fixtures/demo/counter", root)
    (root / "node_modules").mkdir()
    os.symlink(HERE / "node_modules/solc", root / "node_modules/solc")
    return root


def from_document(heading: str, language: str) -> str:
    """The first block of that language below a heading of docs/editors.md."""
    text = (REPOSITORY / "docs/editors.md").read_text()
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return section.split(f"```{language}\n", 1)[1].split("```", 1)[0]


def environment(binary: str, home: str) -> dict[str, str]:
    """An environment in which `deconflict` is the binary, and the user has no settings."""
    path = f"{pathlib.Path(binary).parent}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "HOME": home, "XDG_CONFIG_HOME": f"{home}/config", "TERM": "xterm-256color"}


def temporary() -> tempfile.TemporaryDirectory:
    """A folder that goes when it is no longer used."""
    return tempfile.TemporaryDirectory(prefix="deconflict-editors-")
