"""What `scripts/bootstrap` does to a .venv, with an installer that only says what it is asked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UV = """#!/bin/sh
echo "uv $*" >>"$SAID"
if [ "$1" = venv ]; then
    for folder; do :; done
    mkdir -p "$folder/bin"
    ln -s "$REAL" "$folder/bin/python"
fi
if [ -n "${FAILS:-}" ]; then exit 1; fi
"""


class Checkout:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "bootstrap", folder / "scripts" / "bootstrap")
        for name in ("domain", "gossip", "node", "lab"):
            (folder / name).mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        (self.bin / "uv").write_text(UV)
        (self.bin / "uv").chmod(0o755)
        self.said = folder / "said"

    def bootstrap(self, *arguments: str, **more: str) -> list[str]:
        """What the installer was asked to do, each in two words."""
        self.said.write_text("")
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}", "SAID": str(self.said)}
        done = subprocess.run(
            [self.folder / "scripts" / "bootstrap", *arguments],
            env=environment | {"REAL": sys.executable, "PYTHON": sys.executable} | more,
            capture_output=True,
            check=False,
        )
        assert (done.returncode == 0) == ("FAILS" not in more), done.stderr
        words = [line.split() for line in self.said.read_text().splitlines()]
        return [f"{one[1]} {one[-1]}" if one[1] == "venv" else f"pip {one[-1]}" for one in words]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_what_developing_needs_is_added_to_what_running_needs(checkout: Checkout) -> None:
    assert checkout.bootstrap("--no-dev") == ["venv .venv", "pip requirements.lock", "pip ."]
    kept = checkout.folder / ".venv" / "kept"
    kept.touch()
    assert checkout.bootstrap() == ["pip requirements-dev.lock"]
    assert kept.exists()
    for arguments in ((), ("--no-dev",)):  # it has both now
        assert checkout.bootstrap(*arguments) == []


def test_adding_that_failed_is_tried_again_and_running_goes_on(checkout: Checkout) -> None:
    checkout.bootstrap("--no-dev")
    assert checkout.bootstrap(FAILS="1") == ["pip requirements-dev.lock"]
    assert checkout.bootstrap("--no-dev") == []
    assert checkout.bootstrap() == ["pip requirements-dev.lock"]


def test_other_locks_make_all_of_it_anew(checkout: Checkout) -> None:
    checkout.bootstrap("--no-dev")
    kept = checkout.folder / ".venv" / "kept"
    kept.touch()
    with (checkout.folder / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert checkout.bootstrap()[0] == "venv .venv"
    assert not kept.exists()
