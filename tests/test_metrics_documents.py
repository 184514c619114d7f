"""The dashboard and docs/observing.md show the metrics that a node exports, and no others."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.moderation import Policy, Rule
from node.control.messages import Post
from tests.node.loops import run, until
from tests.node.process.test_metrics import Scrape, scrape
from tests.node.runtimes import RuntimeBench

DOCS = Path(__file__).resolve().parents[1] / "docs"
DASHBOARD: dict[str, Any] = json.loads((DOCS / "observing" / "grafana.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TEXT = (
    (DOCS / "observing.md")
    .read_text(encoding="utf-8")
    .partition("\n## Metrics\n")[2]
    .partition("\n## ")[0]
)
SUFFIXES = ("_bucket", "_count", "_sum")
OF_THE_SERVER = {"instance", "job"}  # what Prometheus adds to each sample


@pytest.fixture(scope="module")
def exported() -> Scrape:
    """What a node says when all has happened that has a label of its own."""

    async def main() -> Scrape:
        policy = Policy((Rule("soft", ("darn",), "censor"),), ())
        async with RuntimeBench(metrics=True, policy=policy) as bench:
            await bench.ask(Post(1, "ana", "darn"))
            bench.receive(1)
            peer = bench.runtime.transport.traffic("n2")
            await until(lambda: len(bench.replica.timeline) == 2 and peer.dropped)
            return await scrape(bench)

    return run(main)


def labels_of(exported: Scrape) -> dict[str, set[str]]:
    """By name of a sample."""
    found: dict[str, set[str]] = {}
    for name, labels in exported.values:
        found.setdefault(name, set()).update(label for label, _ in labels)
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:chatlab|process)_\w+", expression))


def test_every_metric_of_the_dashboard_is_exported_and_has_the_labels(exported: Scrape) -> None:
    there = labels_of(exported)
    for panel in PANELS:
        for target in panel["targets"]:
            expression, names = target["expr"], metrics_in(target["expr"])
            assert names and names <= there.keys(), expression
            usable = set().union(*(there[name] for name in names)) | OF_THE_SERVER
            grouped = re.findall(r"\b(?:by|on|group_left) \(([\w, ]+)\)", expression)
            matched = re.findall(r"(\w+)=~?\"", expression)
            used = {label for group in grouped for label in group.split(", ")} | set(matched)
            assert used <= usable, expression
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert shown <= (used if "sum by" in expression else usable), expression


def test_every_metric_of_a_node_is_on_the_dashboard(exported: Scrape) -> None:
    shown = {name for expression in expressions() for name in metrics_in(expression)}
    shown = {re.sub(r"_bucket$", "", name) for name in shown}
    own = {name for name in labels_of(exported) if name.startswith("chatlab_")}
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in own} <= shown


def test_counters_are_shown_as_rates_and_gauges_as_they_are(exported: Scrape) -> None:
    for expression in expressions():
        for name in metrics_in(expression):
            changing = name.endswith(("_total", "_bucket"))
            shown_as_rate = re.search(rf"(rate|increase)\({name}\b", expression) is not None
            assert changing == shown_as_rate, expression


def test_parentheses_and_panels_are_in_order() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for expression in expressions():
        for opened, closed in ("()", "[]", "{}"):
            assert expression.count(opened) == expression.count(closed), expression
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in PANELS)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    (source,) = DASHBOARD["templating"]["list"]
    uids = {panel["datasource"]["uid"] for panel in PANELS}
    assert uids == {f"${{{source['name']}}}"}
    assert "http" not in json.dumps(DASHBOARD)


def test_the_table_of_the_document_is_what_a_node_exports(exported: Scrape) -> None:
    rows = re.findall(r"^\| `(chatlab_\w+)` \| (\w+) \| (.*?) ?\| ", TEXT, re.MULTILINE)
    told = {
        re.sub(r"_total$", "", name): (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in rows
    }
    there = labels_of(exported)
    real: dict[str, tuple[str, set[str]]] = {}
    for family, kind in exported.types.items():
        if family.startswith("chatlab_"):
            names = [family, f"{family}_total", *(family + suffix for suffix in SUFFIXES)]
            labels = set().union(*(there.get(name, set()) for name in names))
            real[family] = (kind, labels - {"le"})
    assert told == real
    assert {name for name, _, _ in rows if name.endswith("_total")} == {
        f"{family}_total" for family, (kind, _) in real.items() if kind == "counter"
    }


def test_the_examples_of_the_document_are_sound(tmp_path: Path) -> None:
    from node.config.cluster_file import load

    cluster, scraping = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    file = tmp_path / "cluster.yaml"
    file.write_text(cluster, encoding="utf-8")
    config = load(file)
    (job,) = yaml.safe_load(scraping)["scrape_configs"]
    addresses = [config.metrics_address(node.name) for node in config.nodes]
    assert job["static_configs"] == [{"targets": addresses}]
    (single,) = re.findall(r"`({name: n2, metrics: .*?}})`", TEXT)
    file.write_text(f"nodes: [n1, {single}]", encoding="utf-8")
    assert load(file).metrics_address("n2") == "127.0.0.1:9600"
