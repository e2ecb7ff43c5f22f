"""Draws what a terminal with Neovim shows: a finding, lenses and a hover. Usage: screenshot.py BINARY OUT.svg

Runs the editor in a pseudo-terminal, set up as docs/editors.md says, and writes the cells of its screen as SVG.
"""

import fcntl
import html
import os
import pathlib
import pty
import select
import struct
import sys
import termios
import time

import pyte
import project

COLUMNS, LINES = 136, 46
CELL, ROW, SIZE = 8.4, 18, 14
BACKGROUND, FOREGROUND = "14161b", "e0e2ea"


def drain(terminal: int, stream: pyte.ByteStream, seconds: float) -> None:
    """Feeds the screen for a while."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            try:
                stream.feed(os.read(terminal, 65536))
            except OSError:
                return


def shows(terminal: int, screen: pyte.Screen, stream: pyte.ByteStream, text: str) -> None:
    """Waits until a text is on the screen."""
    for _ in range(100):
        if any(text in line for line in screen.display):
            return
        drain(terminal, stream, 0.2)
    sys.exit(f"{text!r} is not on the screen:\n" + "\n".join(screen.display))


def colour(name: str, default: str) -> str:
    """A colour as six digits."""
    named = {"red": "ff5f5f", "green": "b3f6c0", "brown": "fce094", "yellow": "fce094", "blue": "a6dbff",
             "magenta": "ffcaff", "cyan": "8cf8f7", "black": "07080d", "white": "eef1f8"}
    if name == "default":
        return default
    return named.get(name.replace("bright", ""), name if len(name) == 6 else default)


def draw(screen: pyte.Screen) -> str:
    """The screen as SVG."""
    # Lines below the end of the file say nothing; the two at the bottom are the editor's.
    written = max(y for y in range(LINES - 2) if screen.display[y].strip(" ~"))
    shown = [*range(written + 2), LINES - 2]
    width, height = COLUMNS * CELL + 16, len(shown) * ROW + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" '
        f'font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="{SIZE}">',
        "<title>Neovim with a finding, lenses above functions, and a hover over a state variable</title>",
        f'<rect width="100%" height="100%" rx="6" fill="#{BACKGROUND}"/>',
    ]
    for place, y in enumerate(shown):
        row = screen.buffer[y]
        x = 0
        while x < COLUMNS:
            cell = row[x]
            style = (cell.fg, cell.bg, cell.bold, cell.reverse, cell.italics)
            end = x
            text = ""
            while end < COLUMNS and (row[end].fg, row[end].bg, row[end].bold, row[end].reverse, row[end].italics) == style:
                text += row[end].data
                end += 1
            foreground, background = colour(cell.fg, FOREGROUND), colour(cell.bg, BACKGROUND)
            if cell.reverse:
                foreground, background = background, foreground
            left, top = 8 + x * CELL, 8 + place * ROW
            if background != BACKGROUND:
                parts.append(f'<rect x="{left:.1f}" y="{top}" width="{(end - x) * CELL:.1f}" height="{ROW}" fill="#{background}"/>')
            if text.strip():
                weight = ' font-weight="bold"' if cell.bold else ""
                slant = ' font-style="italic"' if cell.italics else ""
                parts.append(
                    f'<text x="{left:.1f}" y="{top + 14}" fill="#{foreground}" xml:space="preserve" '
                    f'textLength="{len(text) * CELL:.1f}"{weight}{slant}>{html.escape(text)}</text>'
                )
            x = end
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    binary, out = sys.argv[1:3]
    with project.temporary() as folder:
        root = project.copy(folder)
        configuration = pathlib.Path(folder) / "init.lua"
        configuration.write_text(project.from_document("Neovim", "lua"))
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(root)
            editor = str(project.HERE / "python/bin/nvim")
            os.execve(editor, [editor, "-n", "-i", "NONE", "-u", str(configuration), "src/Token.sol"],
                      project.environment(binary, folder) | {"COLORTERM": "truecolor"})
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        screen = pyte.Screen(COLUMNS, LINES)
        stream = pyte.ByteStream(screen)
        shows(terminal, screen, stream, "global-counter")
        shows(terminal, screen, stream, "conflicts with itself")
        # The hover opens over the declaration of the variable that the finding is about.
        os.write(terminal, b":set nowrap number signcolumn=yes\r/totalVolume +=\rK")
        shows(terminal, screen, stream, "Conflicts here")
        drain(terminal, stream, 1)
        pathlib.Path(out).write_text(draw(screen))
        print("\n".join(line.rstrip() for line in screen.display))
        os.write(terminal, b"\x1b:qall!\r")
        drain(terminal, stream, 1)


if __name__ == "__main__":
    main()
