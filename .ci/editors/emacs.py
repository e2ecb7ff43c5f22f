"""Opens a project in a real Emacs, set up as docs/editors.md says, and works on it. Usage: emacs.py BINARY"""

import pathlib
import subprocess
import sys

import project


def main() -> int:
    binary = sys.argv[1]
    with project.temporary() as folder:
        root = project.copy(folder)
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
        configuration = pathlib.Path(folder) / "init.el"
        configuration.write_text(project.from_document("Emacs", "elisp"))
        command = ["emacs", "--batch", "--eval", "(package-initialize)"]
        command += ["--load", configuration, "--load", project.HERE / "emacs.el", root / "src/Token.sol"]
        command += ["--funcall", "deconflict-test"]
        ran = subprocess.run(
            command, cwd=root, env=project.environment(binary, folder), capture_output=True, text=True, timeout=55
        )
        lines = [line for line in ran.stderr.splitlines() if line.startswith(("ok: ", "FAILED"))]
        print("\n".join(lines if ran.returncode == 0 else [ran.stdout, ran.stderr]))
        return ran.returncode


if __name__ == "__main__":
    sys.exit(main())
