"""Replay tokens: whole, checked, and of one build."""

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

import lab.campaign.replay_token
from lab.campaign.replay_token import (
    ENTRY,
    PACKAGES,
    ReplayToken,
    TokenError,
    build_id,
    parse,
    sources_of,
    token_of,
)
from lab.plan.draw import draw
from lab.plan.faults import Plan
from lab.plan.scenario import Scenario, named, names
from lab.trace.trace import HASH_BYTES

ROOT = Path(__file__).parents[3]
HASH = "5a" * HASH_BYTES


@pytest.mark.parametrize("name", names())
def test_a_token_of_a_scenario_is_its_name_and_comes_back(name: str) -> None:
    token = token_of(named(name), 4711, HASH)
    text = str(token)
    assert text.startswith(f"{name}.4711.") and len(text) < 70
    assert parse(text) == parse(f"  {text}\n") == token
    assert parse(text).plan() == draw(named(name), 4711)
    assert parse(text).differs() == []
    assert parse(text).made(HASH) and not parse(text).made("5b" * HASH_BYTES)
    assert parse(str(token_of(named(name), 1))).made("5b" * HASH_BYTES)  # it does not say


def test_a_strange_scenario_or_a_plan_is_inside_its_token() -> None:
    mine = replace(named("all"), name="mine")
    own = parse(str(token_of(mine, 3, HASH)))
    assert own.source == mine and own.plan() == draw(mine, 3)
    changed = replace(named("lossy"), nodes=(3, 3))  # a known name says nothing
    assert isinstance(parse(str(token_of(changed, 3))).source, Scenario)
    plan = draw(named("power-cuts"), 12)
    token = parse(str(token_of(plan, 99)))
    assert token.source == plan == token.plan() and token.seed == 12
    assert isinstance(token.resolved(), Plan) and token.differs() == []


def test_all_characters_are_safe_in_urls_and_shells() -> None:
    for source in (named("lossy"), replace(named("all"), name="x"), draw(named("all"), 5)):
        text = str(token_of(source, 5, HASH))
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert text[0].isalnum()


def test_a_slip_of_the_hand_is_found() -> None:
    text = str(token_of(named("lossy"), 7, HASH))
    for at, char in enumerate(text):
        for other in "aZ7.-":
            if other != char:
                with pytest.raises(TokenError):
                    parse(text[:at] + other + text[at + 1 :])
    for wrong in ("", "lossy", "lossy.7", text[:-1], text + "x", "plan_AAAA" + text[5:]):
        with pytest.raises(TokenError):
            parse(wrong)


def test_what_is_inside_must_be_what_it_says() -> None:
    """Someone who makes tokens by hand gets one line, not a traceback."""
    good = token_of(draw(named("calm"), 1), 1)
    for inside in ("AAAA", "eJwDAAAAAAE", "e" * 101):
        body = ".".join([f"plan_{inside}", "1", good.build, good.config])
        with pytest.raises(TokenError, match="inside"):
            parse(f"{body}.{lab.campaign.replay_token._sum(body)}")
    body = str(replace(good, config="AAAA")).rpartition(".")[0]
    with pytest.raises(TokenError, match="contradicts"):
        parse(f"{body}.{lab.campaign.replay_token._sum(body)}")


def test_another_build_is_seen_and_named() -> None:
    token = token_of(named("lossy"), 7, HASH)
    other = replace(token, build="AAAA" + token.build[4:8] + "BBBB" + token.build[12:])
    assert parse(str(other)).differs() == ["the code of domain", "the code of node"]
    assert replace(token, config="AAAA").differs() == ["the scenario lossy"]
    gone = ReplayToken("was-there-once", 1, token.build, token.config)
    with pytest.raises(TokenError, match="no scenario"):
        parse(str(gone)).differs()


def test_the_build_is_made_of_all_that_a_run_imports() -> None:
    script = f"import sys, {ENTRY}; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name for name in ran.stdout.split() if name.partition(".")[0] in PACKAGES}
    found = sources_of(ENTRY).keys()
    assert loaded <= found
    assert {name for name in found if name.startswith("lab.cli")} == set()
    assert len(build_id()) == 16
