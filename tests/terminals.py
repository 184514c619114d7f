"""A terminal that a test looks at: what a program draws on it, and keys pressed.

    with Terminal(["chatlab", "watch"], folder, environment) as terminal:
        terminal.shows("5 of 5 up")
        terminal.press("2")

It knows what textual sends: text, places of the cursor, new lines. Everything else (colours, modes)
is left out. Each character has one column.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

WITHIN_S = 30.0
_PIECE = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<column>\d+)H"
    r"|(?P<other>\x1b\[[?<>=]?[\d;]*[ $]?[@-~]|\x1b\][^\x07]*\x07|\x1b[^\[\]])"
    r"|(?P<text>[^\x1b])"
)


class Terminal:
    """Mutable. `code` is the exit code, once the program has ended."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: dict[str, str],
        size: tuple[int, int] = (80, 24),
    ) -> None:
        self.width, self.height = size
        self._cells = [[" "] * self.width for _ in range(self.height)]
        self._row = self._column = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._left = ""  # the beginning of a sequence
        self._leader, follower = pty.openpty()
        fcntl.ioctl(
            follower, termios.TIOCSWINSZ, struct.pack("HHHH", self.height, self.width, 0, 0)
        )
        self._child = subprocess.Popen(
            command, stdin=follower, stdout=follower, stderr=follower, cwd=folder,
            env={**environment, "TERM": "xterm", "COLUMNS": str(size[0]), "LINES": str(size[1])},
        )  # fmt: skip
        os.close(follower)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        os.close(self._leader)

    @property
    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self._cells]

    def press(self, keys: str) -> None:
        os.write(self._leader, keys.encode())

    def shows(self, pattern: str) -> list[str]:
        """The screen, as soon as it shows the pattern."""
        until = time.monotonic() + WITHIN_S
        while not re.search(pattern, "\n".join(self.lines)):
            assert time.monotonic() < until and self._read(), "\n".join(self.lines)
        return self.lines

    def ends(self) -> int:
        """The exit code, once the program has ended."""
        until = time.monotonic() + WITHIN_S
        while self._read():
            assert time.monotonic() < until, "\n".join(self.lines)
        return self._child.wait(WITHIN_S)

    def _read(self) -> bool:
        """Draw what has come, within half a second; False once nothing can come any more."""
        if not select.select([self._leader], [], [], 0.5)[0]:
            return True
        try:
            self._draw(os.read(self._leader, 65536))
        except OSError:  # the program has closed its side
            return False
        return True

    def _draw(self, data: bytes) -> None:
        text = self._left + self._decoder.decode(data)
        end = text.rfind("\x1b")
        cut = len(text) if end < 0 or _PIECE.match(text, end) else end
        self._left = text[cut:]
        for piece in _PIECE.finditer(text, 0, cut):
            if piece["row"]:
                self._row, self._column = int(piece["row"]) - 1, int(piece["column"]) - 1
            elif piece["text"]:
                self._put(piece["text"])

    def _put(self, text: str) -> None:
        if text == "\r":
            self._column = 0
        elif text == "\n":
            self._row = min(self._row + 1, self.height - 1)
        elif self._column < self.width and self._row < self.height:
            self._cells[self._row][self._column] = text
            self._column += 1
