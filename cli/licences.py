"""Collects the licences of all that is linked into the binary, for the packages that hand it out.

In: the file to write, and a target triple if it is not this machine's; cargo with the sources of the dependencies. Out: that
file. Exit code 1 if a dependency asks for more than the packages can give. Never: a licence text that no package has.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Licences that ask for no more than their text beside the binary (those of MPL's files are linked unchanged).
ACCEPTED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC",
    "MIT", "MIT-0", "MPL-2.0", "Unicode-3.0", "Unlicense", "Zlib",
}  # fmt: skip
TEXTS = re.compile(r"^(un)?(licen[cs]e|copying|copyright|notice)([-._].*)?$", re.I)
CODE = {".rs", ".c", ".h", ".py", ".js", ".json", ".toml", ".yml", ".sh"}
HEADER = """\
Deconflict is under the MIT or the Apache-2.0 licence, as you choose. It is built on the packages below, each under the
licence that is named beside it, and on Rust's standard library (MIT OR Apache-2.0). Their licence texts follow.
"""


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: licences.py FILE [TARGET]")
    packages = linked(*sys.argv[2:])
    refused = [f"{it['name']} {it['version']}: {it['license']}" for it in packages if not accepted(it["license"])]
    if refused:
        sys.exit("licences that a package with the binary may not satisfy:\n" + "\n".join(refused))
    Path(sys.argv[1]).write_text(document(packages), encoding="utf-8")


def linked(target=None):
    """The packages that the binary is built from, on this machine's target or another; build scripts are none of them."""
    if target is None:
        version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
        target = re.search(r"^host: (.*)$", version, re.M)[1]
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", target]
    command += ["--manifest-path", str(HERE / "Cargo.toml")]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    packages = {it["id"]: it for it in metadata["packages"]}
    nodes = {it["id"]: it for it in metadata["resolve"]["nodes"]}
    waiting, found = [metadata["resolve"]["root"]], set()
    while waiting:
        package = waiting.pop()
        if package in found:
            continue
        found.add(package)
        for dependency in nodes[package]["deps"]:
            if any(it["kind"] is None for it in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    others = [packages[it] for it in found if packages[it]["source"] is not None]
    return sorted(others, key=lambda it: (it["name"], it["version"]))


def accepted(expression):
    """Whether what is accepted satisfies an expression of SPDX, or of its older spelling with slashes."""
    if not expression:
        return False
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def word():
        return words[position] if position < len(words) else None

    def one():
        nonlocal position
        name = words[position]
        position += 1
        if name == "(":
            value = either()
            position += 1
            return value
        if word() == "WITH":
            name = f"{name} WITH {words[position + 1]}"
            position += 2
        return name in ACCEPTED

    def both():
        nonlocal position
        value = one()
        while word() == "AND":
            position += 1
            value = one() and value
        return value

    def either():
        nonlocal position
        value = both()
        while word() == "OR":
            position += 1
            value = both() or value
        return value

    return either()


def document(packages):
    """Each text once, below the packages that have it: many packages share one to the letter."""
    users, texts, silent = {}, {}, []
    for package in packages:
        label = f"{package['name']} {package['version']} ({package['license']})"
        # Two that differ in their line breaks alone are one.
        own = {" ".join(text.split()): text for text in map(read, files(package)) if taken(package, text)}
        if not own:
            silent.append(f"{label}, {package['repository'] or 'no address'}")
        texts |= own
        for key in own:
            users.setdefault(key, []).append(label)
    parts = [HEADER]
    for key, labels in sorted(users.items(), key=lambda it: it[1]):
        text = texts[key]
        parts.append(f"{'=' * 80}\n" + "\n".join(labels) + f"\n{'-' * 80}\n{text}\n")
    if silent:
        own = "\n\n".join((HERE.parent / f"LICENSE-{it}").read_text().strip() for it in ["APACHE", "MIT"])
        parts.append(f"{'=' * 80}\nThese packages come without a text of their licence; the usual ones follow.\n\n")
        parts.append("\n".join(silent) + f"\n{'-' * 80}\n{own}\n")
    return "\n".join(parts)


def read(path):
    return path.read_text(encoding="utf-8", errors="replace").strip()


def taken(package, text):
    """Whether a text is of a licence that is made use of: libraries in C bring the GPL's as one of two to choose from."""
    return text and ("GNU" not in text[:80] or "GPL" in package["license"])


def files(package):
    """The files of a package that hold licences, also of the libraries in other languages that it brings."""
    folder = Path(package["manifest_path"]).parent
    named = [folder / package["license_file"]] if package["license_file"] else []
    found = [it for it in folder.rglob("*") if TEXTS.match(it.name) and it.suffix not in CODE and it.is_file()]
    return sorted({*named, *found})


if __name__ == "__main__":
    main()
