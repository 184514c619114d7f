"""Every human output, as a function of one untrusted text that stands wherever a stranger's may."""

import io
import json
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from random import Random
from typing import Any

from domain.clock import Stamp
from domain.dot import Dot
from domain.events import MessagePosted, ParticipantJoined, UnknownEvent
from lab.cli import chat, journal, moderate
from lab.cli import inspect_cluster as looking
from lab.cli import node_table as listing
from lab.cli import timeline_view as view
from lab.cli.common import first_problem
from lab.cli.error_output import complain
from lab.cli.logs import line_text
from lab.cli.main import _unexpected
from lab.client.client import RequestFailure
from lab.client.timeline_reader import TimelineReader
from lab.observe.log_tail import parse_line
from lab.observe.node_states import NodeState
from lab.terminal.errors import Problem
from lab.terminal.event_line import item_text
from lab.terminal.tables import Paint
from node.control.messages import (
    Accepted,
    Failed,
    FrontierPage,
    LogStatus,
    Participant,
    PeerStatus,
    PlacesStatus,
    PresencePage,
    Refused,
    Status,
    TimelineItem,
    WorkerStatus,
)
from node.network.link_faults import LinkFault

PLAIN = Paint(on=False)
VISIBLE_FORMATS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
JOINERS = "\u200c\u200d"


def harmless(char: str) -> bool:
    """Printable, and neither a control nor a format character that a terminal acts on."""
    category = unicodedata.category(char)
    if category == "Cf":
        return ord(char) in VISIBLE_FORMATS
    return category not in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp")


def wrong_in(shown: str) -> list[str]:
    """What of it is neither printable nor a newline."""
    return sorted({f"U+{ord(c):04X}" for c in set(shown) - {"\n", *JOINERS} if not harmless(c)})


# --- texts ----------------------------------------------------------------------------------------


def code_points(size: int = 2048) -> Iterator[str]:
    """Every code point once, each between letters so that none can lean on another."""
    for first in range(0, 0x110000, size):
        yield "a" + "a".join(map(chr, range(first, first + size))) + "a"


def escapes(count: int = 1000, seed: int = 1) -> Iterator[str]:
    """Sequences that terminals obey: CSI, OSC, DCS, charsets, C1 forms, bidi, and their ends."""
    rng = Random(seed)
    openers = ("\x1b[", "\x9b", "\x1b]", "\x9d", "\x1bP", "\x90", "\x1b_", "\x1b(", "\x1b", "\x1b#")
    bodies = (
        "2J",
        "0;title",
        "52;c;aGk=",
        "8;;http://x",
        "?1049h",
        "6n",
        "38;5;1m",
        "5i",
        "c",
        "1A",
    )
    ends = (
        "\x07",
        "\x1b\\",
        "\x9c",
        "m",
        "H",
        "\n",
        "\r",
        "\x08" * 5,
        "\u202e",
        "\u2066",
        "\u2028",
    )
    for _ in range(count):
        parts = [rng.choice(openers) + rng.choice(bodies) + rng.choice(ends)]
        parts += [rng.choice(("", "\r\n", "[red]x[/foo]", "\x00", "\x7f", "%s{}", "é\u0301" * 9))]
        yield "".join(parts)


# --- outputs --------------------------------------------------------------------------------------


def _timeline(text: str) -> None:
    dot = Dot(text, 5, 1)
    stamp = Stamp(1000, 0)
    for event in (
        MessagePosted(dot, stamp, (), text, text, (text,)),
        ParticipantJoined(dot, stamp, (), text),
        UnknownEvent(dot, stamp, (), text, 99),
    ):
        for order in ("causal", "arrival", "author"):
            print(item_text(TimelineItem(event, 1000, "rumor", True), order, PLAIN))
    view._print_summary(text, TimelineReader([], 3, 1, [(text, 5, 1, 4)], more_holes=True))


def _presence(text: str) -> None:
    view.show_presence(
        PresencePage(1, [Participant(text, True, "posted", Dot(text, 5, 1), 9)]), PLAIN
    )


def _status(text: str) -> None:
    log = LogStatus(text, 5, 3, [(5, 6)], text, True)
    peer = PeerStatus("alive", 1, 10, True, fault=text)
    worker = WorkerStatus("running", 1, 5)
    values: dict[str, Any] = {
        "id": 1, "node": text, "pid": 1, "state": text, "epoch": 5, "incarnation": 1, "events": 3,
        "root": text, "frontier": [log], "missing": 2, "peers": {text: peer}, "durability": text,
        "written_upto": 1, "durable_upto": 1, "quiet_for_ms": 1, "stable": True,
        "workers": {text: worker}, "forked": [text], "uptime_ms": 1, "counters": {text: 1},
        "places": PlacesStatus(9, 9, 9, ["", text]),
    }  # fmt: skip
    looking._show_status(Status(**values), PLAIN)


def _states(text: str) -> None:
    faults = {text: LinkFault(loss=0.5)}
    state = NodeState(
        text, text, None, None, 0, None, None, 1, None, text, text, faults
    )  # exit is told before faults
    others = NodeState(text, text, None, None, 0, None, None, 1, None, text, "", faults)
    listing.show_states([state, others], PLAIN)


def _diff(text: str) -> None:
    left = FrontierPage(1, text, 3, [LogStatus(text, 5, 3, [], text)])
    right = FrontierPage(1, text + "x", 2, [LogStatus(text, 5, 2, [], text)])
    from lab.observe.convergence import forks, lacking

    only_a, only_b = lacking(left.logs, right.logs), lacking(right.logs, left.logs)
    looking._show_diff(
        "n1", "n2", left, right, only_a, only_b, [*forks(left.logs, right.logs), text]
    )
    looking._show_diff("n1", "n2", left, left, [], [], [])


def _logs(text: str) -> None:
    heads = dict.fromkeys(("event", "level", "node", "worker", "ts"), text)
    raw = json.dumps(heads | {"note": text, text: [text, {text: text}]}).encode()
    print(line_text(parse_line(raw, "n1"), PLAIN, {}))
    print(line_text(parse_line(text.encode("utf-8", "replace"), "n1"), PLAIN, {}))


def _errors(text: str) -> None:
    complain(text, 1)
    _unexpected(ValueError(text))
    _unexpected(OSError(5, text, text))
    try:
        first_problem([Problem(text)])
    except BaseException as ended:
        assert type(ended).__name__ == "Exit"


def _answers(text: str) -> None:
    print(chat._accepted_text("n1", Accepted(1, Dot(text, 5, 1), text, "censored", text, [text])))
    for reply in (
        Refused(1, "moderation", text, [text]),
        Failed(1, "internal", text, Dot(text, 5, 1)),
    ):
        try:
            chat._report("n1", reply, json=False)
        except (Problem, RequestFailure) as problem:
            complain(str(problem), problem.code)


def _journal(text: str) -> None:
    from lab.terminal.display import display_safe

    dot = {"origin": text, "epoch": 5, "seq": 1}
    event = {"dot": dot, "received_at_ms": 5, "via": "rumor", "event": "posted", "author": text}
    for item in (
        {"kind": "event", "text": text, **event},
        {"kind": "epoch", "epoch": 5, "reason": text},
        {"kind": "damage", "cause": text},
    ):
        print(display_safe(journal.item_text({"file": "1.seg", "offset": 0, **item})))


def _moderate(text: str) -> None:
    from domain.moderation import Moderator, Policy, Rule

    moderate._show(Moderator(Policy((Rule("a", ("word",), "censor"),), ())), text, False, PLAIN)


OUTPUTS: dict[str, Callable[[str], None]] = {
    "timeline": _timeline,
    "presence": _presence,
    "status": _status,
    "cluster ps": _states,
    "diff": _diff,
    "logs": _logs,
    "errors": _errors,
    "answers": _answers,
    "journal": _journal,
    "moderate": _moderate,
}


def shown_by(output: str, text: str) -> str:
    """What reaches the terminal, on both streams."""
    to = io.StringIO()
    with redirect_stdout(to), redirect_stderr(to):
        OUTPUTS[output](text)
        sys.stdout.flush()
    return to.getvalue()


def check(output: str, texts: Iterator[str]) -> int:
    """Returns how many texts were shown; raises at the first one that is not inert."""
    count = 0
    for text in texts:
        wrong = wrong_in(shown_by(output, text))
        assert not wrong, f"{output} lets {', '.join(wrong[:8])} through"
        count += 1
    return count
