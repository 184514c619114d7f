"""The typer app with its global options. `main` is the only place where an exception becomes a line
on stderr and an exit code.
"""

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.common import Elsewhere, Settings
from lab.cli.error_output import as_json, complain, file_given
from lab.cli.lazy_group import LazyGroup
from lab.terminal.errors import Exit, Problem
from node.process import standard_streams as streams

app = typer.Typer(
    name="chatlab",
    cls=LazyGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="A laboratory for event-driven, eventually consistent systems, in the shape of a small "
    "chat. Start with `chatlab demo`, or `chatlab cluster up -d` and `chatlab send n1 hello`.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 refused, 4 node "
    "unreachable, 5 storage error, 6 timed out, 7 verdict false, 8 verdict unknown. "
    "--no-color and --debug may stand anywhere.",
)
ANYWHERE = ("--no-color", "--debug")
ANYWHERE_WITH_VALUE = ("--control", "--feed", "--key", "--node-key")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version  # lazy: rarely asked

        from lab.cli.common import is_compiled

        how = " (compiled)" if is_compiled() else ""
        try:
            print(f"chatlab {version('chatlab')}{how}")
        except PackageNotFoundError:
            print(f"chatlab (not installed, run from its sources){how}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="The cluster file. Default: $CHATLAB_CLUSTER, else ./cluster.yaml.",
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; also CHATLAB_DEBUG=1.")
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colour; also NO_COLOR=1.")
    ] = False,
    control: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="tcp://HOST:PORT of a node elsewhere, instead of a file."
        ),
    ] = None,
    feed: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The same for its feed: timeline --follow."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="NAME.secret: a client's key for --control, an "
            "observer's for --feed. May be repeated.",
        ),
    ] = None,
    node_key: Annotated[
        str | None,
        typer.Option(metavar="HEX", help="The node's public key, if no list beside FILE has it."),
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    elsewhere = _elsewhere(control, feed, tuple(key or ()), node_key or "")
    if elsewhere is not None and file is not None:
        raise Problem("give either --file or the --control and --feed of one node", Exit.USAGE)
    file_given.set(str(file) if file is not None else "")
    context.obj = Settings(file, no_color, debug, elsewhere)


def _elsewhere(
    control: str | None, feed: str | None, keys: tuple[str, ...], node_key: str
) -> Elsewhere | None:
    if control is None and feed is None:
        if keys or node_key:
            raise Problem("a key opens --control or --feed: give the address too", Exit.USAGE)
        return None
    from node.config.cluster_file import split_address  # lazy: only for a node elsewhere

    for option, address in (("--control", control), ("--feed", feed)):
        if address is None:
            continue
        if not address.startswith("tcp://"):
            raise Problem(f"{option} is tcp://HOST:PORT, not {address[:80]!a}", Exit.USAGE)
        try:
            split_address(address.removeprefix("tcp://"))
        except ValueError as error:
            raise Problem(f"{option}: {error}", Exit.USAGE) from None
    return Elsewhere(control or "", feed or "", keys, node_key)


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns its exit code. Errors end as one line on stderr."""
    streams.open_standard()
    streams.make_patient()
    given = list(sys.argv[1:] if arguments is None else arguments)
    given, debug = _globals_first(given)
    before_data = given[: given.index("--")] if "--" in given else given
    token = as_json.set("--json" in before_data)
    try:
        return _flushed(_run(given, debug))
    except streams.StreamError:  # while another error was printed
        return int(Exit.FAILED)
    finally:
        try:
            sys.stderr.flush()
        except streams.StreamError:
            streams.give_up(sys.stderr)
        as_json.reset(token)


def _flushed(code: int) -> int:
    """With all that was printed written out: or the exit code says that it is not."""
    try:
        sys.stdout.flush()
    except streams.StreamError as error:
        code = _of_stream(error)
    return code


def _of_stream(error: streams.StreamError) -> int:
    """A standard stream cannot be used. A reader that has seen enough, as `head`, is no failure."""
    streams.give_up(sys.stdout)
    if error.unread:
        return int(Exit.DONE)
    with contextlib.suppress(streams.StreamError):
        complain(str(error), Exit.FAILED)
    return int(Exit.FAILED)


def _run(given: list[str], debug: bool) -> int:
    for stream in (sys.stdout, sys.stderr):  # a terminal without UTF-8 must not break a command
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(given, standalone_mode=False, prog_name="chatlab")
    except Problem as problem:
        if debug:
            _trace()
        complain(str(problem), problem.code)
        return int(problem.code)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    except streams.StreamError as error:
        return _of_stream(error)
    except Exception as error:
        if debug:
            _trace()
        return _unexpected(error)
    return code if isinstance(code, int) else int(Exit.DONE)


def _trace() -> None:
    """For --debug: where it happened, before what happened. The exit code is the same as ever."""
    import traceback  # lazy: only for --debug

    traceback.print_exc()


def _globals_first(given: list[str]) -> tuple[list[str], bool]:
    """Move the options that may stand anywhere to the front. After `--` everything is data."""
    end = given.index("--") if "--" in given else len(given)
    head: list[str] = []
    moved = [word for word in ANYWHERE if word in given[:end]]
    words = iter(given[:end])
    for word in words:
        name, has_value, _ = word.partition("=")
        if name in ANYWHERE_WITH_VALUE:
            moved += (
                [word] if has_value else [word, *(value for value in [next(words, "")] if value)]
            )
        elif word not in ANYWHERE:
            head.append(word)
    debug = "--debug" in moved or os.environ.get("CHATLAB_DEBUG", "") not in ("", "0")
    return [*moved, *head, *given[end:]], debug


def _unexpected(error: Exception) -> int:
    """An error that no command foresaw: still one line."""
    message = getattr(error, "format_message", None)
    if message is not None:  # from the argument parser
        return _usage(error, message())
    if isinstance(error, OSError):
        from node.config.os_errors import complaint  # lazy: only for the error

        code = Exit.USAGE if isinstance(error, PermissionError) else Exit.FAILED
        complain(complaint(error), code)
        return int(code)
    from lab.terminal.shadows import shadowing  # lazy: only for the error

    if (shadow := shadowing(error)) is not None:
        complain(shadow, Exit.USAGE)
        return int(Exit.USAGE)
    if type(error).__name__ == "ConfigError":
        complain(str(error), Exit.USAGE)
        return int(Exit.USAGE)
    text = f"internal error, {type(error).__name__}: {error}"
    complain(f"{text}; run again with --debug for the traceback", Exit.FAILED)
    return int(Exit.FAILED)


def _usage(error: Exception, message: str) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "chatlab"
    if type(error).__name__ == "NoArgsIsHelpError":
        print(message)
        return int(Exit.USAGE)
    text = " ".join(message.split()).rstrip(".")
    code = int(getattr(error, "exit_code", Exit.USAGE))
    if re.match(r"no such option: (-f|--file)$", text, re.IGNORECASE):
        text += f"; the cluster file stands in front: `chatlab -f FILE {command.partition(' ')[2]}`"
    complain(f"{text[:1].lower()}{text[1:]}: see `{command} --help`", code)
    return code
