"""Recovery: decides what to do about what a scan of the journal directory found.

- A torn tail: `repair_tail` keeps a copy (`NAME.torn-1`), then cuts it off.
- A hole is never cut off. The journal notes it (a quarantine mark) and skips it, and the events
  that were in it come back from peers.
- Refusal: the directory is another node's, of a newer format, or lacks a segment. Nothing is
  touched, and the reason is one line.

Modes: `strict` refuses a torn tail and holes as well, `tail` goes on after both, `salvage` also
goes on where a segment is missing or belongs elsewhere (that one is skipped).

**Epochs.** A dot is not reused, so whatever may have lost an own event asks for a new epoch.
The wish is written to the file IDENTITY *before* anything is repaired, with the record number from
which an opened epoch settles it. A crash at any point therefore repeats the same decision: first
the wish, then the copy, then the cut, then the epoch record.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from node.config.os_errors import reason_of
from node.core.ports import CodecError
from node.storage import frames
from node.storage.files import DISK_FULL, DiskFull, Reader, Storage, StorageError
from node.storage.frames import Frame, FrameTooNew
from node.storage.headers import (
    DIRECTORY_ID_BYTES,
    FORMAT_VERSION,
    Identity,
    decode_identity,
    encode_identity,
)
from node.storage.scan import Hole, RecoveryRefused, ScanResult, TornTail
from node.storage.segments import Segment, names_of_range, segment_name

Mode = Literal["strict", "tail", "salvage"]

IDENTITY_FILE = "IDENTITY"
GONE = (
    "the journal that this node wrote is not there: put it back or mount its disk; to begin anew, "
    "wipe the node: `chatlab cluster wipe NODE`"
)
PART_SUFFIX = ".part"  # an unfinished copy or replacement; removed at the next start
LOST_IDENTITY_JUMP = 1000  # a lost counter of starts goes on well above anything seen


# --- identity -----------------------------------------------------------------------------------


def load_identity(reader: Reader) -> Identity | None:
    """What IDENTITY says; None if it is absent or damaged, which recovery treats alike."""
    if IDENTITY_FILE not in reader.names():
        return None
    data = reader.read(IDENTITY_FILE, 0, frames.HEADER_BYTES + frames.PAYLOAD_BYTES_MAX)
    try:
        frame = frames.parse(data, 0)
        if type(frame) is not Frame or frame.type != frames.IDENTITY:
            return None
        identity = decode_identity(frames.payload_of(data, frame))
    except CodecError:
        return None
    except FrameTooNew as error:
        raise RecoveryRefused(f"{IDENTITY_FILE}: {error}; use the version that wrote it") from None
    if identity.format_version > FORMAT_VERSION:
        raise RecoveryRefused(
            f"{IDENTITY_FILE}: journal format {identity.format_version}, this chatlab reads "
            f"up to {FORMAT_VERSION}; use the version that wrote it"
        )
    return identity


def save_identity(storage: Storage, identity: Identity) -> None:
    """Replace IDENTITY atomically and durably. Raises OSError."""
    payload = encode_identity(identity)
    data, _ = frames.encode(payload, type=frames.IDENTITY, offset=0, previous=0, number=0)
    replace_file(storage, IDENTITY_FILE, data)


def replace_file(storage: Storage, name: str, data: bytes, *, durably: bool = True) -> None:
    """Atomically for whoever reads it now. Raises OSError; the old file is whole then."""
    part = name + PART_SUFFIX
    if part in storage.names():
        storage.remove(part)
    storage.create(part)
    append_all(storage, part, data)
    if durably:
        storage.sync(part)
    storage.rename(part, name)
    if durably:
        storage.sync_dir()


def append_all(storage: Storage, name: str, data: bytes) -> None:
    """A short write is asked again for the rest: the next call then tells the error."""
    done = storage.append(name, data)
    while done < len(data):
        done += storage.append(name, data[done:])


# --- decisions ----------------------------------------------------------------------------------


class Known(Struct, frozen=True):
    """What of a journal is known to have been there, by another than its own directory."""

    directory_id: bytes
    next_number: int = 0  # records below it were durable; 0: nothing is known
    last_segment: int = 0  # this segment was durable


def refuse_to_begin_anew(
    mode: Mode, identity: Identity | None, scan: ScanResult, known: Known | None
) -> None:
    """A node that has had a journal does not begin an empty one, nor go on in another.

    Its disk may not be mounted, or its folder moved away. Raises RecoveryRefused; nothing has been
    changed yet.
    """
    if known is None or mode == "salvage":
        return
    there = identity.directory_id if identity is not None else scan.directory_id
    if identity is None and not scan.segments:
        raise RecoveryRefused(GONE)
    if known.next_number and there != known.directory_id:
        raise RecoveryRefused("another journal is in the place of the one that this node wrote")


def refuse_unless_ours(node: str, mode: Mode, identity: Identity | None, scan: ScanResult) -> None:
    """Raises RecoveryRefused where this mode must not go on. Nothing has been changed yet."""
    owner = identity.node if identity is not None else _node_of(scan)
    if owner is not None and owner != node:
        raise RecoveryRefused(f"this journal belongs to node {owner}, not to {node}")
    if mode == "salvage":
        return
    hint = "put it back, or go on without it by recovery mode salvage"
    if scan.missing:
        raise RecoveryRefused(f"{names_of_range(*scan.missing[0])} is missing; {hint}")
    if scan.foreign:
        raise RecoveryRefused(
            f"{scan.foreign[0]} belongs to another journal; move it away, or skip it by recovery "
            "mode salvage"
        )
    if mode == "strict" and (scan.holes or (scan.torn and scan.torn.length)):
        bad: Hole | TornTail | None = scan.holes[0] if scan.holes else scan.torn
        assert bad is not None
        raise RecoveryRefused(
            f"{bad.name}: {bad.length} damaged bytes at offset {bad.offset}: {bad.cause}; recovery "
            "mode is strict, `chatlab journal repair` or mode tail goes on"
        )


def _node_of(scan: ScanResult) -> str | None:
    return next((s.header.node for s in scan.segments if s.header and not s.skipped), None)


def _unsettled(identity: Identity, scan: ScanResult) -> bool:
    """The last start asked for an epoch, and did not come to open it."""
    settled = scan.epoch is not None and scan.epoch_number >= identity.must_open_from
    return bool(identity.must_open_epoch) and not settled


def holes_to_report(identity: Identity | None, scan: ScanResult) -> tuple[Hole, ...]:
    """The holes, those among them known that a node has lived with.

    A start that set a hole aside and then failed has told nobody.
    """
    if identity is None or not _unsettled(identity, scan):
        return tuple(scan.holes)
    first = identity.must_open_from
    return tuple([replace(h, known=h.known and h.marked < first) for h in scan.holes])


def informed(identity: Identity | None, known: Known | None) -> Identity | None:
    """IDENTITY tells of the last seal or start; a life of the same process knows more."""
    if identity is None or known is None or identity.directory_id != known.directory_id:
        return identity
    return replace(
        identity,
        next_number=max(identity.next_number, known.next_number),
        last_segment=max(identity.last_segment, known.last_segment),
    )


def compare(identity: Identity | None, scan: ScanResult) -> Identity | None:
    """Note in `found` what IDENTITY knows of, and is not there. Returns None if it is an old one,
    put back: a later start has left its marks.
    """
    if identity is None or identity.incarnation < scan.started:
        return None
    scan.lost_end = end = _lost_end(identity, scan)
    if end is not None:
        scan.holes.append(end)
    return identity


def _lost_end(identity: Identity, scan: ScanResult) -> Hole | None:
    """What was durable, and is not behind the last frame that is there."""
    # An older chatlab only wrote what it had found at its start.
    lost = (identity.next_number or identity.must_open_from) - scan.next_number
    emptied = scan.torn is not None and not scan.torn.length
    if lost <= 0 and identity.last_segment <= scan.last_segment - emptied:
        return None
    last = scan.segments[-1] if scan.segments else Segment(1, segment_name(1), 0)
    offset = scan.torn.offset if scan.torn else last.size
    cause = "the journal ends before what was durable"
    if identity.last_segment > scan.last_segment:
        first = scan.last_segment + 1
        cause += f": {names_of_range(first, identity.last_segment)} is missing"
    elif emptied:
        cause += f": {last.name} is empty"
    records = min(max(lost, 0), frames.COUNT_MAX)
    return Hole(
        segment=last.number, name=last.name, offset=offset, length=0, records=records, cause=cause
    )


def epoch_reason(identity: Identity | None, scan: ScanResult, place: str) -> str:
    """Why a new epoch must be opened; "" if own events can go on where they ended."""
    reasons: list[str] = []
    if identity is not None and _unsettled(identity, scan):
        reasons.append(identity.must_open_epoch)
    if not reasons and scan.epoch is None and not scan.holes:
        reasons.append("new log")
    if scan.torn is not None and scan.torn.length:
        reasons.append("tail repaired")
    if scan.lost_end is not None:
        reasons.append("the end of the journal is lost")
    if any(not hole.known and hole is not scan.lost_end for hole in scan.holes):
        reasons.append("damage in the journal")
    if identity is None and scan.segments:
        reasons.append("the identity file is lost")
    if identity is not None and identity.place != place:
        reasons.append("the data directory is a copy")
    mode = identity.durability if identity is not None else "always"
    if mode != "always" and scan.epoch is not None and not stopped_clean(identity, scan):
        reasons.append(f"unclean stop in mode {mode}")
    return "; ".join(dict.fromkeys(reasons))


def stopped_clean(identity: Identity | None, scan: ScanResult) -> bool:
    """Whether the last start that there was came to an orderly end, and all of it is here."""
    return identity is not None and scan.clean_stop == identity.incarnation


def doubted_mode(identity: Identity | None, scan: ScanResult) -> str:
    """The mode of a process that may have left bytes that no sync writes; "" if none did.

    In mode `always` what a failed sync left is cut off at once; in the others it stays.
    """
    if not scan.segments or scan.clean_stop:
        return ""
    if identity is None:
        return "interval"
    return identity.durability if identity.durability != "always" else ""


def next_identity(
    storage: Storage,
    node: str,
    durability: str,
    identity: Identity | None,
    scan: ScanResult,
    at_ms: int,
) -> Identity:
    """The identity of the start that is under way: one incarnation on, with its wish."""
    if identity is not None:
        directory_id, incarnation = identity.directory_id, identity.incarnation
    else:
        directory_id = scan.directory_id or storage.nonce(DIRECTORY_ID_BYTES)
        highest = max(scan.started, _counted_by_files(scan))
        incarnation = highest + LOST_IDENTITY_JUMP if scan.segments else 0
    return Identity(
        node=node,
        directory_id=directory_id,
        place=storage.place(),
        incarnation=incarnation + 1,
        durability=durability,
        must_open_epoch=epoch_reason(identity, scan, storage.place()),
        must_open_from=scan.next_number,
        started_at_ms=at_ms,
        # What is found may be in the kernel's memory alone: see `Journal`.
        next_number=identity.next_number if identity is not None else 1,
        last_segment=identity.last_segment if identity is not None else 0,
    )


def needs_segment(now: Identity, scan: ScanResult) -> bool:
    """Whether this start must begin a segment, so that it cannot be counted a second time.

    If IDENTITY gets lost, the count goes on from what is left of the journal. A start that is not
    below that must leave a file behind it, whatever may become of what is in the file. It may not
    be the first start that finds out: the one that did may have failed.
    """
    return bool(scan.segments) and (now.incarnation > _counted_by_files(scan) + LOST_IDENTITY_JUMP)


def _counted_by_files(scan: ScanResult) -> int:
    return max(scan.incarnation, scan.last_segment * LOST_IDENTITY_JUMP)


def repair_tail(storage: Storage, torn: TornTail) -> str:
    """Copy the torn bytes aside, then cut them off. Returns the name of the copy, "" if none."""
    kept_as = ""
    if torn.length:
        kept_as = keep_copy(storage, torn.name, torn.offset, torn.length, "torn")
        storage.truncate(torn.name, torn.offset)
        storage.sync(torn.name)
        storage.sync_dir()
    return kept_as


def keep_copy(storage: Storage, name: str, offset: int, length: int, why: str) -> str:
    """A durable copy of these bytes as NAME.why-N. The same bytes are not copied twice."""
    data = storage.read(name, offset, length)
    names = set(storage.names())
    number = 1
    while (kept_as := f"{name}.{why}-{number}") in names:
        if storage.read(kept_as, 0, length + 1) == data:
            return kept_as
        number += 1
    replace_file(storage, kept_as, data)
    return kept_as


def storage_error(
    doing: str, error: OSError, name: str = "", *, final: bool = False
) -> StorageError:
    """What the system says of a journal file, in one line."""
    reason = error.strerror or str(error)
    what = f"journal: cannot {doing} {name or error.filename or 'the directory'}: {reason}"
    if error.errno in DISK_FULL and not final:
        return DiskFull(f"{what}; free some room, appending goes on by itself")
    return StorageError(what.removesuffix(reason) + reason_of(error), final=final)
