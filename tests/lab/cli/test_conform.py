"""`chatlab lab conform`: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest

from domain.commands import PostMessage
from lab.cli.main import main
from lab.plan.scenario import named
from lab.sim.world import run
from lab.trace.file import write_lines
from node.recording.format import HEADER_BYTES
from tests.node.recordings import Clock, Recorded, exchange


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    clock = Clock()
    nodes = [Recorded(name, tmp_path, clock) for name in ("n1", "n2", "n3")]
    for number in range(5):
        nodes[number % 3].submit(PostMessage("ana", f"hello {number}"))
        exchange(nodes)
    for node in nodes:
        node.ended()
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["lab", "conform", *words])
    out, err = capsys.readouterr()
    return code, out, err


def spoilt(folder: Path) -> Path:
    path = folder / "n1" / "001.rec"
    data = path.read_bytes()
    at = data.index(b"hello 3")
    path.write_bytes(data[:at] + b"J" + data[at + 1 :])
    return path


def test_a_run_that_comes_again(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = answer(capsys, str(recorded))
    assert (code, err) == (0, "")
    assert out.startswith("0 differences over ")
    assert out.endswith(" turns of 3 lives\n")
    assert answer(capsys, str(recorded / "n2" / "001.rec"))[1].endswith(" turns of 1 life\n")


def test_the_first_difference_is_told(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, str(spoilt(recorded)))
    assert code == 7
    assert out.count("\n") == 1
    assert "; first: n1, life 1, turn " in out
    assert "fed tick, submit; " in out
    code, out, _ = answer(capsys, str(recorded), "--json")
    told = json.loads(out)
    assert code == 7
    assert told["lives"] == 3
    assert told["differences"] >= 1
    assert (told["first"]["node"], told["first"]["life"], told["first"]["seq"]) == ("n1", 1, None)


def test_a_recording_that_stopped_early_is_said(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = Recorded("n4", recorded, Clock())
    node.killed()
    node.start(bytes_max=1500)
    for number in range(20):
        node.submit(PostMessage("ana", f"{number}" * 20))
    code, out, err = answer(capsys, str(recorded))
    assert code == 0
    assert out.startswith("0 differences")
    assert "recorded in part: " in err
    assert "it became too long" in err


def test_a_trace_of_detail_full_can_be_fed_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b"".join(write_lines(run(named("calm"), 3, detail="full").trace)))
    code, out, _ = answer(capsys, str(path), "--json")
    assert (code, json.loads(out)["differences"], json.loads(out)["first"]) == (0, 0, None)


def test_what_cannot_be_fed_back_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no.rec").write_bytes(b"nothing of the kind")
    (tmp_path / "empty").mkdir()
    for name, why in (
        ("no.rec", "is no recording of a node"),
        ("empty", "there are no recordings"),
        ("nowhere", "No such file"),
    ):
        code, out, err = answer(capsys, str(tmp_path / name))
        assert (code, out) == (2, "")
        assert why in err
        assert err.count("\n") == 1


def test_a_life_that_never_began_shows_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = Recorded("n1", tmp_path, Clock())
    node.killed()
    path = node.recorder.path
    data = path.read_bytes()
    first = HEADER_BYTES + 4 + int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 4], "big")
    path.write_bytes(data[:first])  # what the replica is made of, and no more
    code, out, _ = answer(capsys, str(path))
    assert (code, out) == (8, "0 differences over 0 turns of 0 lives\n")
