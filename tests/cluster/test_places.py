"""What happens to the folders and files of running nodes, done by whoever has a shell."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from node.process.pidfile import birth_of
from tests.cluster.conftest import Lab

pytestmark = pytest.mark.cluster
SCRUBS_OFTEN = "scrub_bytes_per_s: 100000000\n"


def notes(lab: Lab, node: str, event: str) -> list[Any]:
    lines = Path(lab.place.nodes[node].log_file).read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["event"] == event]


def test_durable_is_not_said_of_a_journal_that_was_removed(lab: Lab, until: Any) -> None:
    """And the next start does not begin empty in silence, nor does a read restart it empty."""
    lab.write("nodes: [n1]\n").up()
    assert "durable" in lab.well("send", "n1", "one").out
    journal = Path(lab.place.nodes["n1"].journal_dir)
    journal.rename(journal.with_name("away"))
    refused = lab.chatlab("send", "n1", "two")
    assert refused.code == 5 and "moved, removed or replaced while the node ran" in refused.err
    assert notes(lab, "n1", "storage_failed")
    assert lab.well("status", "n1", "--json").json["state"] == "read_only"
    lab.chatlab("timeline", "n1")  # whatever it says: no empty life begins
    started = lab.chatlab("cluster", "restart", "n1")
    assert started.code != 0 and "is not there: put it back" in started.err, started
    assert "exited 5" in started.err
    assert not journal.exists()  # nothing was made in its place
    journal.with_name("away").rename(journal)
    lab.well("cluster", "up", "-d")
    assert [one["text"] for one in lab.well("timeline", "n1", "--json").lines] == ["one"]
    # To begin anew is a wish of its own.
    shutil.rmtree(lab.place.nodes["n1"].dir)
    lab.cluster.stop(["n1"])
    assert lab.chatlab("cluster", "up", "-d").code != 0
    lab.well("cluster", "wipe", "n1")
    lab.well("cluster", "up", "-d")
    assert lab.well("timeline", "n1", "--json").lines == []


def test_a_node_that_says_nothing_notices_too(lab: Lab, until: Any) -> None:
    lab.write(f"nodes: [n1]\n{SCRUBS_OFTEN}").up()
    lab.well("send", "n1", "one")
    segment = Path(lab.place.nodes["n1"].journal_dir, "00000001.seg")
    segment.write_bytes(b"")
    until(lambda: notes(lab, "n1", "storage_failed"), timeout_s=20)
    assert "was cut: 0 of" in notes(lab, "n1", "storage_failed")[0]["reason"]
    lab.well("cluster", "down")
    verified = lab.chatlab("journal", "verify", str(segment.parent))
    assert verified.code == 7 and "00000001.seg is empty" in verified.out + verified.err
    lab.well("cluster", "up", "-d")
    (told,) = notes(lab, "n1", "journal_quarantined")
    assert told["level"] == "error"


def test_nodes_whose_folder_is_gone_end_by_themselves(lab: Lab, until: Any) -> None:
    """No command reaches them any more."""
    lab.write(f"nodes: [n1, n2]\n{SCRUBS_OFTEN}").up()
    records = [lab.cluster.process(name) for name in ("n1", "n2")]
    assert all(records)
    root = Path(lab.place.root)
    root.rename(root.with_name("elsewhere"))
    until(lambda: not any(birth_of(r.pid) == r.birth for r in records if r), timeout_s=20)
    told = (root.with_name("elsewhere") / "n1" / "stderr.txt").read_text()
    assert "moved, removed or replaced" in told


# --- sockets -------------------------------------------------------------------------------------


@pytest.fixture
def deep(lab: Lab) -> Lab:
    """So deep that the sockets are in a short folder of their own."""
    folder = lab.folder / ("d" * 80)
    folder.mkdir()
    made = Lab(folder)
    made.write("nodes: [n1]\n")
    assert not made.place.nodes["n1"].control.startswith(str(lab.folder))
    return made


@pytest.mark.parametrize("what", ["control", "launcher", "all"])
def test_sockets_that_a_cleaner_removes_are_bound_again(deep: Lab, until: Any, what: str) -> None:
    deep.up()
    at, sockets = deep.place.nodes["n1"], Path(deep.place.launcher_socket).parent
    pid = deep.cluster.process("n1")
    if what == "control":
        Path(at.control).unlink()
    elif what == "launcher":
        Path(deep.place.launcher_socket).unlink()
    else:
        shutil.rmtree(sockets)
    again = deep.well("cluster", "up", "-d")
    assert "running" in again.out and "starting" not in again.out
    until(lambda: Path(deep.place.launcher_socket).exists() and Path(at.feed).exists())
    deep.well("send", "n1", "hello")
    assert deep.cluster.process("n1") == pid and pid is not None
    assert deep.cluster.launcher_runs()
    if what == "all":
        assert {Path(one["path"]).name for one in notes(deep, "n1", "socket_rebound")} == {
            "control",
            "feed",
        }


def test_a_node_that_runs_and_does_not_answer_is_one_line(lab: Lab) -> None:
    lab.write("nodes: [n1]\n").up()
    control = Path(lab.place.nodes["n1"].control)
    control.unlink()
    control.mkdir()  # so that it cannot be bound again
    ran = lab.chatlab("cluster", "up", "-d")
    assert ran.code == 4 and ran.err.splitlines()[-1].startswith("chatlab: n1 runs and does not")
    assert "chatlab cluster restart n1" in ran.err
    control.rmdir()


def test_a_cluster_is_the_same_by_whichever_link_one_comes(deep: Lab) -> None:
    deep.up()
    link = deep.folder.parent / "link"
    link.symlink_to(deep.folder)
    other = Lab(link)
    # No PWD: the shell's spelling of the folder is gone, as under a service manager.
    assert "running" in other.well("cluster", "ps").out
    other.well("-f", str(link / "cluster.yaml"), "send", "n1", "hello")
    again = other.well("-f", str(link / "cluster.yaml"), "cluster", "up", "-d")
    assert "all of it was running already" in again.err
    assert Lab(link).cluster.down() == 1


# --- names and contents --------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [0, 80])
def test_a_folder_whose_name_is_no_utf8_works(lab: Lab, depth: int) -> None:
    raw = os.fsencode(lab.folder) + b"/caf\xe9" + b"d" * depth
    os.mkdir(raw)
    odd = Lab(Path(os.fsdecode(raw)))
    odd.write("nodes: [n1, n2]\n")
    odd.well("cluster", "up", "-d")
    odd.well("send", "n1", "hello")
    odd.well("wait", "--converged", "--timeout", "20")
    assert [one["text"] for one in odd.well("timeline", "n2", "--json").lines] == ["hello"]
    odd.well("logs", "--json")
    odd.well("cluster", "kill", "n2")
    Path(odd.place.nodes["n2"].journal_dir).rename(odd.folder / "away")
    gone = odd.chatlab("cluster", "restart", "n2")
    assert gone.code == 5 and "caf\\xe9" in gone.err
    odd.well("cluster", "down", "--wipe")


def test_a_cluster_file_whose_name_is_no_utf8_works(lab: Lab) -> None:
    name = os.fsdecode(b"caf\xe9.yaml")
    (lab.folder / name).write_text("nodes: [n1]\n")
    lab.well("-f", name, "cluster", "up", "-d")
    lab.well("-f", name, "send", "n1", "hello")
    assert "stopped 1 node" in lab.well("-f", name, "cluster", "down").out


def test_a_line_of_odd_bytes_does_not_end_the_logs(lab: Lab) -> None:
    lab.write("nodes: [n1, n2]\n").up()
    log = Path(lab.place.nodes["n1"].log_file)
    odd = [b"\xff\xfe", b'{"event": "x", "text": "\xff"}', b"\0\0\0", b"[1]", b'{"ts": [\xc3']
    with log.open("ab") as file:
        file.write(b"\n".join(odd) + b"\n")
    lab.cluster.stop(["n1"])
    for arguments in (("logs",), ("logs", "--json"), ("logs", "--grep", "node_stopped")):
        out = lab.well(*arguments).out
        assert "node_stopped" in out, arguments
    assert lab.well("logs").out.count("not_json") == len(odd)


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\xff", b"[]", b'{"n1": 7}'])
def test_an_address_book_that_is_none_is_wrong_configuration(lab: Lab, data: bytes) -> None:
    lab.write("nodes: [n1]\n").up()
    lab.cluster.down()
    Path(lab.place.address_book).write_bytes(data)
    ran = lab.chatlab("cluster", "up", "-d")
    assert ran.code == 2 and "nodes.json: is not an address book" in ran.err, ran
    assert ran.err.count("\n") == 1
    Path(lab.place.address_book).unlink()
    lab.well("cluster", "up", "-d")


def test_a_home_of_nobody_is_wrong_configuration(lab: Lab) -> None:
    lab.write("nodes: [n1]\ndata_dir: ~nobody-there/x\n")
    ran = lab.chatlab("cluster", "ps")
    assert ran.code == 2 and ran.err.startswith("chatlab: data_dir: ")


def test_another_content_of_the_same_size_and_time_is_noticed(lab: Lab) -> None:
    def write(text: str) -> None:
        lab.write(text)
        os.utime(lab.file, (1, 1))

    write("nodes: [n1, n2]\n")
    assert [one["node"] for one in lab.well("cluster", "ps", "--json").lines] == ["n1", "n2"]
    write("nodes: [n1, n3]\n")
    assert [one["node"] for one in lab.well("cluster", "ps", "--json").lines] == ["n1", "n3"]


# --- a start that fails --------------------------------------------------------------------------


def test_a_failed_start_tells_its_own_reason_only(lab: Lab) -> None:
    lab.write("nodes: [n1]\n").up()
    lab.cluster.down()
    at = lab.place.nodes["n1"]
    book = Path(lab.place.address_book)
    before = book.read_bytes()
    Path(at.pid_file).mkdir()
    first = lab.chatlab("cluster", "up", "-d")
    assert first.code == 5 and "node.pid" in first.err
    Path(at.pid_file).rmdir()
    assert book.read_bytes() == before
    journal = Path(at.journal_dir)
    journal.rename(journal.with_name("away"))
    second = lab.chatlab("cluster", "up", "-d")
    assert second.code == 5 and "is not there: put it back" in second.err
    assert "node.pid" not in second.err


def test_a_foreground_start_that_fails_leaves_nothing_running(lab: Lab) -> None:
    lab.write("nodes: [n1, n2]\n").up()
    lab.cluster.down()
    Path(lab.place.nodes["n2"].pid_file).mkdir()
    ran = lab.chatlab("cluster", "up")
    assert ran.code == 5 and "stopped again: n1" in ran.err
    assert lab.cluster.running() == []


def test_nobody_reads_the_foreground_any_more(lab: Lab, until: Any) -> None:
    """As with `cluster up | head -1`: it ends, and what it started does too."""
    import subprocess

    lab.write("nodes: [n1]\n")
    process = subprocess.Popen(
        lab.command("cluster", "up"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=lab.folder,
        env=lab.environment,
    )
    assert process.stdout is not None
    until(lambda: lab.cluster.running() == ["n1"], timeout_s=20)
    process.stdout.close()
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        lab.chatlab("cluster", "heal")  # something is logged
        os.kill(lab.cluster.signal("n1", signal.SIGHUP).pid, 0) if lab.cluster.running() else None
        time.sleep(0.2)
    assert process.wait(5) == 0
    until(lambda: lab.cluster.running() == [])


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_another_user_in_the_folder_is_told_whose_it_is(lab: Lab) -> None:
    lab.write("nodes: [n1]\n").up()
    os.chmod(lab.folder, 0o755)
    code = (
        "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from lab.cli import main; sys.exit(main())"
    )
    import subprocess

    for arguments in (["cluster", "ps"], ["cluster", "up", "-d"], ["send", "n1", "x"], ["logs"]):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *arguments],
            capture_output=True,
            cwd=lab.folder,
            env=lab.environment | {"HOME": "/nonexistent"},
            check=False,
        )
        err = done.stderr.decode()
        assert done.returncode in (2, 5) and "belongs to user root" in err, (arguments, err)
        assert err.count("\n") == 1
