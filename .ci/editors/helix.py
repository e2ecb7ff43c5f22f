"""Opens a project in Helix, set up as docs/editors.md says, in a terminal of its own. Usage: helix.py BINARY

`hx` is looked for on the PATH.
"""

import fcntl
import os
import pathlib
import pty
import select
import shutil
import signal
import struct
import sys
import termios
import time

import project
import pyte

COLUMNS, LINES = 150, 50


class Terminal:
    """A program and what it shows."""

    def __init__(self, command: list[str], folder: pathlib.Path, environment: dict[str, str]) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))

    def listen(self, seconds: float) -> None:
        """Takes what is written for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                try:
                    self.stream.feed(os.read(self.terminal, 65536))
                except OSError:
                    return

    def type(self, keys: str) -> None:
        """Presses keys, one after the other."""
        for key in keys:
            os.write(self.terminal, key.encode())
            self.listen(0.05)

    def step(self, title: str, *texts: str, gone: str = "") -> None:
        """Waits until all texts are on the screen and another is not."""
        for _ in range(100):
            shown = "\n".join(self.screen.display)
            if all(text in shown for text in texts) and (not gone or gone not in shown):
                print(f"ok: {title}")
                return
            self.listen(0.2)
        self.end()
        sys.exit(f"FAILED: {title}: {texts} are not on the screen:\n" + "\n".join(self.screen.display))

    def end(self) -> None:
        """Ends the program."""
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def main() -> int:
    editor = shutil.which("hx")
    if editor is None:
        sys.exit("hx is not on the PATH")
    with project.temporary() as folder:
        root = project.copy(folder)
        settings = pathlib.Path(folder) / "config/helix"
        settings.mkdir(parents=True)
        (settings / "languages.toml").write_text(project.from_document("Helix", "toml"))
        # Findings are shown behind the line that the cursor is in.
        (settings / "config.toml").write_text('[editor]\nend-of-line-diagnostics = "hint"\n')
        environment = project.environment(os.path.abspath(sys.argv[1]), folder)
        helix = Terminal([editor, "src/Token.sol"], root, environment)
        helix.step("the findings are counted", "● 2")
        helix.type(":14\rgs")
        helix.step("the finding of the line is shown", "every call to `buy` counts in the same slot")
        helix.type(" k")
        helix.step("a hover says where a variable is", "Storage of Token: slot 1")
        helix.type("\x1b a")
        helix.step("code actions are offered", "Suppress `global-counter` here", "Count `purchases` in 64 shards")
        helix.type("\r")
        helix.step("a code action writes a suppression", "deconflict: allow(global-counter)")
        helix.type(":w\r")
        helix.step("the finding goes with the save", "every call to `transfer` adds up", gone="counts in the same slot")
        helix.type(" d")
        helix.step("findings are listed", "C102")
        helix.type("\x1b")
        helix.type(":q!\r")
        helix.listen(1)
        helix.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
