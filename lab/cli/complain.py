"""Errors: one line on stderr; with `--json` that line is an object.

`{"error": what is wrong, "exit": the exit code, "kind": its name}`. What else a command says on
stderr (progress, hints) is no object, so a reader takes the lines that begin with a brace.
"""

import sys
from contextvars import ContextVar

from lab.problem import Exit

as_json: ContextVar[bool] = ContextVar("as_json", default=False)  # this command line has --json


def complain(text: str, code: int) -> None:
    """Tell a person, or a program, what is wrong."""
    from lab.display import display_safe, json_line

    if as_json.get():
        kind = Exit(code).name.lower() if code in list(Exit) else "failed"
        line = json_line({"error": text, "exit": code, "kind": kind})
    else:
        line = f"chatlab: {display_safe(text)}"
    print(line, file=sys.stderr, flush=True)
