"""The trace: its file form, its hash, and that the text about it is complete."""

import re
from hashlib import blake2b
from pathlib import Path

import pytest

from lab.plan.scenario import named
from lab.sim.world import run
from lab.trace.file import TraceError, read_lines, write_lines
from lab.trace.kinds import KINDS, Copied, Facts, Handed, PacketIn, Run, Sent, Visible
from lab.trace.trace import HASH_BYTES, Event, Trace, dot_of, encoded, origin_of, tag_of

DOCS = Path(__file__).parents[3] / "docs" / "trace.md"


def small() -> Trace:
    trace = Trace()
    facts = Facts(
        "posted",
        "ann",
        ("n1.1:1",),
        5,
        0,
        "hi \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    )
    trace.add(0, "", 0, Run(1, "sim", "calm", 7, ("n1",), "normal", "{}"))
    trace.add(1, "n1", 1, Handed(1, "n1.5:1#aa", "local", 6, facts), 0, None, None, 77)
    trace.add(2, "n1", 1, Sent("Syn", 1, 2, 3, 0), 1, ("n1", 1, 2**40), "n2", 6)
    trace.add(3, "n1", 1, PacketIn(b"\x00\xff"))
    trace.add(3, "n1", 1, Copied(), 2)
    return trace


def test_a_file_gives_the_same_events_and_the_same_hash() -> None:
    trace = small()
    again = read_lines(write_lines(trace))
    assert again.events == trace.events
    assert again.hash == trace.hash


def test_a_whole_run_survives_its_file() -> None:
    trace = run(named("all"), 3).trace
    lines = list(write_lines(trace))
    again = read_lines(lines)
    assert again.events == trace.events
    assert f'"hash":"{trace.hash}"'.encode() in lines[-1]


@pytest.mark.parametrize("count", [0, 1, 15, 16, 8192, 8193, 8208])
def test_the_hash_is_of_all_encodings_in_order_however_many(count: int) -> None:
    trace = Trace()
    for number in range(count):
        trace.add(number, "n1", 1, Copied())
    at_once = blake2b(encoded(trace), digest_size=HASH_BYTES).hexdigest()
    assert trace.hash == at_once
    assert trace.hash == at_once, "asked for again"


def test_a_line_says_when_where_what_and_why() -> None:
    line = list(write_lines(small()))[2]
    assert line.startswith(b'{"t_us":2,"seq":2,"node":"n1","inc":1,"kind":"send","msg_id":["n1",1,')
    assert b'"peer":"n2","bytes":6,"cause_seq":1,"data":{"body":"Syn","digest":1,' in line


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: [lines[0], *lines[2:]], "line 2 has seq 2, not 1"),
        (lambda lines: [lines[0].replace(b"calm", b"call"), *lines[1:]], "line 1: its hash"),
        (lambda lines: [lines[0].replace(b'"run"', b'"ran"'), *lines[1:]], "line 1 is no event"),
        (lambda lines: [b"{}\n"], "line 1 is no event"),
        (lambda lines: [lines[0].replace(b'"schema"', b'"schemes"')], "line 1 is no event"),
    ],
)
def test_a_changed_file_is_refused(change: object, says: str) -> None:
    lines = list(write_lines(small()))
    with pytest.raises(TraceError, match=says):
        read_lines(change(lines))  # type: ignore[operator]


def test_the_hash_grows_with_the_trace() -> None:
    trace, other = small(), small()
    assert trace.hash == other.hash
    trace.add(4, "n1", 1, Visible(1, "n1.5:1#aa", "local"))
    assert trace.hash != other.hash
    other.add(4, "n1", 1, Visible(1, "n1.5:1#ab", "local"))
    assert trace.hash != other.hash


def test_observers_are_told_of_every_event() -> None:
    seen: list[Event] = []
    trace = Trace([seen.append])
    trace.add(0, "", 0, Copied())
    assert seen == trace.events


def test_a_ref_can_be_taken_apart() -> None:
    ref = "n1.5eed:12#0123456789abcdef"
    assert (dot_of(ref), tag_of(ref), origin_of(ref)) == ("n1.5eed:12", "0123456789abcdef", "n1")


def test_the_documentation_names_every_kind_and_every_field() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^|]+)` \|([^|]*)\|", text, re.MULTILINE))
    told = {kind: row for kinds, row in rows.items() for kind in kinds.split("`, `")}
    for kind, of in KINDS.items():
        assert kind in told, kind
        for name in of.__struct_fields__:
            end = "*" + name[name.rfind("_") :] if name.endswith(("_again", "_back")) else name
            assert end in told[kind], f"{kind}: {name}"
