"""`python -m tests.reliability.fulldisk`, in a mount namespace: a node on a full disk, then on one
that is read-only. Prints one JSON object."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.cluster.conftest import Lab, Ran

TEXT = "x" * 3000


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def fill(path: Path, leave_bytes: int) -> None:
    stat = os.statvfs(path.parent)
    with path.open("wb") as ballast:
        ballast.write(bytes(max(stat.f_bavail * stat.f_frsize - leave_bytes, 0)))


def one_line(ran: Ran, *words: str) -> None:
    assert ran.code, ran
    assert len(ran.err.splitlines()) == 1 and "Traceback" not in ran.err, ran.err
    assert any(word in ran.err for word in words), ran.err


def full(lab: Lab, data: Path) -> dict[str, int]:
    acked: list[str] = []
    refused = 0

    def say(text: str) -> Ran:
        ran = lab.chatlab("send", "n1", text, "--as", "ana")
        if ran.code == 0:
            acked.append(text)
        return ran

    for number in range(3):
        say(f"before {number}")
    before = len(acked)
    fill(data / "ballast", 20_000)
    for number in range(12):
        ran = say(f"{number} {TEXT}")
        if ran.code:
            refused += 1
            one_line(ran, "No space left", "disk")
            assert ran.code == 5, ran
    lab.well("timeline", "n1")  # reading goes on
    started_full = restarted_while_full(lab, acked)
    (data / "ballast").unlink()
    if not started_full:
        lab.up()
    end_s = time.monotonic() + 10
    while say("again").code:  # by itself, as soon as something has been written again
        assert time.monotonic() < end_s, "the node does not take messages again"
    for number in range(3):
        one = say(f"after {number}")
        assert one.code == 0, one
    lab.cluster.kill("n1")
    lab.up()
    lost = len(set(acked) - texts(lab))
    return {
        "started_full": int(started_full),
        "acked_before": before,
        "refused": refused,
        "acked_after": 3,
        "lost": lost,
    }


def texts(lab: Lab) -> set[str]:
    return {item["text"] for item in lab.well("timeline", "n1", "--json").lines}


def restarted_while_full(lab: Lab, acked: list[str]) -> bool:
    """Killed on a full disk and started there. Either it serves what it holds and refuses what
    it cannot keep, or it does not start, in one line; then nothing was changed."""
    lab.cluster.kill("n1")
    (started,) = lab.cluster.up(["n1"])
    if started.state != "running":
        one_line(lab.chatlab("node", "run", "n1"), "No space left")
        return False
    assert set(acked) <= texts(lab)
    return True


def read_only(lab: Lab, data: Path) -> None:
    lab.well("cluster", "down")
    end_s = time.monotonic() + 10
    while True:  # the nodes have ended; the launcher is about to, and still has its log open
        try:
            mount("-o", "remount,ro", str(data))
            break
        except subprocess.CalledProcessError:
            assert time.monotonic() < end_s, "something goes on writing after `cluster down`"
            time.sleep(0.05)
    one_line(lab.chatlab("node", "run", "n1"), "ead-only file system")
    mount("-o", "remount,rw", str(data))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp") as folder:
        lab = Lab(Path(folder))
        data = Path(folder, "data")
        data.mkdir()
        mount("-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", str(data))
        lab.write(f"nodes: [n1]\ndata_dir: {data}\n")
        try:
            lab.up()
            told = full(lab, data)
            read_only(lab, data)
        finally:
            lab.clean()
            subprocess.run(["umount", "-l", str(data)], check=False)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
