"""What drills share: assertions that compare a part with its model, and a folder for files.

The text of a `Difference` goes into the trace of a run, so it is one line and the same each time.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SHOWN_MAX = 100
SHM = Path("/dev/shm")  # noqa: S108 - a private folder is made in it


class Difference(Exception):
    """A part and its model differ. The text is one line."""


def same(what: str, part: object, model: object) -> None:
    """Raises Difference."""
    if part != model:
        raise Difference(f"{what}: {_shown(part)}, and by the model {_shown(model)}")


def holds(what: str, truth: bool) -> None:
    """Raises Difference."""
    if not truth:
        raise Difference(f"{what}: it does not hold")


def refused(what: str, error: type[Exception], call: Callable[[], object]) -> Exception:
    """Returns the `error` that this call must raise. Raises Difference if it raises none."""
    try:
        answer = call()
    except error as refusal:
        return refusal
    raise Difference(f"{what}: {_shown(answer)}, though it must be refused")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for parts that need real files, in memory where the system has that."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as folder:
        yield Path(folder)


def _shown(value: object) -> str:
    text = " ".join(_text(value).split())
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."


def _text(value: object) -> str:
    """The repr, with sets in order: it goes into the trace, and a run has one trace."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(k)}: {_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(_text, value))) + "}" if value else "set()"
    if type(value) in (list, tuple):
        assert isinstance(value, list | tuple)
        inside = ", ".join(map(_text, value))
        return f"[{inside}]" if type(value) is list else f"({inside})"
    return repr(value)
