"""docs/observing.md cannot drift: its commands are run in their order, its screens looked at, and
its buttons pressed.

What stands *between asterisks* in an exercise is what a person presses: each must be there, and the
tests press these and no others.
"""

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.pages import NewPage
from tests.shown import ROOT, Command, Reader, blocks, environment_of, reader
from tests.terminals import Terminal

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.cluster

PAGE = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?ms)^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE))
EXERCISES = dict(
    re.findall(r"(?ms)^### Exercise (\d): [^\n]*\n(.*?)(?=^### |\Z)", SECTIONS["Three exercises"])
)
SOME_TIME_S = 60.0
LEFT = "\x1b[D"
NO_BROWSER = {"BROWSER": "true"}  # the program `true`: pages are opened by the test


def steps_of(exercise: str) -> list[str]:
    return re.findall(r"(?ms)^\d+\. (.*?)(?=^\d+\. |\Z)", EXERCISES[exercise])


def pressed(step: str) -> list[str]:
    return re.findall(r"(?<!\*)\*([^*\n]+)\*", step)


class Observer:
    """A reader with terminals and pages beside him. Mutable."""

    def __init__(self, reading: Reader, stack: ExitStack) -> None:
        self.reading = reading
        self._stack = stack
        self.screen: Terminal
        self.served: subprocess.Popen[str]
        self.address = ""
        self.environment = environment_of(reading.lab) | NO_BROWSER
        for command in ("chatlab watch", "chatlab watch --save seen.jsonl"):
            reading.endless[command] = self._on_screen
        reading.endless["chatlab watch --replay seen.jsonl"] = self._on_screen
        for command in ("chatlab watch --web", "chatlab watch --web --replay seen.jsonl"):
            reading.endless[command] = self._serve
        reading.endless["chatlab lab play"] = self._serve

    def _on_screen(self, command: Command) -> str:
        assert command.said == []
        arguments = command.text.split()
        terminal = Terminal(arguments, self.reading.lab.folder, self.environment)
        self.screen = self._stack.enter_context(terminal)
        return ""

    def _serve(self, command: Command) -> str:
        self.served = self._stack.enter_context(
            subprocess.Popen(
                command.text.split(),
                cwd=self.reading.lab.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        self._stack.callback(self.served.kill)
        assert self.served.stdout is not None
        line = self.served.stdout.readline()
        form = r"http://127\.0\.0\.1:\d+/[\w-]{32}/  \(Ctrl-C ends\)"
        for said in [line.rstrip("\n"), *command.said]:
            assert re.fullmatch(form, said), said
        self.address = line.split()[0]
        return line

    def stop_serving(self) -> None:
        """Ctrl-C."""
        self.served.send_signal(signal.SIGINT)
        assert self.served.wait(SOME_TIME_S) == 0


@pytest.fixture
def observer() -> Iterator[Observer]:
    with reader() as reading, ExitStack() as stack:
        yield Observer(reading, stack)


def test_the_table_names_the_sections_in_their_order_and_each_is_followed() -> None:
    anchors = re.findall(r"^\| [^|]+ \| \[[^]]+\]\(#([\w-]+)\)", PAGE, re.MULTILINE)
    names = [re.sub(r"\W+", "-", name.lower()) for name in SECTIONS]
    assert names == ["three-exercises", *anchors]
    assert list(EXERCISES) == ["1", "2", "3"]
    followed = [name for name, text in SECTIONS.items() if "```console" in text]
    assert followed == [
        "Three exercises", "In a terminal", "In a browser", "One line a second",
        "When it became inevitable",
    ]  # fmt: skip
    assert "```console" not in PAGE.partition("\n## ")[0]
    assert sum(len(steps_of(one)) for one in EXERCISES) == 7 + 6 + 5


# --- exercise 1 -----------------------------------------------------------------------------------


def gaps(line: str) -> str:
    """A row of the page of timelines, whatever the times are."""
    return " ".join(re.sub(r"\bfirst\b|\+[\d.]+ (us|ms|s)\b", "here", line).split())


def lacks(page: "Page", text: str) -> None:
    """Wait until the cards of all five nodes say so."""
    page.wait_for_function(
        """(text) => {
          const cells = [...document.querySelectorAll("[data-node] dd:first-of-type")];
          return cells.length === 5 && cells.every((one) => one.textContent === text);
        }""",
        arg=text,
    )


def test_exercise_1_a_partition_heals(observer: Observer, new_page: NewPage) -> None:
    up, terminal, browser, cut, gap, heal, back = steps_of("1")
    for step in (up, terminal):
        observer.reading.follow(step)
    screen = observer.screen
    screen.shows("5 of 5 up")
    observer.reading.follow(browser)
    page = new_page(width=1280, height=900)
    page.goto(observer.address)
    page.locator("#summary", has_text="5 of 5 nodes up").wait_for()
    observer.reading.follow(cut)

    screen.shows(r"2 messages  5 lack up to 1\b")
    screen.press("2")
    assert "Press `2`" in gap
    shown = screen.shows(r"bo: only on the right .*first")
    (picture,) = blocks(gap, "text")
    assert [gaps(line) for line in shown[:7]] == [gaps(line) for line in picture.splitlines()]
    assert '"1 of 2"' in gap and '"Who holds what"' in gap
    lacks(page, "1 of 2")
    page.locator("h2", has_text="Who holds what").wait_for()
    page.wait_for_selector("#matrix canvas[aria-label='2 events at 5 nodes; 5 nodes lack some']")

    observer.reading.follow(heal)
    screen.shows("all up hold the same")
    assert not any("╌" in line for line in screen.shows(r"lacks +0 +0 +0 +0 +0\b"))
    lacks(page, "nothing known")
    page.locator("#summary", has_text="all that are up hold the same").wait_for()
    page.locator("h2", has_text="Space and time").wait_for()
    page.wait_for_function("() => !document.querySelector('li.lacks')")  # once a second

    assert "Press ← in both" in back and "Space" in back and "`q`" in back
    while not any("╌" in line for line in screen.lines):
        before = screen.lines[-2].split()[-1]  # the moment that is shown
        screen.press(LEFT)
        screen.shows(rf"(?m)^BACK .*(?<!{before})$")
    while not page.locator("li.lacks").count():
        before = page.inner_text("#when")
        page.keyboard.press("ArrowLeft")
        page.wait_for_function(
            "(text) => document.getElementById('when').textContent !== text", arg=before
        )
    page.wait_for_selector("body.past")
    screen.press(" ")
    screen.shows("LIVE")
    page.keyboard.press("Space")
    page.wait_for_selector("body:not(.past)")
    screen.press("q")
    assert screen.ends() == 0
    page.goto("about:blank")
    observer.stop_serving()


# --- exercise 2 -----------------------------------------------------------------------------------


def test_exercise_2_the_event_where_a_run_went_wrong(observer: Observer, new_page: NewPage) -> None:
    *before, show, keys, beside = steps_of("2")
    for step in before:
        observer.reading.follow(step)
    page = new_page(width=1280, height=900)
    page.goto((observer.reading.lab.folder / "report.html").as_uri())
    quoted = re.compile(r'"([^"]+)"')
    chosen = page.locator("#chosen")

    (name,) = pressed(show)
    page.locator("#head button", has_text=name).click()
    (boot,) = quoted.findall(show)
    assert boot in chosen.inner_text()
    crash, lost = quoted.findall(keys)
    assert "the comma key" in keys and "the full stop key twice" in keys
    page.keyboard.press(",")
    assert f"n1 {crash}" in chosen.inner_text()
    for _ in range(2):
        page.keyboard.press(".")
    assert re.search(rf"n1 {lost}, m1 .*\(n2, n3, n4, n5\)", chosen.inner_text())

    observer.reading.follow(beside)
    page.goto((observer.reading.lab.folder / "both.html").as_uri())
    parts = page.locator("#head li").all_inner_texts()
    assert [re.findall(r"n1: boot, .* (\d+) events", part) for part in parts] == [["0"], ["8"]]
    assert "n1 should find 8 events" in beside


# --- exercise 3 -----------------------------------------------------------------------------------


def at_second(page: "Page", second: int) -> None:
    page.locator("#when", has_text=re.compile(rf"^{second}\.1000\d\d s$")).wait_for()


def test_exercise_3_go_back_and_do_something_else(observer: Observer, new_page: NewPage) -> None:
    begin, do, back, token, plan = steps_of("3")
    observer.reading.follow(begin)
    page = new_page(width=1280, height=900)
    page.goto(observer.address)
    first, second = (page.locator(f"#nodes article:nth-child({node})") for node in (1, 2))
    press: Callable[[str], None] = lambda name: page.click(f"button:text-is('{name}')")  # noqa: E731

    later, kill, post, again = pressed(do)
    press(later)
    at_second(page, 1)
    second.get_by_role("button", name=kill, exact=True).click()
    second.filter(has_text="down").wait_for()
    first.locator("input").fill("hello")
    first.get_by_role("button", name=post, exact=True).click()
    for at in range(2, 13):
        press(again)
        at_second(page, at)
    page.locator("#timelines", has_text="lacks you: hello").wait_for()

    earlier, start, branch, main, later = pressed(back)
    press(earlier)
    at_second(page, 2)
    second.get_by_role("button", name=start, exact=True).click()
    page.locator("#branches", has_text=f"{main}").filter(has_text=branch).wait_for()
    for at in (3, 4):
        press(later)
        at_second(page, at)
    second.filter(has_text="1 event").wait_for()
    page.locator("#timelines:not(:has-text('lacks'))").wait_for()

    (copy,) = pressed(token)
    press(copy)
    page.locator("#token", has_text="chatlab lab replay plan_").wait_for()
    observer.reading.take(page.inner_text("#token"))
    observer.reading.follow(token)

    (save,) = pressed(plan)
    with page.expect_download() as download:
        page.get_by_text(save, exact=True).click()
    file = observer.reading.lab.folder / download.value.suggested_filename
    download.value.save_as(file)
    observer.reading.follow(plan)
    hashes = {
        re.findall(r", trace ([0-9a-f]{32})$", said, re.MULTILINE)[-1]
        for command, said in observer.reading.ran.items()
        if command != "chatlab lab play"
    }
    assert len(hashes) == 1, "token and file are of one run"
    page.goto("about:blank")
    observer.stop_serving()


# --- the sections ---------------------------------------------------------------------------------


def test_the_sections_on_running_nodes(observer: Observer, new_page: NewPage) -> None:
    observer.reading.follow(steps_of("1")[0])
    live, save, replay = re.findall(r"^\$ .*$", SECTIONS["In a terminal"], re.MULTILINE)
    for command, shown in ((live, "5 of 5 up"), (save, "5 of 5 up"), (replay, r"\bn5\b")):
        assert observer.reading.follow(f"```console\n{command}\n```\n") == 1
        observer.screen.shows(shown)
        observer.screen.press("q")
        assert observer.screen.ends() == 0
    page = new_page(width=1280, height=900)
    for command in re.findall(r"^\$ .*$", SECTIONS["In a browser"], re.MULTILINE):
        assert observer.reading.follow(f"```console\n{command}\n```\n") == 1
        page.goto(observer.address)
        page.locator("#nodes article").nth(4).wait_for()
        page.goto("about:blank")
        observer.stop_serving()
    assert observer.reading.follow(SECTIONS["One line a second"]) == 3
    assert len((observer.reading.lab.folder / "figures.csv").read_text().splitlines()) == 4


def test_when_it_became_inevitable(observer: Observer) -> None:
    for step in steps_of("2")[:2]:
        observer.reading.follow(step)
    assert observer.reading.follow(SECTIONS["When it became inevitable"]) == 1
