"""Output of errors: one line on stderr. With `--json` that line is an object.

The object is `{"error": the text, "exit": the exit code, "kind": its name}`. Other output on stderr
(progress, hints) is no JSON, so a reader parses the lines that begin with a brace.
"""

import sys
from contextvars import ContextVar

from lab.terminal.errors import Exit

COMMANDS = (
    "cluster|send|join|leave|timeline|presence|status|diff|wait|watch|logs|journal|moderate|keys"
    "|doctor|node"
)

as_json: ContextVar[bool] = ContextVar("as_json", default=False)  # this command line has --json
file_given: ContextVar[str] = ContextVar("file_given", default="")  # what -f said


def as_given(text: str) -> str:
    """The text, with `-f FILE` in every command of ours that it names, if this one had it."""
    import re  # lazy: mostly nothing is to be said
    import shlex

    file = file_given.get()
    if not file:
        return text
    return re.sub(
        rf"\bchatlab (?=(?:{COMMANDS})\b)", lambda _: f"chatlab -f {shlex.quote(file)} ", text
    )


def complain(text: str, code: int) -> None:
    """Print an error to stderr: as text, or as JSON."""
    text = as_given(text)
    from lab.terminal.display import display_safe, json_line

    if as_json.get():
        kind = Exit(code).name.lower() if code in list(Exit) else "failed"
        line = json_line({"error": text, "exit": code, "kind": kind})
    else:
        line = f"chatlab: {display_safe(text)}"
    print(line, file=sys.stderr, flush=True)
