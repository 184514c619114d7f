"""Helpers that several commands share: global settings, the cluster of the command, validated text
arguments, JSON output, signals.
"""

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.error_output import as_given, complain
from lab.client.location import ClusterLocation, NodeLocation, find
from lab.terminal.errors import Exit, Problem
from lab.terminal.tables import Paint, paint_for


@dataclass(frozen=True)
class Elsewhere:
    """The endpoints of a node on another machine, and their keys; see `lab.client.remote`."""

    control: str = ""
    feed: str = ""
    key_files: tuple[str, ...] = ()
    node_key: str = ""

    def node(self, name: str) -> NodeLocation:
        doors = {"control": self.control, "feed": self.feed}
        files = ("dir", "journal_dir", "log_file", "stderr_file", "pid_file", "journal_id")
        paths = dict.fromkeys(files, "")
        return NodeLocation(
            name, **paths, **doors, key_files=self.key_files, node_key=self.node_key
        )


@dataclass(frozen=True)
class Settings:
    file: Path | None
    no_color: bool
    debug: bool
    elsewhere: Elsewhere | None = None

    def place(self) -> ClusterLocation:
        """The cluster that this command line means; raises a Problem when there is none."""
        if self.elsewhere is not None:
            text = (
                "this command works on the machine of a cluster: --control is for send, join, "
                "leave, timeline, presence and status, --feed for timeline --follow"
            )
            raise Problem(text, Exit.USAGE)
        return find(self.file)

    def node(self, name: str, *, feed_will_do: bool = False) -> NodeLocation:
        """Where to find a node: in the cluster file, or elsewhere as the options say."""
        if self.elsewhere is None:
            return self.place().node(name)
        if not self.elsewhere.control and not feed_will_do:
            raise Problem("this command needs --control: the feed only tells", Exit.USAGE)
        return self.elsewhere.node(name)

    @property
    def paint(self) -> Paint:
        return paint_for(sys.stdout, self.no_color)


def settings_of(context: typer.Context) -> Settings:
    settings = context.obj
    assert isinstance(settings, Settings)
    return settings


def complete_node(incomplete: str) -> list[str]:
    """Node names for the shell, from the state folder only: no network, no YAML."""
    try:
        return [name for name in find(None).nodes if name.startswith(incomplete)]
    except Problem:
        return []


NodeName = Annotated[str, typer.Argument(metavar="NODE", autocompletion=complete_node)]
NodeNames = Annotated[list[str], typer.Argument(metavar="NODE…", autocompletion=complete_node)]
SomeNodes = Annotated[
    list[str] | None, typer.Argument(metavar="[NODE…]", autocompletion=complete_node)
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line, nothing else.")]

Check = Annotated[bool, typer.Option("--check", help="Exit 7 when that is not as wanted.")]


def emit(value: object) -> None:
    """One JSON line on stdout."""
    from lab.terminal.display import json_line  # lazy: only with --json

    print(json_line(value), flush=True)


def hint(text: str) -> None:
    print(as_given(text), file=sys.stderr, flush=True)


def hear_ctrl_c() -> None:
    """For what runs until Ctrl-C: SIGINT raises KeyboardInterrupt from now on.

    It does so by itself, but not in the background of a script: a shell starts that with the signal
    ignored.
    """
    import signal  # lazy: quick commands do without

    signal.signal(signal.SIGINT, signal.default_int_handler)


def hear_the_end() -> None:
    """For what starts processes of its own: whatever ends this command, short of SIGKILL, takes
    the way of Ctrl-C, so that they are ended too.
    """
    import signal  # lazy: quick commands do without

    hear_ctrl_c()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def utf8(text: str, what: str) -> str:
    """The text, if its bytes on the command line were UTF-8; a Problem otherwise."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        at = len(text[: error.start].encode("utf-8", "surrogateescape"))
        raise Problem(f"{what} is not valid UTF-8 at byte {at}", Exit.USAGE) from None
    return text


def seconds(value: float, option: str) -> float:
    if not 0 <= value <= 86_400:
        raise Problem(f"{option} must be from 0 to 86400 seconds, not {value:g}", Exit.USAGE)
    return value


def nodes_of(place: ClusterLocation, names: list[str] | None) -> list[str]:
    """The named nodes, checked; all of them when none is named."""
    if not names:
        return list(place.nodes)
    return [place.node(name).name for name in dict.fromkeys(names)]


def first_problem(problems: list[Problem]) -> None:
    """Show every problem; leave with the first one's code."""
    for problem in problems:
        complain(str(problem), problem.code)
    if problems:
        raise typer.Exit(int(problems[0].code))


def is_compiled() -> bool:
    """Whether this process runs what scripts/compile made."""
    spec = find_spec("domain.clock")  # a module that is always compiled
    return spec is not None and not str(spec.origin).endswith(".py")
