"""Commands that serve a page: they print its address in one line, and end with Ctrl-C."""

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.common import hear_the_end
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.trace.trace import Trace
    from lab.web.server import WebServer

Port = Annotated[int, typer.Option(min=0, max=65535, help="The page's port on 127.0.0.1; 0: any.")]
Opens = Annotated[bool, typer.Option("--open/--no-open", help="Open the page in your browser.")]
REDIRECT = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={}">'


def need_pages() -> None:
    """Raises Problem where the extra is not installed."""
    if any(find_spec(name) is None for name in ("starlette", "uvicorn")):
        text = (
            "a page needs starlette and uvicorn: install the extra, pip install "
            "'chatlab[observe]' (scripts/bootstrap does)"
        )
        raise Problem(text, Exit.USAGE)


def serve(
    server: "WebServer",
    opens: bool,
    background: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve until Ctrl-C.

    A browser is given a private file that leads to the page: its command line, which everyone on
    this machine can read, has no token in it.
    """
    import threading  # lazy, as all of this: `watch` in a terminal does without
    import webbrowser
    from tempfile import NamedTemporaryFile

    hear_the_end()
    with ExitStack() as stack:

        def ready(address: str) -> None:
            print(f"{address}  (Ctrl-C ends)", flush=True)
            if opens:
                way = stack.enter_context(
                    NamedTemporaryFile("w", prefix="chatlab-", suffix=".html")
                )
                way.write(REDIRECT.format(address))
                way.flush()
                url = Path(way.name).as_uri()  # a text browser would hold the loop up
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

        server.run(ready, background)


def trace_of(file: Path) -> "Trace":
    """A recorded run. Raises Problem if the file is none."""
    from lab.trace.file import TraceError, read_lines

    try:
        with file.open("rb") as lines:
            return read_lines(lines)
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}", Exit.USAGE) from None
    except TraceError as error:
        raise Problem(f"{file}: {error}", Exit.USAGE) from None
