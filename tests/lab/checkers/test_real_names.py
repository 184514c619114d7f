"""A real node does not say which of two that asked for the very same made which event."""

from types import SimpleNamespace
from typing import Any

from lab.real.draft_event import Draft
from lab.real.life_events import Asked
from lab.real.trace_merge import _name
from lab.trace import kinds
from node.recording import format as raw

FACTS = kinds.Facts("posted", "ann", (), 1, 0, "hi")
ITEM = raw.SubmitIn(7, "post", "ann", "hi", "durable", 0, 100)


def asked(op: int, t_ns: int, text: str = "hi") -> Draft:
    return Draft(t_ns, "n1", 1, kinds.Invoke(op, f"s{op}", "post", "ann", text, "durable"))


def handed(number: int, invoke: Draft) -> Draft:
    data: Any = invoke.data
    ref = f"n1.a:{number}#{number:02}"
    told = kinds.Handed(number, ref, "local", 1, FACTS, "", data.op)
    return Draft(10 + number, "n1", 1, told, invoke)


def ok(invoke: Draft, dot: str, t_ns: int = 20) -> Draft:
    data: Any = invoke.data
    return Draft(t_ns, "n1", 1, kinds.Ok(data.op, data.session, dot), invoke)


def named(log: list[Draft], own: list[Draft]) -> list[tuple[int | None, str]]:
    tale: Any = SimpleNamespace(refs={}, own={})
    for draft in own:
        data: Any = draft.data
        tale.own.setdefault(data.ref.partition("#")[0], []).append(draft)
    _name(log, [tale])
    told = [draft.data for draft in own]
    return [(one.op, one.ref) for one in told if type(one) is kinds.Handed]


def refs(log: list[Draft]) -> list[str]:
    return [one.data.ref for one in log if type(one.data) is kinds.Ok]


def test_the_answer_settles_which_of_two_alike_made_which() -> None:
    one, other = asked(1, 1), asked(2, 2)
    own = [handed(1, one), handed(2, other)]
    log = [one, other, ok(one, "n1.a:2"), ok(other, "n1.a:1")]
    assert named(log, own) == [(2, "n1.a:1#01"), (1, "n1.a:2#02")]
    assert refs(log) == ["n1.a:2#02", "n1.a:1#01"]
    assert own[1].cause is one


def test_an_answer_that_tells_of_something_else_is_left_to_the_checkers() -> None:
    one, other = asked(1, 1), asked(2, 2, "something else")
    own = [handed(1, one), handed(2, other)]
    log = [one, other, ok(one, "n1.a:2"), ok(other, "n1.a:3")]
    assert named(log, own) == [(1, "n1.a:1#01"), (2, "n1.a:2#02")]
    assert refs(log) == ["n1.a:2#02", "n1.a:3"]


def test_a_dot_that_is_given_again_names_the_event_of_its_op() -> None:
    one, other = asked(1, 1), asked(2, 2)
    own = [handed(1, one), handed(1, other)]
    own[1].data = kinds.Handed(1, "n1.a:1#ff", "local", 1, FACTS, "", 2)
    log = [one, other, ok(other, "n1.a:1")]
    assert named(log, own) == [(1, "n1.a:1#01"), (2, "n1.a:1#ff")]
    assert refs(log) == ["n1.a:1#ff"]


def test_who_never_came_to_the_node_made_nothing() -> None:
    one, other = asked(1, 1), asked(2, 5)
    down = Draft(2, "n1", 1, kinds.Fail(1, "s1", "down"), one)
    waiting = Asked([one, down, other])
    assert waiting.find("n1", ITEM, 6) is other
    assert waiting.find("n1", ITEM, 7) is None
