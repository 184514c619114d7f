"""`chatlab watch --web` beside real nodes: a partition is seen to come and to heal, live."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.client.location import parse
from lab.cluster.cluster import Cluster

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[3]
NODES = ("n1", "n2", "n3", "n4", "n5")
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


class Lab:
    """Five running nodes, the command line, and the page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("CHATLAB")}
        self._environment |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        file = folder / "cluster.yaml"
        file.write_text(f"nodes: [{', '.join(NODES)}]\n", encoding="utf-8")
        self.cluster = Cluster(parse(file))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "lab.cli", *arguments],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def well(self, *arguments: str) -> str:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, (arguments, out, err)
        return out


@pytest.fixture
def lab(short_path: Path) -> Iterator[Lab]:
    made = Lab(short_path)
    try:
        made.cluster.up()
        yield made
    finally:
        made.cluster.down()


@pytest.fixture
def watching(lab: Lab) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with lab.start("watch", "--web", "--every", "0.1") as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/  \(Ctrl-C ends\)\n", line), (
                line
            )
            yield process, line.split()[0]
        finally:
            process.kill()


def lacks(page: Any, **wanted: str) -> None:
    page.wait_for_function(
        """(wanted) => Object.entries(wanted).every(([node, text]) =>
          document.querySelector(`[data-node=${node}] dd`)?.textContent === text)""",
        arg=wanted,
    )


def test_a_partition_is_seen_to_come_and_to_heal(
    lab: Lab, watching: tuple[subprocess.Popen[str], str], new_page: Any
) -> None:
    process, address = watching
    page = new_page(width=1280, height=800)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(address)
    lab.well("send", "n1", "before", "--as", "ana", "--ack", "replicated:4")
    lacks(page, **dict.fromkeys(NODES, "nothing known"))
    lab.well("cluster", "partition", "n1,n2", "n3,n4,n5")
    lab.well("send", "n1", "said on the left", "--as", "ana")
    lab.well("send", "n1", HOSTILE, "--as", "ana")
    lab.well("send", "n5", "said on the right", "--as", "bo")
    lacks(page, n1="1 of 4", n2="1 of 4", n3="2 of 4", n4="2 of 4", n5="2 of 4")
    assert "faults: partition" in page.inner_text("#summary")
    page.wait_for_function("() => document.querySelectorAll('li.lacks').length === 8")
    assert page.locator("#timelines div").nth(2).locator("li.lacks").all_text_contents() == [
        "lacks ana: said on the left",
        f"lacks ana: {HOSTILE}",
    ]
    assert page.locator("main img, main script").count() == 0
    lab.well("cluster", "heal")
    lacks(page, **dict.fromkeys(NODES, "nothing known"))
    page.wait_for_selector("#summary:not(:has-text('faults'))")
    page.wait_for_function("() => !document.querySelector('li.lacks')")
    page.locator("body").press("ArrowLeft")
    page.wait_for_selector("body.past")
    lab.well("cluster", "kill", "n2")
    page.keyboard.press("Space")
    page.wait_for_selector("article.down[data-node=n2]")
    page.goto("about:blank")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0


def test_a_trace_that_is_none_is_one_clear_line(
    short_path: Path,
) -> None:
    made = Lab(short_path)
    with made.start("watch", "--port", "80") as process:
        assert process.communicate(timeout=20)[1] == "chatlab: --port and --open go with --web\n"
    (short_path / "bad.jsonl").write_text("{}\n")
    for arguments in (["--replay", "bad.jsonl"], ["--replay", "nowhere.jsonl"]):
        with made.start("watch", "--web", *arguments) as process:
            out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"chatlab: {arguments[1]}: ")
