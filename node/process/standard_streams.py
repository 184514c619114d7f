"""Makes the standard streams of a process usable, whatever descriptors it was started with.

- A descriptor from 0 to 2 that is closed is opened on the null device first. Otherwise the next
  file that is opened gets its number, and what is printed goes into a journal.
- A pipe may be non-blocking, which is a property of both of its ends and so not ours to change. An
  ordinary file object then writes a part and drops the rest. These wait until there is room.
- What goes wrong with a stream names the stream, for `No space left on device` has two meanings in
  a program that also writes to a disk.
"""

import contextlib
import io
import os
import select
import sys
from typing import Any, TextIO

NAMES = ("standard input", "standard output", "standard error")


class StreamError(Exception):
    """A standard stream cannot be used. It is no OSError: whoever expects those of files and
    sockets has nothing to do with it."""

    def __init__(self, stream: str, error: OSError) -> None:
        super().__init__(f"{stream}: {error.strerror}")
        self.unread = isinstance(error, BrokenPipeError)  # its reader is gone


def open_standard() -> None:
    """Before anything else is opened. A system without a null device does without."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            with contextlib.suppress(OSError):  # the lowest number that is free: this one
                os.open(os.devnull, os.O_RDONLY if fd == 0 else os.O_WRONLY)


def make_patient() -> None:
    """Replace this process's own `sys.stdin`, `stdout` and `stderr` by those that wait."""
    sys.stdin = _patient(sys.stdin, 0)
    sys.stdout = _patient(sys.stdout, 1)
    sys.stderr = _patient(sys.stderr, 2)


def read(fd: int, size: int) -> bytes:
    """os.read that waits, also where the descriptor is non-blocking."""
    while True:
        try:
            return os.read(fd, size)
        except BlockingIOError:
            _await(fd, select.POLLIN)


def give_up(stream: TextIO) -> None:
    """Nobody reads it any more: what is left in its buffer goes nowhere, without a complaint."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _patient(stream: TextIO | None, fd: int) -> TextIO:
    """A stream that is not the process's own, as under a test, stays as it is."""
    if stream is not None:
        buffer: Any = getattr(stream, "buffer", None)
        raw = getattr(buffer, "raw", buffer)  # unbuffered: python -u
        if type(raw) is not io.FileIO or raw.fileno() != fd:
            return stream
        if fd:
            stream.flush()
    whole: Any = _PatientWriter(fd) if fd else io.BufferedReader(_PatientFile(fd))
    lines = stream.line_buffering if isinstance(stream, io.TextIOWrapper) else fd == 2
    return io.TextIOWrapper(
        whole,
        encoding=stream.encoding if stream is not None else "utf-8",
        errors=(stream.errors if stream is not None else None) or "backslashreplace",
        line_buffering=lines,
        write_through=fd == 2,
    )


class _OwnFile(io.FileIO):
    """A descriptor of this process, which stays open when the stream is closed."""

    def __init__(self, fd: int, mode: str) -> None:
        super().__init__(fd, mode, closefd=False)


class _PatientWriter(io.BufferedWriter):
    """A buffer that is written whole, however often the descriptor would block.

    The waiting is here and not below the buffer: a signal that comes between a write and its return
    to the buffer would have the same bytes written twice.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(_OwnFile(fd, "w"))
        self.called = NAMES[fd]

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        taken = 0
        while taken < len(view):
            try:
                taken += super().write(view[taken:])
            except BlockingIOError as full:
                taken += full.characters_written
                _await(self.fileno(), select.POLLOUT)
            except OSError as error:
                raise StreamError(self.called, error) from None
        return taken

    def flush(self) -> None:
        while True:
            try:
                return super().flush()
            except BlockingIOError:
                _await(self.fileno(), select.POLLOUT)
            except OSError as error:
                raise StreamError(self.called, error) from None


class _PatientFile(_OwnFile):
    """A descriptor to read from. Every call waits until something is there."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "r")
        self.called = NAMES[fd]

    def readinto(self, buffer: Any) -> int:
        return int(self._until_done(lambda: super(_PatientFile, self).readinto(buffer)))

    def readall(self) -> bytes:
        parts: list[bytes] = []
        while part := self.read(io.DEFAULT_BUFFER_SIZE):
            parts.append(part)
        return b"".join(parts)

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return self.readall()
        data: bytes = self._until_done(lambda: super(_PatientFile, self).read(size))
        return data

    def _until_done(self, call: Any) -> Any:
        try:
            while (done := call()) is None:  # it would have blocked
                _await(self.fileno(), select.POLLIN)
        except OSError as error:
            raise StreamError(self.called, error) from None
        return done


def _await(fd: int, event: int) -> None:
    poll = select.poll()
    poll.register(fd, event)
    poll.poll()
