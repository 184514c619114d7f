"""The page of an observer in a browser: live, back in time, with hostile texts, light and dark."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from lab.plan.scenario import named
from lab.sim.world import run
from lab.terminal.display import display_safe
from lab.trace.kinds import Boot, Facts, Faulted, Handed, Healed, Note, Run, Visible
from lab.trace.trace import Event
from lab.view.cluster_view import ClusterView, Poll
from lab.web.watch_page import Recorded, WatchPage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NODES = ("n1", "n2", "n3")
WALL_US = 1_764_576_000_000_000
SECOND = 1_000_000
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)</script>",
    "</li></ol><h1>owned</h1>",
    '" onmouseover="alert(3)" x="',
    "javascript:alert(4)",
    "\u202eevil\u2066 right to left",
    "data: event: reload\n\nevent: reload\ndata: null\n\n",
    "\x1b[31m\0 \ud7ff {{7*7}} ${7*7}",
)


class Script:
    """A source that a test writes: what is put here is what the page gets next."""

    def __init__(self) -> None:
        self._waiting: list[Event | Poll] = []
        self._lock = threading.Lock()
        self.seq = 0

    def drain(self) -> Sequence[Event | Poll]:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return waiting

    def put(self, t_s: float, node: str, data: Any) -> None:
        with self._lock:
            at_us = WALL_US + round(t_s * SECOND)
            self._waiting.append(Event(at_us, self.seq, node, 1 if node else 0, data))
            self.seq += 1

    def begin(self) -> None:
        self.put(0, "", Run(1, "real", "", 0, NODES, "normal", ""))
        for node in NODES:
            self.put(0, node, Boot("same", (), (), True, "", f"{node}.1"))

    def post(self, t_s: float, number: int, nodes: Sequence[str], text: str = "") -> None:
        ref = f"n1.1:{number}#{number:016x}"
        facts = Facts("posted", "ana", (), WALL_US // 1000 + number, 0, text or f"text {number}")
        for node in nodes:
            sender = "" if node == "n1" else "n1"
            self.put(t_s, node, Handed(number, ref, "rumor", 0, facts, sender))
            self.put(t_s, node, Visible(number, ref, "rumor"))


@pytest.fixture
def shown() -> Iterator[Callable[..., WatchPage]]:
    running: list[tuple[WatchPage, threading.Thread]] = []

    def show(source: Any, **options: Any) -> WatchPage:
        page = WatchPage(source, **options)
        thread = threading.Thread(target=page.server.run, kwargs={"background": page.feed})
        thread.start()
        running.append((page, thread))
        return page

    yield show
    for page, thread in running:
        page.server.stop()
        thread.join(10)
        assert not thread.is_alive()


def lacks(page: "Page", node: str, text: str) -> None:
    page.wait_for_function(
        "([node, text]) => document.querySelector(`[data-node=${node}] dd`)?.textContent === text",
        arg=[node, text],
    )


def lists(page: "Page", selector: str, wanted: list[str]) -> None:
    """Wait until these elements have these texts; lists are drawn once a second."""
    page.wait_for_function(
        """([selector, wanted]) => JSON.stringify(wanted) === JSON.stringify(
          [...document.querySelectorAll(selector)].map((one) => one.textContent))""",
        arg=[selector, wanted],
    )


def texts(page: "Page", selector: str) -> list[str]:
    return page.locator(selector).all_text_contents()


def test_counts_rise_and_fall_as_they_are_observed(shown: Any, new_page: Any) -> None:
    script = Script()
    page = new_page()
    page.goto(shown(script).server.address)
    page.wait_for_selector("text=waiting for the first answer")
    script.begin()
    script.post(1, 1, NODES)
    lacks(page, "n3", "nothing known")
    script.put(2, "", Faulted(1, "partition", ("n3",), "n3 alone"))
    for number in (2, 3, 4):
        script.post(2 + number / 10, number, ("n1", "n2"))
    lacks(page, "n3", "3 of 4")
    assert "some lacking at n3; faults: partition" in page.inner_text("#summary")
    lists(page, "#timelines strong", ["n1", "n2", "n3: lacks 3"])
    assert page.locator("#timelines li.lacks").count() == 3
    assert page.get_attribute("#matrix canvas", "aria-label") == (
        "4 events at 3 nodes; 1 nodes lack some"
    )
    script.put(3, "", Healed(1))
    for number in (2, 3, 4):
        script.post(3 + number / 10, number, ("n3",))
    lacks(page, "n3", "nothing known")
    assert "all that are up hold the same" in page.inner_text("#summary")
    lists(page, "#timelines li.lacks", [])


def test_one_goes_back_in_time_by_keys_and_returns(shown: Any, new_page: Any) -> None:
    script = Script()
    script.begin()
    for number in range(1, 11):
        script.post(number, number, NODES if number > 5 else ("n1", "n2"))
        script.put(number, "n1", Note("peer_alive", "info", {"peer": f"n{number}"}))
    page = new_page()
    page.goto(shown(script).server.address)
    lacks(page, "n3", "5 of 10")
    page.keyboard.press("Space")
    page.wait_for_selector("body.past")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    lacks(page, "n3", "5 of 7")
    assert page.inner_text("#when") == "−3.0 s"
    assert len(texts(page, "#log tr")) == 7
    assert texts(page, "#timelines strong")[2] == "n3: lacks 5"
    script.post(11, 11, ("n1",))  # what comes now does not disturb
    page.wait_for_function("() => document.querySelector('#when').textContent === '−4.0 s'")
    lacks(page, "n3", "5 of 7")
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_selector("text=0 messages")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    lacks(page, "n3", "2 of 2")
    page.keyboard.press("Space")
    page.wait_for_selector("body:not(.past)")
    lacks(page, "n3", "6 of 11")


def test_one_goes_back_in_time_by_the_scrubber(shown: Any, new_page: Any) -> None:
    script = Script()
    script.begin()
    for number in range(1, 11):
        script.post(number, number, ("n1",))
    page = new_page()
    page.goto(shown(script).server.address)
    lacks(page, "n2", "10 of 10")
    page.locator("#scrub").evaluate(
        "one => { one.value = 4.5e6; one.dispatchEvent(new Event('input')); }"
    )
    lacks(page, "n2", "4 of 4")
    page.click("#live")
    lacks(page, "n2", "10 of 10")


def test_the_log_is_filtered(shown: Any, new_page: Any) -> None:
    script = Script()
    script.begin()
    script.put(1, "n1", Note("peer_dead", "warning", {"peer": "n2"}))
    script.put(2, "n2", Note("peer_alive", "info", {"peer": "n1"}))
    page = new_page()
    page.goto(shown(script).server.address)
    page.wait_for_selector("#log tr")
    wanted = ["08:00:02.000Zn2infopeer_alivepeer=n1", "08:00:01.000Zn1warningpeer_deadpeer=n2"]
    lists(page, "#log tr", wanted)
    page.fill("#filter", "WARN")
    page.wait_for_function("() => document.querySelectorAll('#log tr').length === 1")
    assert page.inner_text("#count") == "1 of the last 2 lines"
    page.press("#filter", "ArrowLeft")  # it is the field's own
    assert page.locator("body.past").count() == 0


def test_hostile_texts_are_shown_as_texts(shown: Any, new_page: Any) -> None:
    script = Script()
    script.begin()
    for number, text in enumerate(HOSTILE, 1):
        script.post(number, number, NODES, text)
        script.put(number, "n1", Note("odd", "error", {text: text}))
    page = new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.goto(shown(script).server.address)
    page.wait_for_selector(f"#summary:has-text('{len(HOSTILE)} messages')")
    items = [f"ana: {display_safe(text)}" for text in HOSTILE]
    lists(page, "#timelines div:first-child li", items)
    fields = [display_safe(f"{text}={text}") for text in HOSTILE]
    assert sorted(texts(page, "#log td:last-child")) == sorted(fields)
    page.click("#matrix canvas", position={"x": 155, "y": 8})
    assert HOSTILE[0] in page.inner_text("#matrix p")
    assert page.locator("main h1, main img, main script, [onerror], [onmouseover]").count() == 0
    assert dialogs == []


def test_a_page_says_that_the_observer_has_ended(shown: Any, browser: "Browser") -> None:
    script = Script()
    script.begin()
    watched = shown(script)
    page = browser.new_page()
    page.goto(watched.server.address)
    lacks(page, "n3", "nothing known")
    watched.server.stop()
    page.wait_for_selector("text=the observer does not answer: this is the last that it sent")
    page.close()


def test_a_view_of_any_moment_can_be_asked_for_and_nothing_else(shown: Any) -> None:
    trace = run(named("churn"), seed=3).trace
    page = shown(Recorded(trace.events))
    view = ClusterView()
    for event in trace:
        if event.t_us <= 5 * SECOND:
            view.apply(event)

    def ask(path: str, method: str = "GET") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", page.server.port, timeout=10)
        connection.request(method, f"/{page.server.token}/{path}")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    while ask("view?t=0")[1].count(b'"name"') < len(trace.events[0].data.nodes):  # type: ignore[union-attr]
        pass  # it has not read the run yet
    status, body = ask(f"view?t={5 * SECOND}")
    made = json.loads(body)
    assert status == 200 and f"; {view.known} messages; " in made["summary"]
    assert {one["name"]: one["lacks"] for one in made["nodes"]} == {
        name: view.lacks(name) for name in view.nodes
    }
    for bad in (
        "view",
        "view?t=",
        "view?t=-1",
        "view?t=1e6",
        "view?t=9" + "9" * 30,
        "view?t=%C2%B2",
    ):
        assert ask(bad)[0] == 400
    assert ask("view?t=999999999999999999")[0] == 200
    for method in ("POST", "PUT", "DELETE"):
        for path in ("", "view?t=0", "stream", "watch.js"):
            assert ask(path, method)[0] == 405


def test_a_run_with_too_many_rows_loads_again_and_says_what_is_not_drawn(
    shown: Any, new_page: Any
) -> None:
    script = Script()
    script.begin()
    page = new_page()
    page.goto(shown(script, rows_max=300).server.address)
    page.wait_for_selector("#nodes article")
    for number in range(1, 101):
        script.post(number, number, NODES)
    page.wait_for_selector("#summary:has-text('oldest messages are not drawn')")
    lacks(page, "n3", "nothing known")
    assert "100 messages" in page.inner_text("#summary")
    script.post(101, 101, ("n1",))
    lacks(page, "n3", "1 of 101")
    lists(page, "#timelines div:last-child li:last-child", ["lacks ana: text 101"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overlaps_or_is_cut(shown: Any, new_page: Any, scheme: str, width: int) -> None:
    page = new_page(scheme, width, 800)
    page.goto(shown(Recorded(run(named("partition"), seed=1).trace.events)).server.address)
    page.wait_for_selector("#timelines li")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.evaluate(
        """[...document.querySelectorAll("article, header > *, main > *")].map((one) => {
          const { left, top, right, bottom } = one.getBoundingClientRect();
          return [one.tagName + one.id, one.tagName === "ARTICLE", left, top, right, bottom];
        })"""
    )
    for index, (name, inside, left, top, right, bottom) in enumerate(boxes):
        assert left >= 0 and right <= width, name
        for other, other_inside, left2, top2, right2, bottom2 in boxes[index + 1 :]:
            if inside == other_inside:
                apart = right <= left2 or right2 <= left or bottom <= top2 + 1 or bottom2 <= top + 1
                assert apart or {name, other} & {"HEADER"}, (name, other)
    cut = page.evaluate(
        """[...document.querySelectorAll("article *, header *, h2")]
          .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth)
          .map((one) => one.textContent)"""
    )
    assert cut == []
