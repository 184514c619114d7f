"""Times on real nodes: what is shown, what is asked for, and what a past view says of itself."""

import re
import time
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

FAR = ("99999999999999d", "99999999999999999999d", "1960-01-01")


def test_what_a_timeline_prints_is_a_moment_in_every_zone(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    lab.up()
    lab.well("send", "n1", "early")
    time.sleep(0.05)
    lab.well("send", "n1", "late")
    for order, pattern in (
        ("arrival", r"^(\S+ \S+Z)  local"),
        ("causal", r"^(\S+ \S+Z/[0-9]+)  n1"),
    ):
        first = lab.well("timeline", "n1", "--order", order).out.splitlines()[0]
        found = re.match(pattern, first)
        assert found, first
        for zone in ("UTC", "Europe/Paris", "America/St_Johns"):
            then = lab.chatlab("timeline", "n1", "--as-of", found[1], TZ=zone)
            assert then.code == 0 and "early" in then.out and "late" not in then.out, (zone, then)
            assert f"n1 held 1 event at {found[1].partition('/')[0]}" in then.err
            assert "it holds 2 events now" in then.err
    logged = lab.well("logs", "n1").out.splitlines()[-1].split()[0]
    assert logged.endswith("Z")
    assert lab.well("timeline", "n1", "--as-of", logged).out.count("\n") == 2


def test_the_last_of_a_past_view_says_how_many_there_were(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    lab.up()
    for text in ("a", "b", "c"):
        lab.well("send", "n1", text)
    said = lab.well("timeline", "n1", "--as-of", "now", "--last", "1")
    assert said.out.count("\n") == 1 and "held 3 events" in said.err


def test_no_number_is_too_large(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    lab.up()
    lab.well("send", "n1", "x")
    assert lab.well("timeline", "n1", "--last", "9" * 20).out.count("\n") == 1
    for moment in FAR:
        ran = lab.well("timeline", "n1", "--as-of", moment)
        assert ran.out == "" and "held 0 events at 1970-01-01" in ran.err
    ahead = lab.well("timeline", "n1", "--as-of", "2200-01-01")
    assert "ahead of this machine's clock" in ahead.err
