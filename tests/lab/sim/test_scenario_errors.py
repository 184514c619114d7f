"""A scenario's file gets the same errors as a cluster's: the place, plain words, a near word."""

from pathlib import Path

import pytest

from lab.plan.scenario import ScenarioError, load

HEAD = "name: mine\nabout: A test.\n"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("nods: 3\n", "mine.yaml:3:1: nods: unknown key: did you mean nodes?"),
        (
            "gossip: {fanuot: 2}\n",
            "mine.yaml:3:10: gossip.fanuot: unknown key: did you mean fanout?",
        ),
        (
            "faults: {loss: {shere: [0, 1]}}\n",
            "faults.loss.shere: unknown key: did you mean share?",
        ),
        (
            "faults:\n  loss: {share: 0.5}\n",
            "mine.yaml:4:17: faults.loss.share: expected a list, got a number",
        ),
        ("faults: 3\n", "faults: expected keys and values, got a whole number"),
        ("cuts: {fanuot: [1, 2]}\n", "cuts.fanuot: unknown key: did you mean fanout?"),
        ("nodes: 0100\n", "mine.yaml:3:8: 0100 is no plain number"),
        ("nodes:\u00a03\n", "no-break space (U+00A0)"),
        ("faults: {partition: {shapes: [halfs]}}\n", "'halfs' is not possible here: one of"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, more: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + more, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert says in str(caught.value), caught.value
    assert "array" not in str(caught.value) and "`" not in str(caught.value)
