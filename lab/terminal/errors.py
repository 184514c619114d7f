"""Errors of the command line: each is a `Problem` with one line of text and an exit code.

The text says what is wrong, where, and what to do. Untrusted text in it has passed `display_safe`,
or passes it in `chatlab`'s main function, which prints every problem.
"""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of `chatlab`; scripts rely on them."""

    DONE = 0
    FAILED = 1
    USAGE = 2  # wrong usage or configuration
    REFUSED = 3  # by moderation or the domain
    UNREACHABLE = 4
    STORAGE = 5
    TIMED_OUT = 6
    VERDICT_FALSE = 7  # not converged, a checker's violation, damage
    VERDICT_UNKNOWN = 8
    INTERRUPTED = 130


class Problem(Exception):
    def __init__(self, text: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(text)
        self.code = code


class Unreachable(Problem):
    """A node cannot be spoken to: it is not running, it went away, or it lets us not in."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Exit.UNREACHABLE)
