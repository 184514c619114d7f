"""The commands of a chat client: `send`, `join`, `leave`, `timeline`, `presence`."""

import os
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from domain.events import AUTHOR_BYTES_MAX
from lab.cli.common import Json, NodeName, Settings, emit, hint, settings_of, utf8
from lab.client.location import NodeLocation
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.client.client import Client
    from node.control.messages import Accepted, Failed, Refused, Reply

LAST_MAX = 2**31 - 1  # no timeline is longer
WAIT_MAX_S = 3600
AUTHOR = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Who speaks. Default: $USER.")
]
ACK = Annotated[
    str,
    typer.Option(
        metavar="LEVEL",
        help="How safe before it is acknowledged: written, durable or replicated:K. "
        "Default: what the node's durability promises.",
    ),
]
TIMEOUT = Annotated[float, typer.Option(metavar="S", help="Seconds to wait for that.")]


def send(
    context: typer.Context,
    node: NodeName,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]")] = None,
    author: AUTHOR = None,
    ack: ACK = "",
    timeout: TIMEOUT = 5.0,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="One message per line of stdin, pipelined.")
    ] = False,
    json: Json = False,
) -> None:
    """Post one message, or one per line of stdin.

    Example: chatlab send n2 "hello" --as ana --ack replicated:2
    """
    if (text is None) != stdin:
        raise Problem("give either a TEXT or --stdin: see `chatlab send --help`", Exit.USAGE)
    settings = settings_of(context)
    at = settings.node(node)
    who = _author(author)
    _check_ack(ack, settings)
    _check_wait(timeout)
    if stdin:
        _send_lines(at, who, ack, timeout, json)
    else:
        assert text is not None
        _send_one(at, who, text, ack, timeout, json)


def _send_one(at: NodeLocation, who: str, text: str, ack: str, timeout: float, json: bool) -> None:
    from lab.client.pipeline import check_size  # lazy: zmq and msgspec
    from node.control.messages import Post

    try:
        check_size(len(utf8(text, "the text").encode()))
    except Problem as problem:
        if json and problem.code is Exit.REFUSED:
            emit({"refused": "domain", "rules": [], "reason": str(problem)})
        raise
    with _client(at) as client:
        request = Post(client.new_id(), who, text, ack, round(timeout * 1000))
        reply = client.ask(request, timeout + 1.0)
    _report(at.name, reply, json)


def _report(node: str, reply: "Reply", json: bool) -> None:
    """What became of one command; raises the Problem that gives the exit code."""
    from lab.client.client import RequestFailure
    from node.control.messages import Accepted, Failed, Refused

    if json:
        emit(_reply_json(reply))
    if type(reply) is Accepted:
        if not json:
            print(_accepted_text(node, reply))
    elif type(reply) is Refused:
        raise Problem(_refused_text(reply), Exit.REFUSED)
    elif type(reply) is Failed:
        raise RequestFailure(node, _failed_text(reply))
    else:
        raise Problem(f"{node} gave a strange answer: {type(reply).__name__}")


def _reply_json(reply: "Reply") -> dict[str, object]:
    from node.control.messages import Accepted, Failed, Refused

    if type(reply) is Accepted:
        return {
            "dot": reply.dot,
            "ack": reply.ack,
            "verdict": reply.verdict,
            "text": reply.text,
            "rules": reply.rules,
        }
    if type(reply) is Refused:
        return {"refused": reply.by, "rules": reply.rules, "reason": reply.reason}
    if type(reply) is Failed:
        return {"failed": reply.code, "reason": reply.reason, "dot": reply.dot}
    return {"failed": "internal", "reason": type(reply).__name__, "dot": None}


def _accepted_text(node: str, reply: "Accepted") -> str:
    from lab.terminal.display import display_safe
    from lab.terminal.formats import SAFETY, dot_text

    level = SAFETY.get(reply.ack.partition(":")[0], "")
    line = f"{dot_text(reply.dot)}  stored at {node}, {display_safe(reply.ack)}{level}"
    if reply.verdict == "censored":
        rules = display_safe(", ".join(reply.rules))
        line += f"\ncensored by {rules}: {display_safe(reply.text)}"
    return line


def _refused_text(reply: "Refused") -> str:
    rules = f" (rule {', '.join(reply.rules)})" if reply.rules else ""
    by = "moderation" if reply.by == "moderation" else "the domain"
    return f"refused by {by}{rules}: {reply.reason}"


def _failed_text(reply: "Failed") -> "Failed":
    """With a dot, the event exists all the same: a person must know before trying again."""
    import msgspec

    if reply.dot is None:
        return reply
    from lab.terminal.formats import dot_text

    more = f"{reply.reason}; the event exists all the same, as {dot_text(reply.dot)}"
    return msgspec.structs.replace(reply, reason=more)


def _send_lines(at: NodeLocation, who: str, ack: str, timeout: float, json: bool) -> None:
    from lab.client.client import RequestFailure, Unreachable
    from lab.client.pipeline import Pipeline
    from lab.terminal.display import display_safe
    from node.control.messages import Accepted, Failed, Refused, Reply

    def on_reply(number: int, reply: Reply) -> None:
        if json:
            emit({"line": number} | _reply_json(reply))
        elif type(reply) is Refused:
            hint(display_safe(f"line {number}: {_refused_text(reply)}"))
        elif type(reply) is Failed:
            hint(display_safe(f"line {number}: {RequestFailure(at.name, _failed_text(reply))}"))
        elif type(reply) is not Accepted:
            hint(f"line {number}: strange answer {type(reply).__name__}")

    def on_bad(number: int, problem: Problem) -> None:
        if json:
            refused = problem.code is Exit.REFUSED
            kind = {"refused": "domain"} if refused else {"failed": "bad_request"}
            emit({"line": number} | kind | {"rules": [], "reason": str(problem)})
        else:
            hint(display_safe(f"line {number}: {problem}"))

    problem: Problem | None = None
    with _client(at) as client:
        pipeline = Pipeline(
            client=client, author=who, ack=ack, timeout_s=timeout, on_reply=on_reply, on_bad=on_bad
        )
        try:
            pipeline.run(sys.stdin.fileno())
        except Unreachable as gone:
            problem = gone
        finally:
            summary = pipeline.summary
            if json:
                emit(summary)
            else:
                print(
                    f"sent {summary.sent}, acked {summary.acked}, refused {summary.refused}, "
                    f"failed {summary.failed}, unknown {summary.unknown}, "
                    f"{summary.rate:g} acked/s in {summary.seconds:g} s"
                )
    if problem is not None:
        lost = f"; {summary.unknown} messages may or may not exist there" if summary.unknown else ""
        raise Problem(f"{problem}{lost}", problem.code)
    if pipeline.first_code is not None:
        raise typer.Exit(int(pipeline.first_code))


def join(
    context: typer.Context,
    node: NodeName,
    author: AUTHOR = None,
    ack: ACK = "",
    timeout: TIMEOUT = 5.0,
    json: Json = False,
) -> None:
    """Say that a participant is here."""
    _set_presence(settings_of(context), node, author, ack, timeout, json, present=True)


def leave(
    context: typer.Context,
    node: NodeName,
    author: AUTHOR = None,
    ack: ACK = "",
    timeout: TIMEOUT = 5.0,
    json: Json = False,
) -> None:
    """Say that a participant has left."""
    _set_presence(settings_of(context), node, author, ack, timeout, json, present=False)


def _set_presence(
    settings: Settings,
    node: str,
    author: str | None,
    ack: str,
    timeout: float,
    json: bool,
    *,
    present: bool,
) -> None:
    from node.control.messages import SetPresence  # lazy: zmq and msgspec

    at = settings.node(node)
    who = _author(author)
    _check_ack(ack, settings)
    with _client(at) as client:
        wait_ms = round(_check_wait(timeout) * 1000)
        reply = client.ask(SetPresence(client.new_id(), who, present, ack, wait_ms), timeout + 1.0)
    _report(node, reply, json)


def timeline(
    context: typer.Context,
    node: NodeName,
    order: Annotated[
        str, typer.Option(metavar="causal|arrival|author", help="How to sort.")
    ] = "causal",
    last: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Only the last N of that order.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="As this node knew it then: 30s (ago), 14:03:10 (here), 14:03:10Z, an ISO time.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Then go on with what arrives.")
    ] = False,
    json: Json = False,
) -> None:
    """Show one node's view of the chat. Other nodes may see more, less, or another order."""
    from lab.cli import timeline_view as view  # lazy: zmq and msgspec
    from lab.terminal import moments

    settings = settings_of(context)
    at = settings.node(node, feed_will_do=follow)
    if order not in ("causal", "arrival", "author"):
        raise Problem(f"--order is causal, arrival or author, not {order!r}", Exit.USAGE)
    as_of_ms = moments.moment_ms(as_of) if as_of is not None else None
    last = last if last is None else min(last, LAST_MAX)
    if follow and as_of is not None:
        raise Problem("--follow goes on from now, --as-of looks back: give one", Exit.USAGE)
    _check_awake(at)
    view.show_timeline(at, order, last, as_of_ms, follow, json, settings.paint)


def presence(context: typer.Context, node: NodeName, json: Json = False) -> None:
    """Show who is active, and on which event that rests."""
    from lab.cli import timeline_view as view
    from lab.client.timeline_reader import read_presence

    settings = settings_of(context)
    at = settings.node(node)
    with _client(at) as client:
        page = read_presence(client)
    if json:
        for participant in page.participants:
            emit(participant)
    else:
        view.show_presence(page, settings.paint)


def _author(given: str | None) -> str:
    who = given if given is not None else os.environ.get("USER") or "anonymous"
    size = len(utf8(who, "the name given with --as").encode())
    if size > AUTHOR_BYTES_MAX:
        text = f"the name given with --as has {size} bytes, at most {AUTHOR_BYTES_MAX} are allowed"
        raise Problem(text, Exit.REFUSED)
    return who


def _check_wait(timeout: float) -> float:
    """What a node takes: a millisecond to an hour."""
    if not 0.001 <= timeout <= WAIT_MAX_S:
        text = f"--timeout is from 0.001 to {WAIT_MAX_S} seconds, not {timeout:g}"
        raise Problem(text, Exit.USAGE)
    return timeout


def _check_ack(ack: str, settings: Settings) -> None:
    if ack in ("", "written", "durable"):
        return
    copies = re.fullmatch(r"replicated:([1-9][0-9]{0,3})", ack)
    if copies is None:
        raise Problem(f"--ack is written, durable or replicated:K, not {ack!r}", Exit.USAGE)
    if settings.elsewhere is not None:
        return  # the node knows how many others there are
    others = len(settings.place().nodes) - 1
    if int(copies[1]) > others:
        text = f"--ack {ack} needs {copies[1]} other nodes, the cluster has {others}"
        raise Problem(text, Exit.USAGE)


def _client(at: NodeLocation) -> "Client":
    from lab.client.client import Client  # lazy: zmq and msgspec

    _check_awake(at)
    return Client.at(at)


def _check_awake(at: NodeLocation) -> None:
    """A paused process accepts connections and never answers: say so at once."""
    from pathlib import Path

    from lab.cluster.processes import live_record, state_of

    if at.is_remote:
        return
    record = live_record(Path(at.pid_file))
    if record is not None and state_of(record.pid) == "T":
        text = f"{at.name} is paused: wake it with `chatlab cluster resume {at.name}`"
        raise Problem(text, Exit.UNREACHABLE)


__all__ = ["join", "leave", "presence", "send", "timeline"]
