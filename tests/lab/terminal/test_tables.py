"""Tables are plain when piped, and aligned whatever the width of the characters."""

import io

import pytest

from lab.terminal.tables import Paint, duration, paint_for, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    text = table(["NODE", "STATE"], [["n1", "running"], ["n10-long", "down"]], Paint(False))
    assert text.splitlines() == ["NODE      STATE", "n1        running", "n10-long  down"]


def test_wide_characters_keep_the_columns_aligned() -> None:
    text = table(["A", "B"], [["日本", "x"], ["ab", "y"]], Paint(False))
    assert text.splitlines()[1:] == ["日本  x", "ab    y"]


def test_the_last_column_is_cut_on_a_narrow_terminal() -> None:
    text = table(["A", "B"], [["x", "0123456789abcdef"]], Paint(False), width_max=13)
    assert text.splitlines()[1] == "x  012345678…"


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint_for(Terminal(), no_color=False).on
    assert not paint_for(Terminal(), no_color=True).on
    assert not paint_for(io.StringIO(), no_color=False).on
    monkeypatch.setenv("NO_COLOR", "1")
    assert not paint_for(Terminal(), no_color=False).on
    assert Paint(True)("x", "red") == "\x1b[31mx\x1b[0m"
    assert Paint(False)("x", "red") == "x"


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (850.4, "850 ms"),
        (3210, "3.2 s"),
        (240_000, "4 min"),
        (7_300_000, "2 h"),
        (260_000_000, "3 d"),
    ],
)
def test_durations_read_as_people_say_them(ms: float, text: str) -> None:
    assert duration(ms) == text
