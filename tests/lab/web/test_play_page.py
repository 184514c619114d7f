"""The page of `chatlab lab play`: what it takes and refuses, and how a person plays with it."""

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import pytest

from lab.campaign.judged_run import run_judged
from lab.campaign.replay_token import parse
from lab.plan.faults import Kill, plan_from_json

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[3]
CHATLAB = [sys.executable, "-m", "lab"]
HOSTILE = "<img src=x onerror=alert(1)>\u202e\x1b[31m & \u0000"


class Player:
    """`chatlab lab play` in a process of its own."""

    def __init__(self, *given: str) -> None:
        command = [*CHATLAB, "lab", "play", "--no-open", *given]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.match(r"(http://127\.0\.0\.1:(\d+)/[\w-]+/)", self.process.stdout.readline())
        assert found is not None
        self.address, self.port = found[1], int(found[2])
        assert self.state()["now_us"] > 0  # its nodes run: tests count from the very beginning
        self.act(do="back", to_us=0)

    def ask(self, path: str, body: object = None) -> tuple[int, str]:
        """POST what is JSON, or bytes as they are; GET without."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            way = f"/{self.address.split('/')[3]}/{path}"
            connection.request("GET" if raw is None else "POST", way, raw)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def act(self, **action: object) -> None:
        assert self.ask("act", action) == (200, "")

    def state(self) -> dict[str, Any]:
        """The first state that a page gets."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request("GET", f"/{self.address.split('/')[3]}/stream")
            answer = connection.getresponse()
            while answer.readline() != b"event: state\n":
                pass
            found: dict[str, Any] = msgspec.json.decode(answer.readline().removeprefix(b"data: "))
            return found

    def end(self) -> int:
        """Ctrl-C. Nothing of it is left."""
        children = psutil.Process(self.process.pid).children()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(10)
        assert children and not any(child.is_running() for child in children)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def play() -> Iterator[Callable[..., Player]]:
    made: list[Player] = []

    def make(*given: str) -> Player:
        made.append(Player(*given))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            assert one.end() == 0


# --- what pages send ------------------------------------------------------------------------------


def test_a_person_plays_and_the_token_says_what_was_done(play: Callable[..., Player]) -> None:
    player = play()
    player.act(do="advance", by_us=1_000_000)
    player.act(do="ask", node="n1", text="hello")
    player.act(do="inflict", fault={"what": "kill", "node": "n2", "how": "power"})
    player.act(do="advance", by_us=2_000_000)
    player.act(do="end", faults=[1])
    player.act(do="advance", by_us=1_000_000)
    state = player.state()
    assert state["now_us"] == 4_000_003 and state["active"] == []
    assert [node["events"] for node in state["nodes"]] == [1] * 5
    status, text = player.ask("token")
    token = parse(text)
    judged = run_judged(token.resolved(), token.seed)
    assert status == 200 and token.made(judged.trace.hash) and judged.outcome == "pass"
    status, text = player.ask("plan.json")
    plan = plan_from_json(text.encode())
    assert plan == token.plan()
    assert [(timed.fault, timed.until_us) for timed in plan.faults] == [
        (Kill("n2", "power"), 3_000_003)
    ]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "that is nothing one can do"),
        (b"{", 400, "that is nothing one can do"),
        ({"do": "sing"}, 400, "Invalid value 'sing'"),
        ({"do": "hold", "more": 1}, 400, "unknown field `more`"),
        ({"do": "back", "to_us": -1}, 400, ">= 0"),
        ({"do": "back", "to_us": 1.5}, 400, "Expected `int`"),
        ({"do": "play", "speed": 101}, 400, "<= 100"),
        ({"do": "ask", "node": "n1", "text": "x" * 16_001}, 400, "<= 16000"),
        ({"do": "inflict", "fault": {"what": "rain"}}, 400, "Invalid value 'rain'"),
        ({"do": "inflict", "fault": {"what": "kill", "node": "n9"}}, 409, "no node 'n9'"),
        ({"do": "inflict", "fault": {"what": "loss", "share": 2}}, 409, "share 2"),
        ({"do": "end", "faults": [9]}, 409, "no fault 9 lasts"),
        ({"do": "back", "to_us": 10**9}, 409, "this branch goes from 0 to 100000 µs"),
        ({"do": "go", "branch": HOSTILE}, 409, "no branch '<img src=x"),
        ({"do": "fork", "name": HOSTILE}, 409, "a branch needs a name of its own"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    play_once: Player, body: object, status: int, text: str
) -> None:
    before = play_once.state()["now_us"]
    code, said = play_once.ask("act", body)
    assert code == status and text in said and "\n" not in said
    assert play_once.state()["now_us"] == before == 0


@pytest.fixture(scope="module")
def play_once() -> Iterator[Player]:
    player = Player()
    yield player
    assert player.end() == 0


def test_it_plays_until_it_is_held(play: Callable[..., Player]) -> None:
    player = play()
    player.act(do="play", speed=100)
    while player.state()["now_us"] < 1_000_000:
        pass
    player.act(do="hold")
    now_us = player.state()["now_us"]
    assert player.state()["speed"] == 0 and player.state()["now_us"] == now_us


def test_a_run_that_has_a_token_can_be_stepped_through(play: Callable[..., Player]) -> None:
    ran = subprocess.run(
        [*CHATLAB, "lab", "run", "lossy", "--seed", "7", "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    token = json.loads(ran.stdout)["token"]
    player = play(token)
    player.act(do="advance", by_us=5_000_000)
    state = player.state()
    assert (state["scenario"], state["seed"]) == ("lossy", 7) and state["plan_us"] > 5_000_000
    assert [one["fault"]["what"] for one in state["active"]]


def test_a_planted_bug_shows_and_its_token_plants_it_again(play: Callable[..., Player]) -> None:
    player = play("--plant", "sync-skipped")
    player.act(do="advance", by_us=1_000_000)
    player.act(do="ask", node="n1", text="durable, they say")
    player.act(do="advance", by_us=1_000_000)
    player.act(do="inflict", fault={"what": "kill", "node": "n3", "how": "power"})
    player.act(do="end", faults=[1])
    player.act(do="advance", by_us=1_000_000)
    status, token = player.ask("token")
    assert status == 200 and token.startswith("sync-skipped+plan_")
    again = subprocess.run(
        [*CHATLAB, "lab", "replay", token, "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    failed = [
        one["rule"] for one in json.loads(again.stdout)["verdicts"] if one["verdict"] == "fail"
    ]
    assert failed == ["C5"] and again.returncode == 7
    player.act(do="back", to_us=1_500_000)  # what was judged before is not of this moment


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["nosuch"], "no scenario 'nosuch'"),
        (["lossy.7.AAAAAAAAAAAAAAAA.AAAA.AAA"], "the token is not whole"),
        (["--plant", "nosuch"], "no mutant"),
    ],
)
def test_what_cannot_begin_is_one_line(given: list[str], text: str) -> None:
    refused(given, text)


def test_a_port_that_is_taken_is_one_line(play_once: Player) -> None:
    refused(["--port", str(play_once.port)], f"cannot listen on port {play_once.port}")


def refused(given: list[str], text: str) -> None:
    ended = subprocess.run(
        [*CHATLAB, "lab", "play", "--no-open", *given],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 2 and text in ended.stderr and ended.stderr.count("\n") == 1


# --- in a browser ---------------------------------------------------------------------------------


def say(page: "Page", node: int, text: str) -> None:
    page.fill(f"#nodes article:nth-child({node}) input", text)
    page.press(f"#nodes article:nth-child({node}) input", "Enter")


def test_a_person_opens_it_posts_kills_steps_and_goes_back(
    play: Callable[..., Player], new_page: Callable[..., "Page"]
) -> None:
    player = play()
    page = new_page(width=1280, height=800)
    page.goto(player.address)
    page.click("text=+1 s")
    say(page, 1, "hello")
    page.click("text=Next change")
    page.click("#nodes article:nth-child(2) >> text=Kill")
    page.locator("#nodes article:nth-child(2)", has_text="down").wait_for()
    say(page, 3, HOSTILE)
    for _ in range(12):
        page.click("text=+1 s")
    page.locator("#when", has_text="13.").wait_for()
    page.locator("#timelines", has_text="<img src=x onerror=alert(1)>").wait_for()
    page.locator("#outcome", has_text="holds at 13.").wait_for()
    page.click("text=−10 s")
    page.locator("#when", has_text="3.").wait_for()
    assert 3_000_000 < player.state()["now_us"] < 4_000_000
    assert player.state()["branches"][0][3] > 13_000_000
    page.click("#nodes article:nth-child(2) >> text=Start")  # in the past: another branch
    page.locator("#branches", has_text="branch 2").wait_for()
    page.locator("#nodes article:nth-child(2)", has_text="running").wait_for()
    page.click("text=Copy token")
    page.locator("#token", has_text="chatlab lab replay plan_").wait_for()
    token = page.inner_text("#token").split()[-1]
    shown = [
        [cell.inner_text() for cell in row.locator("td").all()]
        for row in page.locator("#verdicts tr").all()[1:]
    ]
    again = subprocess.run(
        [*CHATLAB, "lab", "replay", token, "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    judged = json.loads(again.stdout)
    assert again.returncode == 0 and judged["overall"] == "pass"
    words = {"pass": "holds", "fail": "broken", "unknown": "not shown"}
    assert sorted((row[0].split()[0], row[2]) for row in shown) == sorted(
        (one["rule"], words[one["verdict"]]) for one in judged["verdicts"]
    )
    page.click("#branches >> text=main")
    page.locator("#when", has_text="13.").wait_for()


def test_keys_links_and_a_slider(
    play: Callable[..., Player], new_page: Callable[..., "Page"]
) -> None:
    player = play()
    page = new_page("dark", width=1280, height=800)
    page.goto(player.address)
    page.locator("#nodes article").nth(4).wait_for()
    for key, now_us in ((".", 1_000_000), (".", 2_000_000), ("ArrowLeft", 1_000_000)):
        page.keyboard.press(key)
        page.locator("#when", has_text=f"{now_us // 1_000_000}.000000 s").wait_for()
    page.keyboard.press("ArrowRight")
    page.locator("#when", has_not_text="1.000000").wait_for()
    link = page.locator("#links tr:nth-child(2) td:nth-child(3) button")
    link.click()
    page.locator("#active", has_text="n1>n2 n2>n1").wait_for()
    link.click()
    page.locator("#active button").wait_for(state="detached")
    link.click(modifiers=["Shift"])
    page.locator("#active", has_text="n1>n2").wait_for()
    assert "n2>n1" not in page.inner_text("#active")
    page.keyboard.press("h")
    page.locator("#active button").wait_for(state="detached")
    page.keyboard.press(" ")
    page.locator("#time", has_text="Hold").wait_for()
    page.keyboard.press(" ")
    page.locator("#time", has_text="Play").wait_for()
    page.once("dialog", lambda dialog: dialog.accept("what if"))
    page.keyboard.press("b")
    page.locator("#branches [aria-pressed=true]", has_text="what if").wait_for()
    page.click("#branches >> text=main")
    page.locator("#branches [aria-pressed=true]", has_text="main").wait_for()
    page.locator("#scrub").fill("700000")
    page.locator("#when", has_text="0.700000 s").wait_for()
    assert player.state()["now_us"] == 700_000


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1000, 700), (600, 900)])
def test_nothing_covers_anything_else(
    play: Callable[..., Player], new_page: Callable[..., "Page"], width: int, height: int
) -> None:
    player = play()
    player.act(do="advance", by_us=1_000_000)
    for number in range(1, 6):
        player.act(do="inflict", fault={"what": "pause", "node": f"n{number}"})
        player.act(do="inflict", fault={"what": "clock_offset", "node": f"n{number}", "by_ms": 99})
    page = new_page(width=width, height=height)
    page.goto(player.address)
    page.locator("#outcome", has_text=" at ").wait_for()
    page.locator("#nodes article").nth(4).wait_for()
    boxes = [
        (one.get_attribute("id") or one.inner_text(), box)
        for one in page.locator("button, select, input, output, th, canvas, #token, h3").all()
        if (box := one.bounding_box()) is not None
    ]
    for at, (name, one) in enumerate(boxes):
        assert one["x"] >= 0 and one["x"] + one["width"] <= width + 1, name
        for other_name, other in boxes[at + 1 :]:
            apart_x = min(one["x"] + one["width"], other["x"] + other["width"]) - max(
                one["x"], other["x"]
            )
            apart_y = min(one["y"] + one["height"], other["y"] + other["height"]) - max(
                one["y"], other["y"]
            )
            assert apart_x <= 1 or apart_y <= 1, (name, other_name)
