"""The registry, the judge, and what checkers may know."""

import ast
from pathlib import Path
from random import Random

import pytest

import lab.checkers
from lab.checkers import BATCH, PAIR, RULES, SINGLE, Judge, Verdict, judge, overall
from lab.trace import kinds
from lab.trace.file import read_lines, write_lines
from lab.trace.trace import Trace
from tests.lab.checkers.generate import edited, good

HERE = Path(lab.checkers.__file__).parent
ALLOWED = {"lab.trace.trace", "lab.trace.kinds", "lab.trace.file", "msgspec"}
STDLIB = {
    *("bisect", "collections", "functools", "itertools", "operator", "re", "typing"),
    "unicodedata",
}


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", sorted(HERE.glob("*.py")), ids=lambda path: path.stem)
def test_a_checker_knows_the_trace_and_nothing_of_what_it_judges(path: Path) -> None:
    strange = {
        name
        for name in imported(path)
        if name not in ALLOWED
        and name.split(".")[0] not in STDLIB
        and not name.startswith("lab.checkers")
    }
    assert strange == set()


def test_there_is_one_rule_for_each_number() -> None:
    assert list(RULES) == [f"C{number}" for number in range(1, 22)]
    assert set(RULES) == {*SINGLE, *PAIR, *BATCH}
    for rule in RULES.values():
        assert rule.name
        assert rule.promise.endswith(".")
    assert len({rule.name for rule in RULES.values()}) == 21


def test_each_checker_has_a_file_that_begins_with_its_number() -> None:
    docs = [ast.get_docstring(ast.parse(path.read_text())) or "" for path in HERE.glob("*.py")]
    for rule in RULES:
        assert sum(doc.startswith(f"{rule}:") for doc in docs) == 1, rule


def test_the_verdict_of_all_is_the_worst_that_counts() -> None:
    def of(**outcomes: str) -> str:
        told = [Verdict(rule, outcome, "why") for rule, outcome in outcomes.items()]  # type: ignore[arg-type]
        return overall(told, RULES.values())

    assert of(C1="pass", C2="pass") == "pass"
    assert of(C1="pass", C2="unknown") == "unknown"
    assert of(C1="fail", C2="unknown") == "fail"
    assert of(C1="pass", C11="unknown") == "pass"
    assert of(C1="pass", C13="fail") == "fail"
    assert of() == "unknown"


def test_a_judge_that_looks_on_while_a_trace_grows_says_the_same() -> None:
    for seed in range(20):
        events = edited(Random(seed), good(Random(seed)))
        watching = Judge()
        trace = Trace((watching.see,))
        for event in events:
            trace.add(*[getattr(event, name) for name in event.__struct_fields__ if name != "seq"])
        assert watching.verdicts() == judge(trace)


def test_one_checker_alone_says_what_it_says_among_the_others() -> None:
    for seed in range(20):
        events = edited(Random(seed), good(Random(seed)))
        together = {one.rule: one for one in judge(events)}
        for rule, single in SINGLE.items():
            assert single.check(events) == together[rule]


def test_a_trace_from_a_file_is_judged_alike() -> None:
    for seed in range(5):
        events = good(Random(seed))
        assert judge(read_lines(write_lines(events))) == judge(events)


def test_judging_changes_nothing() -> None:
    trace = Trace()
    trace.events = good(Random(1))
    before = trace.hash
    judge(trace)
    after = Trace()
    after.events = trace.events
    assert after.hash == before


def test_kinds_that_no_checker_wants_are_passed_over() -> None:
    trace = Trace()
    trace.add(0, "n1", 1, kinds.Out("00"))
    assert {one.outcome for one in judge(trace)} == {"unknown"}
