"""Reference implementations, see `naive`: C5."""

from typing import Any

from lab.trace import kinds
from tests.lab.checkers.naive import (
    Answer,
    dot,
    is_ref,
    journal,
    losses,
    number,
    of,
    origin,
    verdict,
)


def life(events: list[Any], at: int) -> list[Any]:
    """The events of this one's node from its last boot on, this one not included."""
    node = events[at].node
    mine = [e for e in events[:at] if e.node == node]
    boots = [place for place, e in enumerate(mine) if type(e.data) is kinds.Boot]
    return mine[boots[-1] :] if boots else mine


def handed_up_to(mine: list[Any]) -> int:
    """The number of the last record of this life."""
    last = 0
    for e in mine:
        if type(e.data) is kinds.Boot:
            last = len(e.data.recovered)
        elif type(e.data) in (kinds.Handed, kinds.Epoch):
            last = e.data.number
        elif type(e.data) is kinds.Unwritten:
            last = min(last, e.data.kept)
    return last


def told(mine: list[Any]) -> tuple[int, int]:
    written = durable = 0
    for e in mine:
        if type(e.data) is kinds.Boot:
            written = durable = len(e.data.recovered)
        elif type(e.data) is kinds.Written:
            written, durable = e.data.written, e.data.durable
    return written, durable


def always(mine: list[Any]) -> bool:
    boots = of(mine, kinds.Boot)
    return not boots or boots[-1].data.durability == "always"


def open_log(mine: list[Any]) -> str:
    log = ""
    for e in mine:
        if type(e.data) in (kinds.Boot, kinds.Epoch):
            log = e.data.log
    return log


def own_seq(mine: list[Any], node: str, log: str) -> int:
    """The last number given out in this log, as far as this life knows."""
    last = 0
    pending: list[tuple[int, str, bool]] = []
    for e in mine:
        d = e.data
        if type(d) is kinds.Boot:
            own = [name for name in d.recovered if is_ref(name) and origin(name) == node]
            last = max([seq_of(name) for name in own if log_of(name) == log], default=0)
        elif type(d) is kinds.Handed:
            pending.append((d.number, d.ref, d.via == "local"))
            if log_of(d.ref) == log and d.via == "local":
                last = seq_of(d.ref)
            elif log_of(d.ref) == log and d.via == "recovery":
                last = max(last, seq_of(d.ref))
        elif type(d) is kinds.Visible:
            refs = [ref for _, ref, _ in pending]
            if refs and refs[0] == d.ref:
                pending = pending[1:]
            else:
                pending = [one for one in pending if one[1] != d.ref]
        elif type(d) is kinds.Unwritten:
            while pending and pending[-1][0] > d.kept:
                _, ref, local = pending.pop()
                if local and log_of(ref) == log:
                    last = seq_of(ref) - 1
    return last


def log_of(ref: str) -> str:
    return dot(ref).rsplit(":", 1)[0]


def seq_of(ref: str) -> int:
    return int(dot(ref).rsplit(":", 1)[1])


def unshown(mine: list[Any]) -> list[tuple[int, str]]:
    """Records of this life that are not visible, in order."""
    waiting: list[tuple[int, str]] = []
    for e in mine:
        d = e.data
        if type(d) is kinds.Handed:
            waiting.append((d.number, d.ref))
        elif type(d) is kinds.Unwritten:
            while waiting and waiting[-1][0] > d.kept:
                waiting.pop()
        elif type(d) is kinds.Visible:
            if waiting and waiting[0][1] == d.ref:
                waiting = waiting[1:]
            else:
                waiting = [one for one in waiting if one[1] != d.ref]
    return waiting


def opened(events: list[Any]) -> list[str]:
    """Logs that are open on some disk or were: but for those whose record was not written."""
    found: list[tuple[str, int]] = []
    for at, e in enumerate(events):
        if type(e.data) is kinds.Epoch:
            found = [one for one in found if one[0] != e.data.log]
            found.append((e.data.log, e.data.number))
        elif type(e.data) is kinds.Unwritten:
            mine = open_log(life(events, at))
            found = [one for one in found if one[0] != mine or one[1] <= e.data.kept]
    return [log for log, _ in found]


def opened_here(mine: list[Any]) -> list[str]:
    """Logs whose opening record this life found on its disk, or put there and was not told off."""
    found: list[tuple[str, int]] = []
    for e in mine:
        d = e.data
        if type(d) is kinds.Boot:
            names = list(enumerate(d.recovered, start=1))
            found = [(name[6:], at) for at, name in names if not is_ref(name)]
        elif type(d) is kinds.Epoch:
            found = [one for one in found if one[0] != d.log] + [(d.log, d.number)]
        elif type(d) is kinds.Unwritten:
            found = [one for one in found if one[1] <= d.kept]
    return [log for log, _ in found]


def c5(events: list[Any]) -> Answer:
    fails = False
    left: set[str] = set()
    for at, e in enumerate(events):
        d, mine = e.data, life(events, at) if e.node else []
        if type(d) in (kinds.Handed, kinds.Epoch):
            fails |= d.number != handed_up_to(mine) + 1
        if type(d) is kinds.Epoch:
            fails |= d.log in opened(events[:at])
        elif type(d) is kinds.Handed and d.via == "local":
            log = log_of(d.ref)
            fails |= bool(open_log(mine)) and log != open_log(mine)
            fails |= seq_of(d.ref) != own_seq(mine, e.node, log) + 1
            fails |= bool(open_log(mine)) and log not in opened_here(mine)
        elif type(d) is kinds.Handed and d.ref not in left:
            left.add(d.ref)
            fails |= left_early(events, at, d.ref)
        elif type(d) is kinds.Written:
            written, durable = told(mine)
            fails |= not d.durable <= d.written <= handed_up_to(mine)
            fails |= d.written < written or d.durable < durable
        elif type(d) is kinds.Unwritten:
            written, durable = told(mine)
            fails |= d.kept < (durable if d.final else written)
        elif type(d) is kinds.Visible:
            written, durable = told(mine)
            safe = durable if always(mine) else written
            waiting = unshown(mine)
            first = waiting[0] if waiting else (0, "")
            fails |= first[1] != d.ref or first[0] > safe
            fails |= d.index != next_index(mine)
        elif type(d) is kinds.Boot:
            fails |= not reopens_well(events, at, d)
    return verdict(fails=fails, unknown=not any(names_of_life(events)))


def names_of_life(events: list[Any]) -> list[str]:
    kept = (kinds.Handed, kinds.Epoch, kinds.Written, kinds.Unwritten, kinds.Visible, kinds.Boot)
    return [e.node for e in events if type(e.data) in kept]


def next_index(mine: list[Any]) -> int:
    index = 0
    for e in mine:
        if type(e.data) is kinds.Boot:
            index = len(e.data.arrivals)
        elif type(e.data) is kinds.Visible:
            index = e.data.index
    return index + 1


def left_early(events: list[Any], at: int, ref: str) -> bool:
    """`ref` is heard of at another node before its origin may have sent it."""
    home = origin(ref)
    before = events[: at + 1]
    j = journal(before, home)
    place = number(j, ref)
    if place is None or ref in [lost.name for lost in losses(before, home)]:
        return False
    of_home = [e for e in before if e.node == home]
    boots = [n for n, e in enumerate(of_home) if type(e.data) is kinds.Boot]
    mine = of_home[boots[-1] :] if boots else of_home
    return place > (j.durable if always(mine) else j.written)


def reopens_well(events: list[Any], at: int, d: kinds.Boot) -> bool:
    node, before = events[at].node, journal(events[:at], events[at].node)
    lost = [one for one in losses(events[: at + 1], node) if one.boot is events[at]]
    older = d.disk == "older"
    clean = not d.quarantined and not (before.flipped if older else before.damaged)
    shown = {name for name in d.recovered if is_ref(name)}
    if shown != set(d.arrivals) and clean:
        return False
    if any(not one.excuse for one in lost):
        return False
    found = list(d.recovered)
    if d.disk in ("new", "empty"):
        return not found
    if d.disk == "older":
        pasts = before.pasts + ([before.records] if before.up else [])
        if any(past[: len(found)] == found for past in pasts):
            return True
        told = bool(d.quarantined or d.torn_bytes or before.tried)
        return before.flipped and told and any(within(found, past) for past in pasts)
    if not within(found, before.records) and not within(found, stood(events[:at], node)):
        return False
    told = bool(d.quarantined or d.torn_bytes or before.tried)
    if any(one.excuse == "damaged" for one in lost) and not told:
        return False
    return not clean or before.records[: len(found)] == found


def stood(events: list[Any], node: str) -> list[str]:
    """What is on the disk, and if it was damaged since the last boot, what may be back there."""
    mine = [e for e in events if e.node == node]
    there: list[tuple[str, bool]] = []  # what stands there, or (False) stood there until a hole
    for at, e in enumerate(mine):
        if type(e.data) in (kinds.Handed, kinds.Epoch):
            number = max(e.data.number - 1, 0)
            there = kept(there, number)
            there += [("", True)] * (number - sum(one for _, one in there))
            name = e.data.ref if type(e.data) is kinds.Handed else f"epoch {e.data.log}"
            there.append((name, True))
        elif type(e.data) is kinds.Unwritten:
            there = kept(there, e.data.kept)
        elif type(e.data) is kinds.Boot:
            there = found_there(there, mine[:at], e)
    return [name for name, one in there if one or harmed(mine)]


def kept(there: list[tuple[str, bool]], count: int) -> list[tuple[str, bool]]:
    """So many records, and what is in holes."""
    stands = [at for at, one in enumerate(there) if one[1]]
    gone = set(stands[count:])
    return [one for at, one in enumerate(there) if at not in gone]


def harmed(mine: list[Any]) -> bool:
    boots = [at for at, e in enumerate(mine) if type(e.data) is kinds.Boot]
    since = mine[boots[-1] :] if boots else mine
    return any(
        e.data.what in ("flip", "stale", "misdirected", "end_lost") for e in of(since, kinds.Fired)
    )


def found_there(
    there: list[tuple[str, bool]], mine: list[Any], boot: Any
) -> list[tuple[str, bool]]:
    left = list(boot.data.recovered)
    if boot.data.disk != "same":
        return [(name, True) for name in left]
    j, back = journal(mine, boot.node), harmed(mine)
    floor = j.written if j.up else j.floor
    found: list[tuple[str, bool]] = []
    number = 0
    for name, stands in there:
        number += stands
        if left and left[0] == name and (stands or back):
            found.append((left.pop(0), True))
        elif left or not stands or (j.damaged and number <= floor):
            found.append((name, False))
    return found + [(name, True) for name in left]


def within(found: list[str], there: list[str]) -> bool:
    """A subsequence."""
    left = there[:]
    for name in found:
        if name not in left:
            return False
        left = left[left.index(name) + 1 :]
    return True
