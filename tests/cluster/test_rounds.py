"""Rounds on real processes: what they must see, and that they run the tree that they are of."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.client.atomic_json import write_json
from lab.cluster.launcher_state import Launched, LaunchedNode
from lab.real import leftover_checks
from lab.real.repair_checks import mend
from tests.mutants.choosing import ROOT
from tests.mutants.drawing import sites
from tests.mutants.rounding import by_rounds
from tests.mutants.trying import tree

pytestmark = pytest.mark.cluster


@pytest.mark.timeout(400)
def test_a_round_sees_what_is_wrong_in_its_own_tree_and_not_in_a_sound_one() -> None:
    """A count that grows by two: no checker reads it, no simulated seed comes there."""
    (site,) = (
        one
        for one in sites(ROOT, "node/control/server.py")
        if (one.function, one.operator) == ("ControlServer._bad", "constant") and "+= 1" in one.was
    )
    with tree() as copy:
        found = by_rounds(copy, site, 1)
        if not found.by:  # a machine under load may spoil one of its three rounds: then none counts
            found = by_rounds(copy, site, 1)
    assert found.by == "REAL 1" and "bad requests" in found.why, found


def test_what_a_cluster_leaves_is_looked_at(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n").up()
    lab.well("send", "n1", "hello")
    lab.well("wait", "--converged", "--timeout", "10")
    lab.well("cluster", "down")
    place, lives = lab.place, {"n1": 1, "n2": 1}
    found: list[str] = []
    leftover_checks.look(place, lives, {}, found.append)
    assert found == []
    at = place.nodes["n1"]
    log = Path(at.log_file)
    lines = log.read_text().splitlines()
    stop = next(n for n, line in enumerate(lines) if '"node_stopped"' in line)
    lines[stop] = json.dumps(json.loads(lines[stop]) | {"clean": False})
    lines.insert(stop, lines[0].replace("node_started", "nobody_knows"))
    log.write_text("".join(f"{line}\n" for line in lines))
    Path(at.dir, "control").touch()
    Path(at.stderr_file).write_text("Traceback\n")
    launched = Launched({name: LaunchedNode("down", 7, 1, "exited 1") for name in lives})
    write_json(place.launched_file, launched)
    leftover_checks.look(place, lives, {}, found.append)
    told = "\n".join(found)
    for text in (
        "the launcher says of n1",
        "the launcher says of n2",
        "n1 leaves ['control']",
        "n1 complains: Traceback",
        "a note 'nobody_knows'",
        "a stop that is not clean",
    ):
        assert text in told, told


def test_a_repair_that_loses_more_than_the_damage_is_told(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.write("nodes: [n1]\n").up()
    for number in range(9):
        lab.well("send", "n1", f"hello {number}")
    lab.well("cluster", "down")
    found: list[str] = []
    at = lab.place.nodes["n1"]
    mend(at, found.append)
    assert found == []

    def nothing(path: Path) -> Any:
        return type("Done", (), {"actions": (), "kept": (), "lost": 0})()

    monkeypatch.setattr("lab.real.repair_checks.repair", nothing)
    mend(at, found.append)
    assert any("is repaired by" in one for one in found), found
    assert any("is repaired, and is" in one for one in found), found
