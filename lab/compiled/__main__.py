"""`python -m lab.compiled [COMMAND ...]`: build the compiled tree, and run a command on it."""

import os
import sys

from lab.compiled.build import build
from lab.compiled.tree import environment
from lab.problem import Exit, Problem


def main(command: list[str]) -> int:
    """Print where the tree is, or become the command."""
    try:
        tree = build(_told)
    except Problem as problem:
        _told(str(problem))
        return int(problem.code)
    if not command:
        print(tree)
        return int(Exit.DONE)
    try:
        os.execvpe(command[0], command, environment(tree))  # noqa: S606 # it is the user's own
    except OSError as error:
        _told(f"{command[0]}: {error.strerror}")
        return int(Exit.USAGE)


def _told(text: str) -> None:
    print(f"compile: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
