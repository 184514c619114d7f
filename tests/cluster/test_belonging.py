"""Which cluster a folder, a process and a packet belong to: what is another's is left alone."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.client.location import parse
from lab.cluster.processes import wait_gone
from tests.cluster.complaints import complains
from tests.cluster.conftest import Ran

pytestmark = pytest.mark.cluster


def texts(lab: Any, node: str, *before: str) -> list[str]:
    lines = lab.well(*before, "timeline", node, "--json").lines
    return [one["text"] for one in lines if one.get("text")]


def id_of(file: Path) -> str:
    mark = parse(file).mark
    assert mark is not None
    return mark.id


def end_launcher(lab: Any, until: Any) -> None:
    """As a crash of it would: the nodes go on."""
    pid = lab.cluster.process("n1").pid
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    until(lambda: not lab.cluster.launcher_runs())


# --- two files, one folder ------------------------------------------------------------------------


def test_state_of_another_file_is_not_used_stopped_or_removed(lab: Any) -> None:
    lab.write("nodes: [n1, n2, n3]\n")
    other = lab.folder / "b.yaml"
    other.write_text("nodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    lab.well("send", "n3", "kept")
    for words in (
        ("cluster", "up", "-d"),
        ("cluster", "up", "-d", "--fresh"),
        ("cluster", "down", "--wipe"),
        ("cluster", "wipe", "n1"),
        ("cluster", "kill", "n1"),
        ("cluster", "ps"),
        ("send", "n1", "stray"),
        ("node", "run", "n2"),
    ):
        said = lab.chatlab("-f", "b.yaml", *words)
        complains(said, 2, str(lab.file))
        assert "b.yaml" in said.err, said
    assert len(lab.cluster.running()) == 3
    assert texts(lab, "n3") == ["kept"]


def test_with_a_name_of_its_own_the_other_file_has_its_own_state(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    (lab.folder / "b.yaml").write_text("name: b\nnodes: [n1]\n")
    lab.well("cluster", "up", "-d")
    lab.well("-f", "b.yaml", "cluster", "up", "-d")
    lab.well("send", "n1", "of a")
    lab.well("-f", "b.yaml", "send", "n1", "of b")
    assert (texts(lab, "n1"), texts(lab, "n1", "-f", "b.yaml")) == (["of a"], ["of b"])
    lab.well("-f", "b.yaml", "cluster", "down", "--wipe")
    assert texts(lab, "n1") == ["of a"]


# --- what is not ours -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("cluster", "up", "-d"),
        ("cluster", "up", "-d", "--fresh"),
        ("cluster", "down", "--wipe"),
        ("cluster", "wipe", "n1"),
        ("node", "run", "n1"),
    ],
)
def test_a_folder_that_is_not_ours_is_neither_used_nor_removed(lab: Any, words: Any) -> None:
    lab.write("name: homework\ndata_dir: .\nnodes: [n1]\n")
    thesis = lab.folder / "homework" / "n1" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("all of it")
    thesis.parent.chmod(0o755)
    complains(lab.chatlab(*words), 2, "homework")
    assert thesis.read_text() == "all of it"
    assert thesis.parent.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in thesis.parent.iterdir()] == ["thesis.txt"]


def test_wiping_leaves_what_somebody_put_into_our_folder_and_says_so(lab: Any) -> None:
    lab.write("name: homework\ndata_dir: .\nnodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    root = lab.folder / "homework"
    (root / "notes.txt").write_text("mine")
    (root / "n1" / "more.txt").write_text("mine too")
    said = lab.well("cluster", "down", "--wipe")
    assert "notes.txt" in said.out and "more.txt" in said.out and "not chatlab's" in said.out
    left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert left == {"notes.txt", "n1/more.txt", "cluster.json"}
    (root / "n1" / "more.txt").unlink()
    lab.well("cluster", "up", "-d")


def test_a_state_folder_that_is_a_link_is_emptied_and_its_leftovers_are_told(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    disk = lab.folder / "disk"
    disk.mkdir()
    (lab.folder / ".chatlab").mkdir()
    (lab.folder / ".chatlab" / "chatlab").symlink_to(disk)
    lab.well("cluster", "up", "-d")
    (disk / "own.txt").write_text("mine")
    assert "own.txt" in lab.well("cluster", "down", "--wipe").out
    assert {path.name for path in disk.iterdir()} == {"own.txt", "cluster.json"}


def test_all_that_was_made_is_removed_also_the_sockets_of_a_deep_folder(lab: Any) -> None:
    deep = lab.folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    file = deep / "cluster.yaml"
    file.write_text("trace: true\nnodes: [n1, n2]\n")
    there = "-f", str(file)
    lab.well(*there, "cluster", "up", "-d")
    sockets = Path(parse(file).launcher_socket).parent
    assert sockets.parent == Path("/tmp")
    lab.well(*there, "send", "n1", "hello", "--ack", "replicated:1")
    lab.well(*there, "cluster", "partition", "n1", "n2")
    lab.well(*there, "cluster", "kill", "n1")
    lab.well(*there, "cluster", "restart", "n1")
    said = lab.well(*there, "cluster", "down", "--wipe")
    root = Path(parse(file).root)
    assert said.out.splitlines()[-1] == f"removed {root}"
    assert not root.exists() and not sockets.exists()


def test_a_link_out_of_the_folder_is_not_followed_and_nothing_is_said_to_be_gone(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    root, disk = Path(lab.place.root), lab.folder / "disk"
    disk.mkdir(mode=0o700)
    lab.well("cluster", "up", "-d")
    lab.well("cluster", "down")
    lab.well("cluster", "wipe", "n2")
    (root / "n2").symlink_to(disk)
    lab.well("cluster", "up", "-d")
    lab.well("send", "n2", "on the other disk", "--ack", "durable")
    said = lab.chatlab("cluster", "wipe", "n2")
    complains(said, 2, "link")
    assert "n2" in lab.cluster.running()
    said = lab.chatlab("cluster", "down", "--wipe")
    complains(said, 5, "link")
    assert (disk / "journal").is_dir() and not (root / "n1").exists()
    lab.well("cluster", "up", "-d")
    assert "on the other disk" in texts(lab, "n2")


# --- nodes that have left the file ----------------------------------------------------------------


@pytest.mark.parametrize("launcher", ["there", "gone"])
def test_a_node_that_left_the_file_is_shown_stopped_and_kept(
    lab: Any, until: Any, launcher: str
) -> None:
    lab.write("nodes: [n1, n2, n3]\n")
    lab.well("cluster", "up", "-d")
    lab.well("send", "n3", "mine", "--ack", "durable")
    if launcher == "gone":
        end_launcher(lab, until)
    record = lab.cluster.process("n3")
    lab.write("nodes: [n1, n2]\n")
    seen = {one["node"]: one for one in lab.well("cluster", "ps", "--json").lines}
    assert seen["n3"]["pid"] == record.pid and not seen["n3"]["in_file"] and seen["n1"]["in_file"]
    assert "not in the file" in lab.well("cluster", "ps").out
    said = lab.well("cluster", "down", "--wipe")
    assert "stopped 3 nodes (n3: not in the file)" in said.out
    assert not wait_gone([record], 0)
    root = Path(lab.place.root)
    assert (root / "n3" / "journal").is_dir() and not (root / "n1").exists()
    assert "chatlab cluster wipe n3" in said.out
    lab.well("cluster", "wipe", "n3")
    assert not (root / "n3").exists()


def test_a_stored_partition_that_names_a_former_node_stops_no_start(lab: Any) -> None:
    lab.write("nodes: [n1, n2, n3]\n")
    lab.well("cluster", "up", "-d")
    lab.well("cluster", "partition", "n1,n2", "n3")
    lab.well("cluster", "down")
    lab.write("nodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    lab.well("cluster", "restart", "n1")
    lab.well("send", "n1", "hello", "--ack", "replicated:1")


# --- moved, copied, removed -----------------------------------------------------------------------


def test_a_copy_is_refused_while_the_original_runs_and_is_another_cluster_afterwards(
    lab: Any, tmp_path: Path
) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    lab.well("send", "n1", "before", "--ack", "replicated:1")
    copy = lab.folder / "copy"
    copy.mkdir()
    shutil.copy(lab.file, copy)
    os.system(f"cp -a {lab.folder}/.chatlab {copy}/")
    there = "-f", "copy/cluster.yaml"
    seen = lab.well(*there, "cluster", "ps", "--json").lines
    assert [one["pid"] for one in seen] == [None, None]
    complains(lab.chatlab(*there, "cluster", "up", "-d"), 2, str(lab.folder / ".chatlab"))
    complains(lab.chatlab(*there, "node", "run", "n1"), 2, "copy")
    assert "no node was running" in lab.well(*there, "cluster", "down").out
    assert len(lab.cluster.running()) == 2
    lab.well("cluster", "down")
    said = lab.well(*there, "cluster", "up", "-d")
    assert "a cluster of its own" in said.err
    assert id_of(lab.file) != id_of(copy / "cluster.yaml")
    lab.well("cluster", "up", "-d")
    lab.well(*there, "send", "n1", "of the copy", "--ack", "replicated:1")
    assert texts(lab, "n1") == ["before"]


def test_a_moved_folder_keeps_its_id_and_says_so(lab: Any) -> None:
    old, new = lab.folder / "old", lab.folder / "new"
    old.mkdir()
    (old / "cluster.yaml").write_text("nodes: [n1]\n")
    lab.well("-f", "old/cluster.yaml", "cluster", "up", "-d")
    lab.well("-f", "old/cluster.yaml", "send", "n1", "kept")
    lab.well("-f", "old/cluster.yaml", "cluster", "down")
    before = id_of(old / "cluster.yaml")
    old.rename(new)
    said = lab.well("-f", "new/cluster.yaml", "cluster", "up", "-d")
    assert before == id_of(new / "cluster.yaml") and f"it stays cluster {before}" in said.err
    assert texts(lab, "n1", "-f", "new/cluster.yaml") == ["kept"]
    (new / "cluster.yaml").rename(new / "c.yaml")
    lab.well("-f", "new/c.yaml", "cluster", "up", "-d")
    assert id_of(new / "c.yaml") == before
    lab.well("-f", "new/c.yaml", "cluster", "restart", "n1")


@pytest.mark.parametrize("moving", [shutil.move, shutil.copytree])
def test_another_file_gets_no_state_that_was_moved_or_copied_with_its_own(
    lab: Any, moving: Callable[[Path, Path], object]
) -> None:
    """Whichever of the two comes first: a chaos of 60 s found that it was the other one once."""
    old, new = lab.folder / "old", lab.folder / "new"
    old.mkdir()
    for name in ("cluster.yaml", "other.yaml"):
        (old / name).write_text("name: one\nnodes: [n1]\n")
    lab.well("-f", "old/cluster.yaml", "cluster", "up", "-d")
    lab.well("-f", "old/cluster.yaml", "send", "n1", "kept")
    lab.well("-f", "old/cluster.yaml", "cluster", "down")
    moving(old, new)
    for words in (("up", "-d"), ("down", "--wipe"), ("wipe", "n1")):
        refused = lab.chatlab("-f", "new/other.yaml", "cluster", *words)
        assert refused.code == 2 and str(new / "cluster.yaml") in refused.err, (words, refused)
    lab.well("-f", "new/cluster.yaml", "cluster", "up", "-d")
    assert texts(lab, "n1", "-f", "new/cluster.yaml") == ["kept"]


def test_removing_the_folder_ends_the_nodes(lab: Any, until: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    records = [lab.cluster.process(name) for name in ("n1", "n2")]
    shutil.rmtree(lab.folder / ".chatlab")
    until(lambda: not wait_gone(records, 0.1))
    assert not (lab.folder / ".chatlab" / "chatlab").exists()
    lab.well("cluster", "up", "-d")
    assert len(lab.cluster.running()) == 2


# --- a file that has changed ----------------------------------------------------------------------


def peers_of(lab: Any, node: str) -> set[str]:
    peers = lab.well("status", node, "--json").json["peers"]
    return {name for name, one in peers.items() if one["state"] == "alive"}


def pids(lab: Any) -> dict[str, int]:
    return {one["node"]: one["pid"] for one in lab.well("cluster", "ps", "--json").lines}


def test_a_node_added_to_the_file_is_taken_in_by_those_that_run(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    lab.well("send", "n1", "before")
    lab.well("cluster", "fault", "n1", "--delay", "1ms")
    before = pids(lab)
    lab.write("nodes: [n1, n2, n3]\n")
    said = lab.well("cluster", "up", "-d")
    assert "n1 has taken over: peers" in said.err and "n2 has taken over: peers" in said.err
    after = pids(lab)
    assert {name: after[name] for name in before} == before, "no process was restarted"
    lab.well("send", "n3", "from the new one", "--ack", "replicated:2", "--timeout", "10")
    lab.well("wait", "--converged", "--timeout", "20")
    assert set(texts(lab, "n3")) == set(texts(lab, "n1")) == {"before", "from the new one"}
    assert peers_of(lab, "n1") == {"n2", "n3"}
    seen = {one["node"]: one for one in lab.well("cluster", "ps", "--json").lines}
    assert seen["n1"]["faults"], "what was put on a link stays"
    lab.write("nodes: [n1, n2]\n")
    lab.well("cluster", "kill", "n3")
    lab.well("cluster", "up", "-d")
    assert peers_of(lab, "n1") == {"n2"}
    seen = {one["node"]: one for one in lab.well("cluster", "ps", "--json").lines}
    assert (seen["n1"]["peers"], seen["n1"]["alive_peers"]) == (1, 1)


def test_settings_are_taken_over_or_told(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    lab.well("send", "n1", "before")
    before = pids(lab)
    lab.write("nodes: [n1, n2]\ndurability: interval\nquiet_ms: 100\ngossip: {round_ms: 100}\n")
    said = lab.well("cluster", "up", "-d")
    assert "n1 has taken over: durability, gossip.round_ms, quiet_ms" in said.err
    assert pids(lab) == before
    status = lab.well("status", "n1", "--json").json
    assert status["durability"] == "interval" and status["settings"]["quiet_ms"] == "100"
    assert "running already" in lab.well("cluster", "up", "-d").err
    assert texts(lab, "n1") == ["before"]


def test_what_is_not_taken_over_is_told_and_applied_by_a_restart(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    before = pids(lab)
    other = "-f", "other.yaml"
    lab.file.rename(lab.folder / "other.yaml")  # the nodes know its old name
    (lab.folder / "other.yaml").write_text("nodes: [n1, n2]\nquiet_ms: 100\n")
    said = lab.chatlab(*other, "cluster", "up", "-d")
    assert said.code == 1 and "n1 (quiet_ms)" in said.err and "--apply" in said.err, said
    said = lab.well(*other, "cluster", "up", "-d", "--apply")
    assert "n1 was restarted: quiet_ms" in said.err
    after = {one["node"]: one["pid"] for one in lab.well(*other, "cluster", "ps", "--json").lines}
    assert not set(before.values()) & set(after.values())
    assert lab.well(*other, "status", "n2", "--json").json["settings"]["quiet_ms"] == "100"


def test_a_paused_node_reads_the_file_when_it_is_resumed(lab: Any, until: Any) -> None:
    lab.write("nodes: [n1]\n")
    lab.well("cluster", "up", "-d")
    lab.well("cluster", "pause", "n1")
    lab.write("nodes: [n1]\nquiet_ms: 100\n")
    assert "n1 is paused" in lab.well("cluster", "up", "-d").err
    lab.well("cluster", "resume", "n1")

    def taken() -> bool:
        said = lab.chatlab("status", "n1", "--json")
        return bool(said.code == 0 and said.json["settings"]["quiet_ms"] == "100")

    until(taken)


@pytest.mark.parametrize("line", ["name: other", "data_dir: elsewhere"])
def test_a_cluster_that_keeps_its_state_elsewhere_by_now_is_not_lost(lab: Any, line: str) -> None:
    lab.write("nodes: [n1]\n")
    lab.well("cluster", "up", "-d")
    record = lab.cluster.process("n1")
    lab.write(f"{line}\nnodes: [n1]\n")
    assert "n1 of this file run under its former name" in lab.well("cluster", "ps").err
    complains(lab.chatlab("cluster", "up", "-d"), 2, str(lab.folder / ".chatlab" / "chatlab"))
    assert "stopped 1 node" in lab.well("cluster", "down").out
    assert not wait_gone([record], 0)
    lab.well("cluster", "up", "-d")


def test_a_launcher_outlives_a_former_node(lab: Any, until: Any) -> None:
    lab.write("restart: always\nnodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    lab.write("restart: always\nnodes: [n1]\n")
    lab.well("cluster", "up", "-d")
    assert "not in the file" in lab.well("cluster", "kill", "n2").out
    until(lambda: state_of_node(lab, "n2") == "down")
    before = pids(lab)["n1"]
    lab.well("cluster", "kill", "n1")
    until(lambda: state_of_node(lab, "n1") == "running" and pids(lab)["n1"] != before)


def test_a_launcher_is_renewed_and_the_nodes_go_on(lab: Any) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    before = pids(lab)
    lab.cluster.renew_launcher()
    assert not lab.cluster.launcher_runs()
    assert pids(lab) == before
    lab.well("cluster", "restart", "n2")
    assert lab.cluster.launcher_runs() and pids(lab)["n1"] == before["n1"]


def test_the_launcher_takes_a_changed_budget_over(lab: Any, until: Any) -> None:
    lab.write("restart: always\nnodes: [n1]\n")
    lab.well("cluster", "up", "-d")
    lab.write("restart: always\nrestarts: {budget: 0}\nnodes: [n1]\n")
    assert "n1 has taken over: restarts.budget" in lab.well("cluster", "up", "-d").err
    lab.well("cluster", "kill", "n1")
    until(lambda: state_of_node(lab, "n1") == "failed")


def state_of_node(lab: Any, node: str) -> str:
    seen = lab.well("cluster", "ps", "--json").lines
    return next(str(one["state"]) for one in seen if one["node"] == node)


def test_a_generated_cluster_does_not_hide_one_that_runs(lab: Any) -> None:
    lab.write("nodes: [a]\n")
    lab.well("cluster", "up", "-d")
    complains(lab.chatlab("cluster", "up", "-n", "3", "-d"), 2, "cluster.yaml")
    assert [one["node"] for one in lab.well("cluster", "ps", "--json").lines] == ["a"]


# --- packets --------------------------------------------------------------------------------------


def test_a_node_at_an_address_of_another_cluster_is_refused_and_both_are_named(
    lab: Any, until: Any
) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.well("cluster", "up", "-d")
    addresses = {one["node"]: one["address"] for one in lab.well("cluster", "ps", "--json").lines}
    other = lab.folder / "other"
    other.mkdir()
    taken = addresses["n2"].removeprefix("tcp://")
    (other / "cluster.yaml").write_text(
        f"nodes: [n1, {{name: n2, listen: '{taken}'}}]\n", encoding="utf-8"
    )
    there = "-f", "other/cluster.yaml"
    said = lab.chatlab(*there, "cluster", "up", "-d")
    assert said.code == 1 and "in use" in said.err, said
    shown = {one["node"]: one for one in lab.well(*there, "cluster", "ps", "--json").lines}
    assert shown["n2"]["address"] == f"tcp://{taken}"
    lab.well(*there, "send", "n1", "a word of b")

    def refused() -> Any:
        return lab.well("status", "n2", "--json").json["counters"].get("rejected_cluster", 0)

    until(refused)
    told = [
        one for one in lab.well("logs", "n2", "--json").lines if one["event"] == "frame_rejected"
    ]
    ours, theirs = id_of(lab.file)[:8], id_of(other / "cluster.yaml")[:8]
    assert ours in told[0]["detail"] and theirs in told[0]["detail"], told[0]
    lab.well("send", "n1", "a word of a", "--ack", "replicated:1")
    assert texts(lab, "n2") == ["a word of a"]
    assert texts(lab, "n1", *there) == ["a word of b"]


# --- another user ---------------------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("file", ["cluster.yaml", "generated"])
def test_a_second_user_is_told_whose_cluster_it_is(lab: Any, file: str) -> None:
    if file == "cluster.yaml":
        lab.write("nodes: [n1]\n")
    lab.well("cluster", "up", "-d")
    lab.folder.chmod(0o755)
    for words in (
        ("cluster", "ps"),
        ("cluster", "up", "-d"),
        ("cluster", "up", "-d", "--fresh"),
        ("cluster", "down", "--wipe"),
        ("cluster", "wipe", "n1"),
        ("send", "n1", "hello"),
        ("timeline", "n1"),
        ("node", "run", "n1"),
    ):
        done = subprocess.run(
            lab.command(*words),
            cwd=lab.folder,
            env=lab.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            user=65534,
            group=65534,
            extra_groups=(),
            timeout=60,
            check=False,
        )
        complains(Ran(done.returncode, done.stdout.decode(), done.stderr.decode()), 2, "user root")
    seen = lab.well("cluster", "ps", "--json").lines
    assert {one["state"] for one in seen} == {"running"}
