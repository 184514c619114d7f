"""Real nodes under load and slowness: what R4, R7, R8, R9, R11 promise, as functions of a size."""

import contextlib
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import psutil
import zmq

from lab.bench.figures import quantile
from lab.client.client import Client, Unreachable
from lab.cluster.processes import read_record, send_signal
from node.control.messages import Accepted, Post, replies_decoder
from node.storage.files import FileStorage
from node.storage.journal import Journal, JournalOptions
from tests.cluster import test_chaos as chaos
from tests.cluster.conftest import FIVE, ROOT, Lab
from tests.node.journals import Writer

MIB = 1024 * 1024


def process_of(lab: Lab, name: str) -> psutil.Process:
    record = read_record(Path(lab.place.nodes[name].pid_file))
    assert record is not None
    return psutil.Process(record.pid)


def kills(lab: Lab, count: int) -> str:
    """R4. Kill one of five, start it again, and so on, while ten clients talk."""
    lab.write(FIVE).up()
    dice = random.Random(4)
    talkers = chaos.talk(lab)
    began_s = time.monotonic()
    for _ in range(count):
        name = dice.choice(chaos.NODES)
        lab.cluster.kill(name)
        time.sleep(dice.uniform(0.02, 0.1))
        (started,) = lab.cluster.up([name])
        assert started.state == "running", started
    took_s = time.monotonic() - began_s
    acked = chaos.hush(talkers)
    waited_s = chaos.converge(lab, 10)
    chaos.check_everything(lab, acked, talkers)
    return (
        f"{count} kills in {took_s:.0f} s under {len(acked) / took_s:.0f} acked messages/s: "
        f"0 of {len(acked)} lost, timelines equal {waited_s:.1f} s after the last restart"
    )


def stopped(lab: Lab, seconds: float, p99_ratio_max: float) -> str:
    """R7. n5 sleeps under SIGSTOP while the others take messages."""
    lab.write(FIVE).up()
    at = lab.place.nodes["n5"]
    record = read_record(Path(at.pid_file))
    assert record is not None
    talkers = chaos.talk(lab, nodes=("n1", "n2", "n3", "n4"), clients=2 * chaos.CLIENTS)
    time.sleep(2)
    _acks_ms(talkers)
    time.sleep(min(seconds, 20))
    awake = _acks_ms(talkers)
    others = [process_of(lab, name) for name in chaos.NODES[:4]]
    before = [one.memory_info().rss for one in others]
    send_signal(record, signal.SIGSTOP)
    time.sleep(seconds)
    grown = max(o.memory_info().rss - b for o, b in zip(others, before, strict=True)) / MIB
    asleep = _acks_ms(talkers)
    send_signal(record, signal.SIGCONT)
    acked = chaos.hush(talkers)
    took_s = chaos.converge(lab, 30)
    chaos.check_everything(lab, acked, talkers)
    p99s = [quantile(awake, 0.99), quantile(asleep, 0.99)]
    assert grown < 64, f"grew by {grown:.0f} MiB"
    assert p99s[1] <= p99_ratio_max * p99s[0], f"p99 of acks from {p99s[0]:.1f} to {p99s[1]:.1f} ms"
    return (
        f"{seconds:.0f} s stopped at {len(asleep) / seconds:.0f} messages/s: the others grew by at "
        f"most {grown:.1f} MiB, p99 of acks {p99s[1]:.1f} ms ({p99s[0]:.1f} before), converged "
        f"{took_s:.1f} s after, 0 of {len(acked)} acked lost"
    )


def _acks_ms(talkers: list[chaos.Talker]) -> list[float]:
    """How long the acks took that came since the last time."""
    took: list[float] = []
    for one in talkers:
        done, one.took_s = one.took_s, []
        took += [1000 * seconds for seconds in done]
    return took


def clients(lab: Lab, count: int, rounds: int) -> str:
    """R8. So many clients, each with its own connection, all at once."""
    lab.write("nodes: [n1]\n").up()
    lab.well("send", "n1", "first")
    process = process_of(lab, "n1")
    files, threads = process.num_fds(), process.num_threads()
    replies = 0
    for number in range(rounds):
        contexts = [zmq.Context() for _ in range(4)]
        sockets = []
        for index in range(count):
            one = contexts[index % 4].socket(zmq.DEALER)
            one.setsockopt(zmq.LINGER, 0)
            one.connect(f"ipc://{lab.place.nodes['n1'].control}")
            one.send(msgspec.msgpack.encode([Post(1, f"c{index}", f"{number} {index}")]))
            sockets.append(one)
        for one in sockets:
            assert one.poll(20_000), "no reply"
            (reply,) = replies_decoder.decode(one.recv())
            assert type(reply) is Accepted, reply
            replies += 1
        for context in contexts:
            context.destroy(linger=0)
    end_s = time.monotonic() + 10
    while process.num_fds() > files and time.monotonic() < end_s:
        time.sleep(0.05)
    left, more = process.num_fds() - files, process.num_threads() - threads
    assert left <= 0 and more == 0, (left, more)
    return (
        f"{rounds} times {count} clients: {replies} acks, 0 lost; files {left:+}, threads {more:+}"
    )


def idle(lab: Lab, limit: int, connections: int) -> str:
    """R9. Raw connections that say nothing, beyond the limit of files of both nodes."""
    lab.write("nodes: [n1, n2]\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for name in ("n1", "n2"):
        command = [sys.executable, "-P", "-m", "node", name, "--file", str(lab.file)]
        starter = f'ulimit -n {limit} && exec "$@"'
        subprocess.Popen(
            ["sh", "-c", starter, "sh", *command],
            cwd=ROOT, env=lab.environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    end_s = time.monotonic() + 15
    while len(lab.chatlab("status", "--json").out.splitlines()) < 2:
        assert time.monotonic() < end_s, "not started"
        time.sleep(0.1)
    address = lab.well("cluster", "ps", "--json").lines[0]["address"].removeprefix("tcp://")
    host, _, port = address.rpartition(":")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, connections + 200), hard))
    held: list[socket.socket] = []
    try:
        for _ in range(connections):
            one = socket.socket()
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect((host, int(port)))
            held.append(one)
        began_s = time.monotonic()
        assert process_of(lab, "n1").rlimit(psutil.RLIMIT_NOFILE)[0] == limit
        lab.well("send", "n2", "through the crowd", "--as", "ana")
        lab.well("wait", "--converged", "--timeout", "30")
        took_s = time.monotonic() - began_s
        process = process_of(lab, "n1")
        while (busy := process.cpu_percent(1.0)) > 10:
            assert time.monotonic() - began_s < 30, f"CPU {busy} %"
        quiet_s = time.monotonic() - began_s
    finally:
        for one in held:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return (
        f"{connections} idle connections at a limit of {limit} files: converged in {took_s:.1f} s, "
        f"CPU {busy:.0f} % after {quiet_s:.0f} s"
    )


def opening(folder: Path, count: int) -> str:
    """R11. A journal of so many records is opened and read to its end, in a process of its own."""
    path = folder / "journal"
    journal, _ = Journal.open(FileStorage(path), "n1", JournalOptions("none"), 1)
    writer = Writer()
    journal.append([writer.opening()])
    for _ in range(count // 1000):
        journal.append(writer.events(1000))
    journal.close(clean=True)
    script = (
        "import sys, time, resource; from pathlib import Path\n"
        "from node.storage.journal import *; from node.storage.files import FileStorage\n"
        "b = time.monotonic()\n"
        "j, f = Journal.open(FileStorage(Path(sys.argv[1])), 'n1', JournalOptions(), 1)\n"
        "o = time.monotonic() - b; n = sum(1 for _ in f.records)\n"
        "print(n, o, time.monotonic() - b, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    records, opened_s, read_s, rss = (float(word) for word in ran.stdout.split())
    assert records == count + 1
    per_million_s = opened_s * 1e6 / count
    assert per_million_s <= 2, f"{per_million_s:.1f} s per million records"
    return (
        f"{count} records opened in {opened_s:.2f} s ({per_million_s:.2f} s per million), read in "
        f"{read_s:.2f} s, at most {rss / 1024:.0f} MiB"
    )


def stopping(lab: Lab) -> str:
    """R11. A second start is refused at once, and SIGTERM ends a node that is busy within 2 s."""
    lab.write("nodes: [n1]\n").up()
    began_s = time.monotonic()
    ran = lab.chatlab("node", "run", "n1")
    refused_s = time.monotonic() - began_s
    assert ran.code == 5 and "already open by pid" in ran.err, ran
    talking = threading.Event()
    talker = threading.Thread(target=_talk, args=(lab, talking), daemon=True)
    talker.start()
    talking.wait(5)
    process = process_of(lab, "n1")
    began_s = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.wait(10)
    ended_s = time.monotonic() - began_s
    talker.join(10)
    assert ended_s <= 2, f"{ended_s:.1f} s"
    return f"second start refused in {refused_s:.2f} s, SIGTERM to the end {ended_s:.2f} s"


def _talk(lab: Lab, talking: threading.Event) -> None:
    with contextlib.suppress(Unreachable), Client("n1", lab.place.nodes["n1"].control) as client:
        for number in range(100_000):
            client.ask(Post(client.new_id(), "ana", f"message {number}"))
            talking.set()
