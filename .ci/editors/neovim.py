"""Opens a project in a real Neovim, set up as docs/editors.md says, and works on it. Usage: neovim.py BINARY"""

import pathlib
import subprocess
import sys

import project


def main() -> int:
    binary = sys.argv[1]
    with project.temporary() as folder:
        root = project.copy(folder)
        configuration = pathlib.Path(folder) / "init.lua"
        configuration.write_text(project.from_document("Neovim", "lua"))
        editor = project.HERE / "python/bin/nvim"
        command = [editor, "--headless", "-n", "-i", "NONE", "-u", configuration, root / "src/Token.sol"]
        command += ["-c", f"luafile {project.HERE / 'neovim.lua'}"]
        ran = subprocess.run(
            command, cwd=root, env=project.environment(binary, folder), capture_output=True, text=True, timeout=55
        )
        print((ran.stdout + ran.stderr).strip())
        return ran.returncode


if __name__ == "__main__":
    sys.exit(main())
