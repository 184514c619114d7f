"""Measures the report of a long run: its size, and how long a frame of its diagram takes.

The run has five nodes that talk for five minutes, with losses, partitions and crashes: about
100,000 events. A frame is one step of a movement: diagram and curves are drawn anew and read back,
so that the drawing itself is part of it. It is measured at ranges from the whole run down to a
thousandth, in headless Chromium without a graphics processor.
"""

import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from lab.bench.cluster import COMMAND, command_ms
from lab.bench.figures import Figure, figure
from lab.bench.session import Session
from lab.plan.draw import draw
from lab.plan.faults import Plan, plan_to_json
from lab.plan.scenario import named

FAULTS_MS = 310_000
POSTS = 2900
RANGES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001)  # shares of the run that are in sight
STEPS = 15  # frames at each range
WIDTH, HEIGHT = 1200, 900  # px
BYTES_MAX = 5_000_000
FRAME_MS_MAX = 50
LOAD_S_MAX = 60
MOVE = """([share, steps]) => {
    const {diagram, rows, curves} = report.sides[0], took = [];
    const canvases = [diagram.canvas, ...curves.map(curve => curve.canvas)];
    for (let step = 0; step < steps; step++) {
        const t0 = (rows.end * (1 - share) * step) / steps;
        const began = performance.now();
        diagram.setRange(t0, t0 + rows.end * share);
        diagram.draw();
        for (const curve of curves) curve.draw(diagram.range);
        for (const one of canvases) one.getContext("2d").getImageData(0, 0, 1, 1);
        took.push(performance.now() - began);
    }
    return took;
}"""


def figures(session: Session) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="chatlab-") as name:
        folder = Path(name)
        (folder / "plan.json").write_bytes(plan_to_json(long_plan(session.scale.sim)))
        command = [*COMMAND, "lab", "report", "plan.json", "--html", "report.html"]
        made_ms = command_ms(command, folder)
        page = folder / "report.html"
        size = page.stat().st_size
        events, loaded_ms, frames_ms = _moved(page)
    note = f"of a run of {events:,} events"
    return [
        figure("report, size", "MB", [size / 1e6], at_most=BYTES_MAX / 1e6, note=note),
        figure("report, run judged and written", "s", [made_ms / 1000], note=note),
        figure("report, page opened and drawn", "ms", [loaded_ms], note=note),
        figure(
            "report, a frame of the slowest range",
            "ms",
            max(frames_ms, key=median),
            at_most=FRAME_MS_MAX,
            note=f"{note}; of {len(RANGES)} ranges, from all of it to a thousandth",
        ),
    ]


def long_plan(share: float) -> Plan:
    """Of a run of about 100,000 events, or that share of it."""
    scenario = named("partition")
    faults_ms, posts = int(FAULTS_MS * share) + 1000, int(POSTS * share) + 10
    workload = msgspec.structs.replace(scenario.workload, posts=(posts, posts))
    faults = msgspec.structs.replace(scenario.faults, kill=named("crash-storm").faults.kill)
    spans = (faults_ms, faults_ms)
    return draw(
        msgspec.structs.replace(scenario, faults_ms=spans, workload=workload, faults=faults), 1
    )


def _moved(page: Path) -> tuple[int, float, list[list[float]]]:
    """Events of the page, ms until it is drawn, and by range ms of each frame."""
    from playwright.sync_api import sync_playwright  # lazy: of developers, for tests of pages

    path = shutil.which("chromium")
    if path is None:
        raise FileNotFoundError("no Chromium on the path: install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        opened: Any = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        began_s = time.monotonic()
        opened.goto(page.as_uri(), timeout=LOAD_S_MAX * 1000)
        opened.evaluate("report.sides[0].diagram.draw()")
        loaded_ms = (time.monotonic() - began_s) * 1000
        events = opened.evaluate("report.sides[0].rows.length")
        frames_ms = [opened.evaluate(MOVE, [share, STEPS]) for share in RANGES]
        browser.close()
    return events, loaded_ms, frames_ms
