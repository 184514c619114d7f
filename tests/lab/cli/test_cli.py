"""How the command line reads what people type, without any node."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Never

import pytest

from domain.dot import Dot
from lab.cli.cluster import _delay, _share, _signal
from lab.cli.main import main
from lab.demo.tour import Proof, dialogue
from lab.terminal.errors import Exit, Problem
from lab.terminal.formats import dot_text, epoch_text, ranges_text, utc_text
from lab.terminal.moments import moment_ms

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("text", "share"), [("20%", 0.2), ("0.2", 0.2), ("0", 0.0), ("100 %", 1.0), (".5", 0.5)]
)
def test_a_share_is_a_percentage_or_a_fraction(text: str, share: float) -> None:
    assert _share(text, "--loss") == share


@pytest.mark.parametrize("text", ["101%", "1.5", "-1%", "much", "", "20%%"])
def test_a_wrong_share_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="--loss") as caught:
        _share(text, "--loss")
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("50ms", (50.0, 0.0)),
        ("50ms±20ms", (50.0, 20.0)),
        ("50±20ms", (50.0, 20.0)),
        ("50ms +- 20", (50.0, 20.0)),
        ("1s+/-500ms", (1000.0, 500.0)),
        ("0", (0.0, 0.0)),
        (None, (None, None)),
    ],
)
def test_a_delay_has_a_unit_and_maybe_a_jitter(text: str | None, delay: tuple[Any, Any]) -> None:
    assert _delay(text) == delay


@pytest.mark.parametrize("text", ["20ms±50ms", "soon", "61s", "-5ms", "5min"])
def test_a_wrong_delay_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="--delay"):
        _delay(text)


def test_signals_go_by_name_or_number() -> None:
    assert _signal("KILL") == _signal("sigkill") == _signal("9") == 9
    with pytest.raises(Problem, match="no signal"):
        _signal("HUGS")


def test_moments_are_spans_clocks_or_iso_times() -> None:
    now_ms = time.time() * 1000
    for text, ago_ms in (("30s", 30_000), ("5min ago", 300_000), ("1.5h", 5_400_000), ("now", 0)):
        assert abs(now_ms - ago_ms - moment_ms(text)) < 1000
    assert moment_ms("2026-01-31T14:03:10Z") == 1_769_868_190_000
    assert moment_ms("1769868190000") == 1_769_868_190_000
    midnight = moment_ms("0:00")
    assert midnight <= now_ms and moment_ms("00:00:10") == midnight + 10_000
    for text in ("someday", "25:00", "", "2026-13-01"):
        with pytest.raises(Problem, match="--as-of"):
            moment_ms(text)


def test_names_of_values_for_people() -> None:
    assert epoch_text(0x1234_5678_9ABC_DEF0) == "1234"
    small = Dot("n1", 0x00FF_0000_0000_0000, 7)
    assert dot_text(small) == "n1.ff00:7"
    assert str(small).startswith("n1.ff00"), "what a person reads is found in the log"
    assert utc_text(1_769_868_190_005) == "2026-01-31 14:03:10.005Z"
    assert utc_text(2**90) == f"{2**90} ms"
    assert ranges_text([(1, 1), (3, 9)]) == "1, 3-9"
    many = [(i, i) for i in range(1, 20, 2)]
    assert ranges_text(many) == "1, 3, 5, 7, 9, 11, 13, 15 and 2 more ranges"


def test_errors_are_one_line_and_global_options_may_stand_anywhere(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHATLAB_CLUSTER", raising=False)
    assert main(["cluster", "ps", "--no-color"]) == Exit.USAGE
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["-f", "bad\x1b[31m.yaml", "cluster", "ps"]) == Exit.USAGE
    err = capsys.readouterr().err
    assert "\x1b" not in err and "bad␛[31m.yaml" in err
    assert main(["cluster", "ps", "--debug"]) == Exit.USAGE
    assert capsys.readouterr().err.startswith("Traceback")


def test_the_help_of_every_command_says_something() -> None:
    from lab.cli.lazy_group import MODULES, Commands

    commands = Commands()
    assert set(commands) == set(MODULES)
    for name, command in commands.items():
        assert command.name == name and command.help
        for sub in getattr(command, "commands", {}).values():
            assert sub.help


def test_importing_the_command_line_loads_no_command() -> None:
    program = "import sys, lab.cli; print(*sorted(m for m in sys.modules if m.startswith('lab')))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        check=True,
    )
    light = {"common", "error_output", "lazy_group", "main"}
    rooms = {"cli", "client", "terminal"}
    assert set(done.stdout.split()) == {
        "lab",
        *(f"lab.{room}" for room in rooms),
        *(f"lab.cli.{name}" for name in light),
        "lab.client.atomic_json",
        "lab.client.location",
        "lab.terminal.display",
        "lab.terminal.errors",
        "lab.terminal.tables",
    }


def test_only_an_observer_loads_what_observers_are_drawn_with() -> None:
    """`send`, `ps`, a node and piped `watch`: none of them is slower for the extra."""
    modules = ("chat", "cluster", "cluster_up", "inspect_cluster", "logs", "node", "watch")
    program = (
        f"import sys; {'; '.join(f'import lab.cli.{name}' for name in modules)}; "
        "import lab.observe.watcher, node.process.runtime, node.__main__; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        check=True,
    )
    extra = {"textual", "starlette", "uvicorn", "prometheus_client"}
    assert extra & set(done.stdout.split()) == set()


def test_the_play_is_some_hundred_clean_lines() -> None:
    lines = dialogue()
    assert 150 <= len(lines) <= 400
    assert all(line.speaker.isupper() and line.text and line.text.isprintable() for line in lines)
    assert len({line.speaker for line in lines}) >= 4
    text = " ".join(line.text for line in lines).lower()
    assert "confounded" not in text and "top hat" not in text  # what the tour's rules look for


def test_a_proof_holds_only_if_all_of_it_holds() -> None:
    nodes = ("n1", "n2", "n3", "n4", "n5")

    def proof() -> Proof:
        same = [dict.fromkeys(nodes, text) for text in ("root", "hash", "")]
        return Proof(same[0], same[1], 9, 9, 0, ["rejected", "censored"], same[2])

    assert proof().holds
    for spoil in (
        lambda p: p.roots.update(n1="other"),
        lambda p: p.timelines.update(n1="other"),
        lambda p: p.journals.update(n1="torn"),
        lambda p: p.journals.pop("n1"),
        lambda p: setattr(p, "lost", 1),
        lambda p: p.verdicts.reverse(),
    ):
        spoiled = proof()
        spoil(spoiled)
        assert not spoiled.holds


def test_what_the_system_refuses_to_a_check_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lab.cli import doctor

    def refused(_: object) -> Never:
        raise PermissionError(13, "Permission denied", str(tmp_path / "there"))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "_state", refused)
    assert main(["doctor"]) == Exit.FAILED
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if "state folder" in line)
    assert f"{tmp_path}/there: " in line and "denied" in line and "PermissionError" not in line
