"""Metrics of real nodes: by the address in the file, as the status says, whoever scrapes."""

import contextlib
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from lab.cluster.processes import read_record
from tests.cluster.test_keys import free_port
from tests.node.process.test_metrics import Scrape

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[2]
RSS_MAX = 24 * 1024 * 1024  # that hostile scrapers may cost
EXTRAS = ("prometheus_client", "starlette", "textual", "uvicorn")


def free_ports(count: int) -> int:
    """The first of so many in a row."""
    for _ in range(100):
        first = free_port()
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError("no free ports")


def scrape(port: int) -> Scrape:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return Scrape(answer.read().decode())


def test_five_nodes_serve_what_their_status_says(
    lab: Any, until: Callable[[Callable[[], object]], None]
) -> None:
    first = free_ports(5)
    lab.write(
        f"nodes: [n1, n2, n3, n4, n5]\nmetrics: {{listen: 127.0.0.1:{first}}}\nquiet_ms: 200\n"
    )
    lab.well("cluster", "up", "-d")
    for at, name in enumerate(("n1", "n2", "n3")):
        lab.well("send", name, f"message {at}", "--ack", "replicated:4")
    lab.well("wait", "--quiet", "0.3")
    statuses = lab.well("status", "--json").lines
    ports = [first + at for at in range(5)]
    assert [status["settings"]["metrics"] for status in statuses] == [
        f"127.0.0.1:{port}" for port in ports
    ]
    for port, status in zip(ports, statuses, strict=True):
        said, counters = scrape(port), status["counters"]
        assert said("events") == said("events_appended_total") == status["events"] == 3
        assert said("missing_events") == 0
        assert said("root_fingerprint") == int(status["root"][:12], 16)
        assert said("peers", state="alive") == 4
        assert said("duplicate_events_total") == counters["entries_duplicate"]
        assert said("convergence_lag_seconds_count") == 3 - counters["posted"]
        assert said.sum("moderation_total", verdict="clean") == counters["posted"]
        # Rounds go on while nothing is new.
        assert said("gossip_rounds_total", result="same") >= counters["rounds_same"]
        for way, key in (("out", "bytes_sent"), ("in", "bytes_received")):
            by_kind = said.sum("gossip_bytes_total", dir=way)
            assert by_kind == said.sum("peer_bytes_total", dir=way) >= counters[key] > 0
        assert said.labels()["peer"] == {"n1", "n2", "n3", "n4", "n5"} - {status["node"]}
    assert len({scrape(port)("root_fingerprint") for port in ports}) == 1

    lab.well("cluster", "partition", "n1", "n2,n3,n4,n5")
    until(lambda: scrape(first)("peers", state="alive") == 0)
    lab.well("send", "n2", "behind its back", "--ack", "durable")
    until(lambda: scrape(first + 1)("events") == 4)
    assert scrape(first)("events") == 3
    assert scrape(first)("packets_dropped_total", reason="blocked") > 0
    lab.well("cluster", "heal")
    until(lambda: scrape(first)("events") == 4)
    # It came late, and the lag says so.
    lag = scrape(first)
    assert lag("convergence_lag_seconds_count") == lag("events_appended_total") - 1


def test_a_file_that_asks_for_metrics_later_is_taken_over_by_a_running_node(lab: Any) -> None:
    port = free_port()
    lab.write("nodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    before = {one["node"]: one["pid"] for one in lab.well("cluster", "ps", "--json").lines}
    with pytest.raises(OSError, match="refused"):
        scrape(port)
    lab.write(f"nodes: [{{name: n1, metrics: {{listen: '127.0.0.1:{port}'}}}}, n2]\n")
    lab.well("cluster", "up", "-d")
    assert scrape(port)("peers", state="alive") >= 0
    after = {one["node"]: one["pid"] for one in lab.well("cluster", "ps", "--json").lines}
    assert before == after


def test_a_port_that_is_taken_is_one_line_and_no_node(lab: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        lab.write(f"nodes: [{{name: n1, metrics: {{listen: '127.0.0.1:{port}'}}}}]\n")
        ran = lab.chatlab("node", "run", "n1")
    assert ran.code == 1
    assert ran.err.strip().splitlines() == [
        f"chatlab: n1: n1: cannot serve metrics on 127.0.0.1:{port}: Address already in use"
    ]


# --- the package is another's ---------------------------------------------------------------------

WITHOUT = "import sys; sys.modules['prometheus_client'] = None; "


@pytest.mark.parametrize(
    "program",
    [
        "from node.__main__ import main; sys.exit(main(['n1', '-f', 'cluster.yaml']))",
        "from lab.__main__ import main; sys.argv[1:] = ['cluster', 'up', '-d']; sys.exit(main())",
    ],
)
def test_where_the_package_is_missing_a_node_that_needs_it_refuses_to_start(
    lab: Any, program: str
) -> None:
    lab.write(f"nodes: [n1]\nmetrics: {{listen: 127.0.0.1:{free_port()}}}\n")
    done = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT + program],
        cwd=lab.folder,
        env=lab.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "prometheus-client is not installed" in line and "chatlab[observe]" in line


RUN = """
import os, signal, sys
from pathlib import Path
from node.__main__ import prepare, run

def ready():
    print(*sorted(name for name in sys.modules if "." not in name))
    os.kill(os.getpid(), signal.SIGTERM)

prepare()
sys.exit(run("n1", Path("cluster.yaml"), ready))
"""


@pytest.mark.parametrize("metrics", [False, True])
def test_only_a_node_that_serves_metrics_imports_the_extra(lab: Any, metrics: bool) -> None:
    asked = f"metrics: {{listen: 127.0.0.1:{free_port()}}}\n" if metrics else ""
    lab.write(f"nodes: [n1]\n{asked}")
    done = subprocess.run(
        [sys.executable, "-P", "-c", RUN],
        cwd=lab.folder,
        env=lab.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "node" in loaded
    assert loaded & set(EXTRAS) == ({"prometheus_client"} if metrics else set())


@pytest.mark.parametrize(
    "words",
    [
        ("send", "n1", "hello"),
        ("cluster", "ps"),
        ("status",),
        ("stat", "--count", "1", "--every", "0.1"),
        ("wait",),
    ],
)
def test_commands_import_nothing_of_the_extra(lab: Any, words: tuple[str, ...]) -> None:
    lab.write("nodes: [n1]\n")
    lab.well("cluster", "up", "-d")
    program = (
        f"import sys; sys.argv[1:] = {list(words)!r}\nfrom lab.__main__ import main\n"
        "try:\n    code = main()\nexcept SystemExit as ended:\n    code = ended.code\n"
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=lab.folder,
        env=lab.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "lab" in loaded and not loaded & set(EXTRAS)


# --- whoever scrapes ------------------------------------------------------------------------------


class Crowd:
    """Hostile scrapers, each in a thread, for as long as the test looks."""

    def __init__(self, port: int) -> None:
        self.address = ("127.0.0.1", port)
        self.over = threading.Event()
        self.visits = 0
        self._threads = [
            threading.Thread(target=self._again, args=(one,))
            for one in (self.silent, self.endless, self.never_reads, self.greedy, self.hammer)
        ]

    def __enter__(self) -> Self:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for one in self._threads:
            one.join(30)

    def _again(self, visit: Callable[[], None]) -> None:
        while not self.over.is_set():
            with contextlib.suppress(OSError):
                visit()
            self.visits += 1

    @contextlib.contextmanager
    def _many(self, count: int, said: bytes) -> Iterator[list[socket.socket]]:
        with contextlib.ExitStack() as stack:
            many = []
            for _ in range(count):
                one = stack.enter_context(socket.create_connection(self.address, 5))
                many.append(one)
                one.sendall(said)
            yield many

    def silent(self) -> None:
        with self._many(40, b""):
            self.over.wait(0.2)

    def endless(self) -> None:
        with self._many(1, b"GET /metrics HTTP/1.1\r\nX: ") as (one,):
            while not self.over.is_set():
                one.sendall(b"x" * 65_536)

    def never_reads(self) -> None:
        with self._many(20, b"GET /metrics HTTP/1.1\r\n\r\n"):
            self.over.wait(0.2)

    def greedy(self) -> None:
        with self._many(1, b"GET /metrics HTTP/1.1\r\n\r\n") as (one,):
            while not self.over.is_set():
                one.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 1000)

    def hammer(self) -> None:
        for _ in range(100):
            with self._many(1, b"GET /metrics HTTP/1.1\r\n\r\n") as (one,):
                while one.recv(65_536):
                    pass


def test_hostile_scrapers_cost_bounded_memory_and_stop_nothing(
    lab: Any, until: Callable[[Callable[[], object]], None]
) -> None:
    port = free_port()
    lab.write(f"nodes: [{{name: n1, metrics: {{listen: '127.0.0.1:{port}'}}}}, n2]\n")
    lab.up()
    lab.well("send", "n1", "before", "--ack", "replicated:1")
    scrape(port)
    record = read_record(Path(lab.place.nodes["n1"].pid_file))
    assert record is not None
    process = psutil.Process(record.pid)
    before, files = process.memory_info().rss, process.num_fds()
    most = 0
    with Crowd(port) as crowd:
        while crowd.visits < 60:
            lab.well("send", "n1", "meanwhile", "--ack", "replicated:1", "--timeout", "20")
            most = max(most, process.memory_info().rss)
            assert process.num_fds() < files + 200
    assert most - before < RSS_MAX
    said = scrape(port)
    assert said.sum("worker_restarts_total") == 0
    (status,) = lab.well("status", "n1", "--json").lines
    assert status["pid"] == record.pid and status["state"] == "running"
    assert status["counters"]["metrics_hung_up"] > 0
    until(lambda: process.num_fds() < files + 40)
