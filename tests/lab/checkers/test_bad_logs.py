"""Known-bad histories, by hand, for C1 to C5: each breaks one promise, and its checker must say so.

Among them the cases on which checkers of others fell: the very first op, an empty text, a text
that is "0", a dot with number 1.
"""

from typing import Any

import msgspec
import pytest

from lab.trace import kinds
from lab.trace.trace import Event
from tests.lab.checkers.bad import (
    Case,
    broken,
    calm,
    cases_of,
    first_of,
    first_seen,
    lacking,
    last_final,
    said,
    shared,
    two,
)
from tests.lab.checkers.edits import edited, places, renumbered
from tests.lab.checkers.histories import Book

# --- C1 -------------------------------------------------------------------------------------------


def c1_first_post_is_gone_everywhere() -> list[Event]:
    events = calm()
    ref = first_of(events, kinds.Handed).ref
    return lacking(lacking(events, "n1", ref), "n2", ref)


def c1_one_node_lacks_it() -> list[Event]:
    events = calm()
    return lacking(events, "n2", first_of(events, kinds.Handed).ref)


def c1_acked_before_the_sync() -> list[Event]:
    book = two()
    ref = book.post("n1")
    book.add("n1", kinds.Ok(1, "s-n1", ref, "durable", "hello"), book.invokes[1])
    book.nodes["n1"].waiting = {}
    book.sync("n1")
    return book.finish()


def c1_acked_as_durable_when_only_written() -> list[Event]:
    book = two(durability="interval")
    book.post("n1")
    book.sync("n1", durable=False)
    events = book.finish()
    return edited(events, places(events, kinds.Ok)[0], level="durable")


def c1_acked_and_never_handed_out() -> list[Event]:
    book = two()
    op = book.invoke("n1", "post", "hello")
    book.add("n1", kinds.Ok(op, "s-n1", "n1.1:1#00", "durable", "hello"), book.invokes[op])
    return book.finish()


def c1_replicated_nowhere() -> list[Event]:
    events = calm()
    return edited(events, places(events, kinds.Ok)[0], level="replicated:1")


def c1_replicated_where_it_was_lost_unsynced() -> list[Event]:
    """The other node wrote it, never synced it, and lost it before the client was told."""
    book = two(durability="interval")
    ref = book.post("n1", far=True)
    book.sync("n1")
    book.carry("n1", "n2")
    book.sync("n2", durable=False)
    book.crash("n2", "power")
    book.boot("n2")
    (op,) = book.nodes["n1"].promised
    book.nodes["n1"].promised.clear()
    ok = kinds.Ok(op, book.session(op), ref, "replicated:1", "hello", ())
    book.add("n1", ok, book.invokes[op])
    return book.finish()


def c1_power_takes_what_was_synced() -> list[Event]:
    book = two()
    said(book, "n1")
    node = book.nodes["n1"]
    book.crash("n1", "power")
    node.records.pop()
    node.seq = 0
    book.boot("n1")
    return book.finish()


# --- C2 -------------------------------------------------------------------------------------------


def c2_failed_first_op_exists() -> list[Event]:
    events = calm()
    at = places(events, kinds.Ok)[0]
    event = msgspec.structs.replace(events[at], data=kinds.Fail(1, "s-n1", "busy"))
    return [*events[:at], event, *events[at + 1 :]]


def c2_unknown_ends_at_one_node_only() -> list[Event]:
    events = calm()
    at = places(events, kinds.Ok)[0]
    ref = first_of(events, kinds.Handed).ref
    event = msgspec.structs.replace(events[at], data=kinds.Info(1, "s-n1", "ack_timeout"))
    return lacking([*events[:at], event, *events[at + 1 :]], "n2", ref)


def c2_unknown_by_its_dot_only() -> list[Event]:
    """Nobody told of its record: the answer's dot is all there is."""
    events = calm()
    at = places(events, kinds.Ok)[0]
    ref = first_of(events, kinds.Handed).ref
    info = kinds.Info(1, "s-n1", "ack_timeout", dot=ref.split("#")[0])
    event = msgspec.structs.replace(events[at], data=info)
    handed = places(events, kinds.Handed)[0]
    events = [*events[:handed], *events[handed + 1 : at], event, *events[at + 1 :]]
    return lacking(renumbered(events), "n2", ref)


def c2_answered_twice() -> list[Event]:
    events = calm()
    at = places(events, kinds.Ok)[0]
    return renumbered([*events[: at + 1], events[at], *events[at + 1 :]])


# --- C3 -------------------------------------------------------------------------------------------


def c3_nobody_asked() -> list[Event]:
    events = calm()
    at = places(events, kinds.Invoke)[0]
    return renumbered([*events[:at], *events[at + 1 :]])


def c3_comes_from_nowhere() -> list[Event]:
    events = calm()
    at = places(events, kinds.Handed, "n2")[0]
    data: Any = events[at].data
    return edited(events, at, ref="n1.1:9#0000000000000000", via=data.via)


def c3_number_used_again_after_a_crash() -> list[Event]:
    book = two()
    said(book, "n1", "one")
    shared(book, "n1", "n2")
    book.crash("n1", "power")
    node = book.nodes["n1"]
    node.records.pop()
    book.boot("n1")
    node.seq = 0
    said(book, "n1", "two")
    return book.finish()


def c3_two_events_of_one_op() -> list[Event]:
    book = two()
    op = book.invoke("n1", "post", "hello")
    book.hand_own("n1", op)
    book.hand_own("n1", op)
    book.sync("n1")
    return book.finish()


def c3_false_accusation() -> list[Event]:
    events = calm()
    return edited(events, last_final(events), forked=("n1",))


def c3_fork_that_nobody_flags() -> list[Event]:
    book = two()
    said(book, "n1", "one")
    shared(book, "n1", "n2")
    book.crash("n1")
    book.put("n1", "older")
    node = book.nodes["n1"]
    node.records = node.records[:1]
    book.boot("n1")
    book.sync("n1")
    node.log, node.seq = "n1.1", 0
    said(book, "n1", "two")
    return book.finish()


def c3_another_author() -> list[Event]:
    events = calm()
    at = places(events, kinds.Handed)[0]
    data: Any = events[at].data
    return edited(events, at, facts=msgspec.structs.replace(data.facts, author="mallory"))


# --- C4, C5 ---------------------------------------------------------------------------------------


def c4_shown_twice() -> list[Event]:
    events = calm()
    at = places(events, kinds.Visible)[0]
    return renumbered([*events[: at + 1], events[at], *events[at + 1 :]])


def c4_read_twice() -> list[Event]:
    events = calm()
    at = next(n for n in places(events, kinds.Ok) if first_seen(events[n]))
    data: Any = events[at].data
    return edited(events, at, seen=(*data.seen, data.seen[0]))


def c4_twice_after_a_start() -> list[Event]:
    book = two()
    said(book, "n1")
    book.crash("n1")
    book.boot("n1")
    events = book.trace.events
    at = places(events, kinds.Boot)[-1]
    data: Any = events[at].data
    return edited(events, at, arrivals=data.arrivals * 2)


def c5_synced_and_gone() -> list[Event]:
    return c1_power_takes_what_was_synced()


def c5_killed_and_gone() -> list[Event]:
    book = two(durability="none")
    said(book, "n1")
    book.crash("n1", "kill")
    book.nodes["n1"].records.pop()
    book.boot("n1")
    return book.finish()


def c5_invented() -> list[Event]:
    book = two()
    said(book, "n1")
    shared(book, "n1", "n2")
    ref = said(book, "n2")
    book.crash("n1")
    book.nodes["n1"].records.append(ref)
    book.boot("n1")
    return book.finish()


def c5_hole_in_silence() -> list[Event]:
    book = two(durability="none")
    said(book, "n1", "a")
    book.post("n1", "b")
    book.sync("n1", durable=False)
    book.post("n1", "c")
    book.sync("n1", durable=False)
    book.crash("n1", "power")
    book.nodes["n1"].records = [*book.nodes["n1"].records, "n1.1:3#0"]
    events = book.trace.events
    refs = [e.data.ref for e in events if type(e.data) is kinds.Handed]
    book.nodes["n1"].records[-1] = refs[-1]
    book.boot("n1")
    return book.finish()


def c5_something_on_an_empty_disk() -> list[Event]:
    book = two()
    said(book, "n1")
    book.crash("n1")
    book.nodes["n1"].disk = "empty"
    book.boot("n1")
    return book.finish()


def c5_shown_before_the_sync() -> list[Event]:
    events = calm()
    at = places(events, kinds.Written, "n1")[1]
    data: Any = events[at].data
    return edited(events, at, durable=data.durable - 1)


def c5_written_goes_back() -> list[Event]:
    events = calm()
    at = places(events, kinds.Written, "n1")[-1]
    return edited(events, at, written=1, durable=1)


def c5_left_before_the_sync() -> list[Event]:
    book = two()
    ref = book.post("n1")
    book._hand(book.nodes["n2"], ref, "rumor", None, "n1")
    book.sync("n2")
    return book.finish()


def c5_a_gap_in_the_log() -> list[Event]:
    book = two()
    book.nodes["n1"].seq = 1
    said(book, "n1")
    return book.finish()


def c5_another_log() -> list[Event]:
    book = two()
    book.nodes["n1"].log = "n1.ff"
    said(book, "n1")
    return book.finish()


def c5_a_log_opened_twice() -> list[Event]:
    book = two()
    book.nodes["n1"].records.append("epoch n1.1")
    book.add("n1", kinds.Epoch(2, "n1.1", "again"))
    book.sync("n1")
    return book.finish()


def c5_a_log_that_no_record_opened() -> list[Event]:
    """The epoch's record is never handed out, and its number goes to the first event."""
    book = Book("n1", "n2")
    book.boot("n1")
    opened = places(book.trace.events, kinds.Epoch)
    del book.trace.events[opened[0] :]
    book.nodes["n1"].records.clear()
    book.boot("n2")
    book.sync("n2")
    said(book, "n1")
    return book.finish()


def c5_a_log_whose_record_was_lost() -> list[Event]:
    """The record had not been synced when the power failed, and the node goes on where it was."""
    book = Book("n1", "n2")
    for name in book.nodes:
        book.boot(name)
    node = book.nodes["n1"]
    log = node.log
    book.crash("n1", "power")
    book.boot("n1")
    boot = places(book.trace.events, kinds.Boot, "n1")[-1]
    book.trace.events[:] = edited(book.trace.events[: boot + 1], boot, log=log)
    node.log, node.records = log, []
    said(book, "n1")
    return book.finish()


def c5_takes_back_what_was_written() -> list[Event]:
    book = two()
    said(book, "n1")
    book.add("n1", kinds.Unwritten(1, "disk_full", "no room", final=False))
    return book.finish()


def c5_damage_in_silence() -> list[Event]:
    book = two()
    said(book, "n1")
    book.crash("n1")
    book.flip("n1")
    book.nodes["n1"].flipped = False
    book.boot("n1")
    return book.finish()


@pytest.mark.parametrize("case", cases_of(dict(globals())), ids=lambda case: case.__name__)
def test_a_bad_history_is_found_out(case: Case) -> None:
    broken(case)
