"""The lives of one node in this process: a real start from a file, signals, and what the log says.

A second thread does what people do, once the node answers; the node has the main thread, as its
signals need it.
"""

import gc
import json
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from gossip.wire import cluster_hash
from node import __main__ as entry
from node.config.cluster_file import NODES_MAX, load
from node.config.paths import ClusterPaths
from node.control.messages import (
    Accepted,
    Done,
    Post,
    ReadStatus,
    Reply,
    Request,
    SetFault,
    Status,
    replies_decoder,
)
from node.core.replica import Replica
from node.process import lifecycle
from node.process import structured_log as logs
from node.process.restart_budget import RestartBudget
from node.process.runtime import Runtime
from node.recording.format import Links, Said, read_recording
from node.storage.files import StorageError

PATIENCE_S = 30.0


class Person:
    """Asks one node, in a thread of its own."""

    def __init__(self, home: "Home") -> None:
        self.home = home
        self.numbers = 0

    def ask(self, request: Request) -> Reply:
        context: zmq.Context[Any] = zmq.Context()
        client = context.socket(zmq.DEALER)
        client.setsockopt(zmq.LINGER, 0)
        try:
            client.connect(f"ipc://{self.home.paths.node('n1').control}")
            client.send(msgspec.msgpack.encode([request]))
            assert client.poll(PATIENCE_S * 1000), f"no answer to {request}"
            (reply,) = replies_decoder.decode(client.recv())
        finally:
            context.destroy(linger=0)
        return reply

    def post(self, text: str) -> str:
        reply = self.ask(Post(1, "ana", text))
        assert type(reply) is Accepted
        return reply.text

    def status(self) -> Status:
        reply = self.ask(ReadStatus(1))
        assert type(reply) is Status
        return reply

    def signal(self, number: int) -> None:
        os.kill(os.getpid(), number)

    def until(self, event: str, count: int = 1) -> dict[str, Any]:
        """The note of this name, once there are so many."""
        end_s = time.monotonic() + PATIENCE_S
        while len(found := self.home.said(event)) < count:
            assert time.monotonic() < end_s, (
                f"no {event}: {[one['event'] for one in self.home.log]}"
            )
            time.sleep(0.01)
        return found[-1]


class Home:
    """A folder with a cluster file, and one run of its node n1 after the other."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "cluster.yaml"
        self.write()
        self.paths = ClusterPaths(folder, load(self.file))
        self.readies = 0
        self.before = 0  # lines of the log

    def write(self, more: str = "") -> None:
        self.file.write_text(f"nodes: [n1, n2]\nname: play\n{more}", "utf-8")

    def run(self, *acts: Callable[[Person], object], stop: bool = True) -> int:
        """Start, let a person act, and stop. What he finds wrong is raised here."""
        wrong: list[BaseException] = []
        person = Person(self)

        def live() -> None:
            try:
                for act in acts:
                    act(person)
            except BaseException as error:
                wrong.append(error)
            if stop or wrong:
                person.signal(signal.SIGTERM)

        thread = threading.Thread(target=live)

        def ready() -> None:
            self.readies += 1
            thread.start()

        self.before = len(self.lines)
        code = entry.run("n1", self.file, ready)
        if thread.ident is not None:
            thread.join(PATIENCE_S)
        if wrong:
            raise wrong[0]
        return code

    @property
    def lines(self) -> list[dict[str, Any]]:
        file = self.paths.node("n1").log_file
        text = file.read_text("utf-8") if file.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    @property
    def log(self) -> list[dict[str, Any]]:
        """Of the last run."""
        return self.lines[self.before :]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.log if one["event"] == event]

    @property
    def segment(self) -> Path:
        return self.paths.node("n1").journal_dir / "00000001.seg"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    opened: list[logs.StructuredLog] = []  # a process ends with its log open; this one goes on
    sound = logs.open_log

    def open_log(*given: Any) -> logs.StructuredLog:
        opened.append(sound(*given))
        return opened[-1]

    monkeypatch.setattr(logs, "open_log", open_log)
    mask, threshold = os.umask(0o077), gc.get_threshold()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield Home(tmp_path)
    for log in opened:
        log.close()
    os.umask(mask)
    gc.unfreeze()
    gc.set_threshold(*threshold)
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


def test_a_node_tells_its_life_from_the_start_to_the_end(home: Home) -> None:
    def act(person: Person) -> None:
        assert person.post("one") == "one"
        assert gc.get_threshold() == lifecycle.COLLECT_AFTER
        assert gc.get_freeze_count() > 0

    assert home.run(act) == 0
    assert home.readies == 1
    told = [one["event"] for one in home.log]
    order = ["node_started", "journal_opened", "node_ready", "node_stopping", "node_stopped"]
    assert [event for event in told if event in order] == order
    (started,), (ready,) = home.said("node_started"), home.said("node_ready")
    assert started["pid"] == ready["pid"] == os.getpid()
    assert int(started["seed"], 16) > 0
    assert ready["listen"].startswith("tcp://127.0.0.1:")
    (opened,) = home.said("journal_opened")
    assert (opened["records"], opened["read"], opened["incarnation"]) == (0, 0, 1)
    (stopping,), (stopped,) = home.said("node_stopping"), home.said("node_stopped")
    assert (stopping["reason"], stopping["level"]) == ("SIGTERM", "info")
    assert (stopped["clean"], stopped["level"]) == (True, "info")
    assert 0 <= stopped["ms"] < 60_000
    assert "reason" not in stopped
    assert not home.paths.node("n1").pid_file.exists()
    assert not home.paths.node("n1").control.exists()


def test_the_next_process_goes_on_where_the_last_one_stopped(home: Home) -> None:
    assert home.run(lambda person: [person.post("one"), person.post("two")]) == 0

    def act(person: Person) -> None:
        status = person.status()
        assert (status.events, status.incarnation, status.state) == (2, 2, "running")
        assert status.settings["quiet_ms"] == "2000"

    assert home.run(act) == 0
    (opened,) = home.said("journal_opened")
    assert (opened["records"], opened["read"], opened["clean"]) == (3, 3, True)
    assert (opened["segments"], opened["incarnation"]) == (1, 2)
    assert opened["bytes"] > 100
    assert 0 <= opened["ms"] < 60_000


def test_other_words_are_taken_over_at_once_and_in_the_same_life(home: Home) -> None:
    (home.file.parent / "w.txt").write_text("turnip\n", "utf-8")

    def act(person: Person) -> None:
        assert person.post("a turnip") == "a turnip"
        home.write("moderation: {rules: [{id: own, words: w.txt}]}\n")
        person.signal(signal.SIGHUP)
        assert person.until("policy_read")["rules"] == 1
        assert person.post("a turnip") != "a turnip"
        shown = person.status().settings
        home.write("moderation: {rules: [{id: own, words: gone.txt}]}\n")
        person.signal(signal.SIGHUP)
        assert "gone.txt" in person.until("policy_kept")["reason"]
        assert person.post("a turnip") != "a turnip"
        assert person.status().settings == shown

    assert home.run(act) == 0
    assert len(home.said("node_ready")) == 1


def test_the_log_is_opened_anew_when_it_was_moved_away(home: Home) -> None:
    log = home.paths.node("n1").log_file

    def act(person: Person) -> None:
        log.rename(log.with_suffix(".old"))
        home.before = 0
        person.signal(signal.SIGHUP)
        person.until("policy_read")

    assert home.run(act) == 0
    assert home.said("node_stopped")


def test_other_settings_end_a_life_and_the_process_goes_on_with_them(home: Home) -> None:
    def act(person: Person) -> None:
        person.post("one")
        assert type(person.ask(SetFault(1, ["n2"], loss=0.5))) is Done
        home.write("quiet_ms: 777\nrestarts: {budget: 0}\n")
        person.signal(signal.SIGHUP)
        assert sorted(person.until("settings_read")["changed"]) == ["quiet_ms", "restarts.budget"]
        person.until("node_ready", 2)
        status = person.status()
        assert status.settings["quiet_ms"] == "777"
        assert (status.events, status.incarnation) == (1, 2)
        assert status.peers["n2"].fault == "loss 50%"
        assert status.workers["control"].budget == 0

    assert home.run(act) == 0
    assert home.readies == 1, "whoever started the process is told once"
    assert [one["clean"] for one in home.said("node_stopped")] == [True, True]
    assert not home.said("core_restarts")


def test_peers_that_are_gone_from_the_file_take_their_faults_along(home: Home) -> None:
    def act(person: Person) -> None:
        assert type(person.ask(SetFault(1, ["n2"], blocked=True))) is Done
        home.file.write_text("nodes: [n1, n3]\nname: play\n", "utf-8")
        person.signal(signal.SIGHUP)
        person.until("node_ready", 2)
        assert {name: one.fault for name, one in person.status().peers.items()} == {"n3": ""}

    assert home.run(act) == 0


def test_a_torn_tail_and_damage_are_told_with_their_places(home: Home) -> None:
    assert home.run(lambda person: [person.post(f"text {at}") for at in range(3)]) == 0
    data = home.segment.read_bytes()
    at = data.index(b"text 1")
    home.segment.write_bytes(data[:at] + b"T" + data[at + 1 :] + b"torn!")
    # As after a kill: the mark of the clean stop is not the last thing that was written.

    def act(person: Person) -> None:
        assert person.status().events == 2

    assert home.run(act) == 0
    (cut,) = home.said("journal_tail_cut")
    assert (cut["bytes"], cut["level"]) == (5, "warning")
    assert cut["cause"]
    assert (home.segment.parent / cut["kept_as"]).read_bytes() == b"torn!"
    (hole,) = home.said("journal_quarantined")
    assert (hole["segment"], hole["records"], hole["level"]) == (1, 1, "error")
    assert 0 < hole["offset"] < at < hole["offset"] + hole["bytes"]
    assert home.run() == 0
    assert not home.said("journal_quarantined"), "it was told"


def test_a_recorded_life_is_whole_in_its_file(home: Home) -> None:
    def act(person: Person) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not person.status().peers["n2"].dropped:  # it does not run
            assert time.monotonic() < end_s
        person.post("one")

    home.write("trace: true\n")
    assert home.run(act) == 0
    assert home.run(lambda person: person.post("two")) == 0
    folder = home.paths.node("n1").dir / "trace"
    first, second = (read_recording(path) for path in sorted(folder.iterdir()))
    assert (first.complete, second.complete) == (True, True)
    assert (first.began.incarnation, second.began.incarnation) == (1, 2)
    assert first.state == second.state == "."
    said = {one.event for one in first.entries if type(one) is Said}
    assert "worker_started" in said, "notes that the replica did not make"
    links = [one for one in first.entries if type(one) is Links]
    assert any("unreachable" in one.dropped.get("n2", {}) for one in links)


def test_a_node_lives_without_the_recording_that_cannot_be_begun(home: Home) -> None:
    home.write("trace: true\n")
    assert home.run() == 0
    folder = home.paths.node("n1").dir / "trace"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_bytes(b"in the way")
    assert home.run(lambda person: person.post("one")) == 0
    assert home.said("recording_stopped")[0]["reason"] == "no file could be begun"


def _crashing(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The core fails at the first commands."""
    left = [times]
    sound = Replica._on_submit

    def fails(self: Replica, submit: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise ZeroDivisionError("in the core")
        sound(self, submit)

    monkeypatch.setattr(Replica, "_on_submit", fails)


def test_a_core_that_fails_begins_again_from_its_journal(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    _crashing(monkeypatch, 1)

    def act(person: Person) -> None:
        reply = person.ask(Post(1, "ana", "lost"))
        assert type(reply) is not Accepted
        person.until("node_ready", 2)
        assert person.post("kept") == "kept"
        assert person.status().incarnation == 2

    assert home.run(act) == 0
    (again,) = home.said("core_restarts")
    assert again["level"] == "warning"
    assert 0 < again["wait_ms"] <= 60_000
    assert home.readies == 1
    assert "the replica failed" in home.said("node_stopping")[0]["reason"]
    assert home.said("node_stopping")[0]["level"] == "error"


def test_a_core_over_its_budget_ends_the_process(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home.write("restarts: {budget: 0}\n")
    _crashing(monkeypatch, 1)
    assert home.run(lambda person: person.ask(Post(1, "ana", "lost")), stop=False) != 0
    (up,) = home.said("node_gave_up")
    assert up["reason"] == "the core failed too often: ZeroDivisionError: in the core"
    assert up["reason"] in capfd.readouterr().err


def test_who_is_asked_to_stop_while_it_waits_begins_no_other_life(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    _crashing(monkeypatch, 1)
    monkeypatch.setattr(RestartBudget, "crashed", lambda *_: 60.0)

    def act(person: Person) -> None:
        person.ask(Post(1, "ana", "lost"))
        person.until("core_restarts")
        person.signal(signal.SIGTERM)

    assert home.run(act, stop=False) == 1
    assert home.said("core_restarts")[0]["wait_ms"] == 60_000
    assert len(home.said("node_ready")) == 1
    assert not home.said("node_gave_up")


def test_a_stop_that_is_asked_for_while_it_starts_is_a_clean_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = Runtime.start

    async def start(self: Runtime) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await sound(self)

    monkeypatch.setattr(Runtime, "start", start)
    assert home.run() == 0
    assert home.readies == 0
    assert not home.said("node_ready")
    assert home.said("node_stopped")[0]["clean"] is True


def test_a_stop_that_is_asked_for_while_it_restores_is_a_clean_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = Replica.restore

    def restore(self: Replica, records: Any) -> None:
        sound(self, records)
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass  # the handler runs between two of these

    assert home.run(lambda person: person.post("one")) == 0
    with monkeypatch.context() as patch:
        patch.setattr(Replica, "restore", restore)
        assert home.run() == 0
        assert home.readies == 1
    assert home.run() == 0
    assert home.said("journal_opened")[0]["clean"] is True


def test_a_start_that_fails_leaves_the_journal_as_after_a_clean_stop(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def start(_: Runtime) -> None:
        raise OSError(98, "taken")

    assert home.run(lambda person: person.post("one")) == 0
    with monkeypatch.context() as patch:
        patch.setattr(Runtime, "start", start)
        assert home.run() != 0
    assert "taken" in capfd.readouterr().err
    assert home.run(lambda person: person.post("two")) == 0


def test_checkpoints_that_do_not_fit_are_believed_no_more(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [1]
    sound = Replica.recall

    def recall(self: Replica, checkpoints: Any) -> None:
        if left[0]:
            left[0] = 0
            raise StorageError("a body is gone")
        sound(self, checkpoints)

    monkeypatch.setattr(Replica, "recall", recall)
    code = home.run(lambda person: person.post("one"))
    assert code in (0, entry.EXIT_STORAGE)


def test_sockets_are_enough_for_the_largest_cluster(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    sound = zmq.Context

    class Watched(sound):  # type: ignore[misc, valid-type]
        def set(self, option: int, value: int) -> None:
            if option == zmq.MAX_SOCKETS:
                asked.append(value)
            super().set(option, value)

    monkeypatch.setattr(zmq, "Context", Watched)
    assert home.run() == 0
    assert asked == [4 * NODES_MAX + 64]


def test_the_plan_says_what_the_file_says(home: Home) -> None:
    home.write("durability: interval\ninterval_ms: 7\nquiet_ms: 99\ncompress: true\n")

    def act(person: Person) -> None:
        status = person.status()
        assert status.durability == "interval"
        assert (status.node, status.pid) == ("n1", os.getpid())
        assert status.settings["interval_ms"] == "7"
        assert list(status.peers) == ["n2"]
        assert status.cluster == ""
        assert cluster_hash("play", status.cluster) == cluster_hash("play")

    assert home.run(act) == 0
