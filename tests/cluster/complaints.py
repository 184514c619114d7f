"""How a command says no."""

from typing import Any


def complains(ran: Any, code: int, *words: str) -> None:
    """One line on stderr, the right exit code, no traceback, nothing on stdout."""
    assert ran.code == code, ran
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("chatlab: ")
    assert all(word in lines[0] for word in words), lines[0]
