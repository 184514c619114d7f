"""Checks of repair: a copy of a journal is damaged; `verify` must find the damage, `repair` must
remove it, and the result must be sound.

`report` is called with one line of text for each thing that is wrong. The node has stopped, and its
own journal is only read.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from lab.client.location import NodeLocation
from node.storage.repair import repair
from node.storage.verify import Report, examine, inspect

TORN = b"\x2a" * 37
Reporter = Callable[[str], None]


def mend(at: NodeLocation, report: Reporter) -> None:
    with tempfile.TemporaryDirectory(prefix="chatlab-repairs-") as folder:
        whole = Path(folder, "whole")
        shutil.copytree(at.journal_dir, whole)
        before = examine(whole)
        for name, damage, lost in (("torn", _tear, False), ("flipped", _flip, True)):
            copy = Path(folder, name)
            shutil.copytree(whole, copy)
            file, offset = damage(copy, Random(f"{at.name} {name}"))
            _mend(f"the {name} journal of {at.name}", copy, (file, offset), lost, before, report)


def _tear(copy: Path, _: Random) -> tuple[str, int]:
    """Something stands behind its end."""
    last = max(copy.glob("*.seg"))
    offset = last.stat().st_size
    with last.open("ab") as file:
        file.write(TORN)
    return last.name, offset


def _flip(copy: Path, rng: Random) -> tuple[str, int]:
    """A bit in the middle of it."""
    first = min(copy.glob("*.seg"))
    data = bytearray(first.read_bytes())
    offset = rng.randrange(len(data) // 3, len(data) // 2)
    data[offset] ^= 0x10
    first.write_bytes(data)
    return first.name, offset


def _mend(
    what: str, copy: Path, where: tuple[str, int], lost: bool, before: Report, report: Reporter
) -> None:
    """It is found damaged there, and loses records only where there is no way to read them."""
    file, offset = where
    found = [one for one in examine(copy).findings if one.severity in ("damage", "torn")]
    near = [one for one in found if one.file == file and one.offset <= offset]
    if len(near) != 1 or not offset < near[0].offset + near[0].length:
        report(f"{what} is damaged at {file}, {offset}: found is {[str(one) for one in found]}")
    done = repair(copy)
    if len(done.actions) != 1 or len(done.kept) != 1 or not Path(copy, done.kept[0]).exists():
        report(f"{what} is repaired by {done}")
    elif not any(file in one for one in done.actions):
        report(f"{what} is damaged in {file}, and repaired by {done.actions}")
    after = examine(copy)
    left = [str(one) for one in after.findings if one.severity in ("damage", "torn")]
    if left or after.records + done.lost != before.records or after.node != before.node:
        report(f"{what} is repaired, and is {after}")
    items = [one for one in inspect(copy) if "record" in one]
    if len(items) != after.records or bool(done.lost) != lost:
        report(f"{what} has lost {done.lost} of {before.records} records, and shows {len(items)}")
    again = repair(copy)
    if again.actions or again.kept or again.lost:
        report(f"{what} is repaired twice: {again}")
