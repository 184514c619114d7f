"""The file format of a recording of one life of a node, and the functions that read it.

Fed back through the same code, the inputs give every output again (`lab.sim.conformance`), and with
the outputs all that the node did. `node.recording.recorder` writes these files.

The file: MAGIC, a state (`+` open, or ended by kill -9; `.` ended in order; `!` incomplete: the
disk; `^` incomplete: too long), how many entries were lost (8 bytes), then entries: a length of 4
bytes and MessagePack. Integers are big-endian. Times are `CLOCK_MONOTONIC` in nanoseconds, which is
the same for all processes of one machine.
"""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Literal, assert_never

import msgspec
from msgspec import Struct

from domain.commands import Command, Join, Leave, PostMessage
from gossip.wire import decode, encode
from node.core.interface import Input, Outbox, Persisted, PersistFailed, Received, Submit, Tick
from node.core.ports import AckLevel, Fields

MAGIC = b"chatlabR"
HEADER_BYTES = len(MAGIC) + 9
SUFFIX = ".rec"
HASH_BYTES = 16

State = Literal["+", ".", "!", "^"]
Action = Literal["post", "join", "leave"]
WHY: dict[State, str] = {"!": "the disk took no more", "^": "it became too long"}
BLOCKED = [-1.0]  # as a plan: the link is cut
Dropped = dict[str, dict[str, int]]  # by peer and reason


class _Entry(Struct, frozen=True, array_like=True, gc=False):
    """Base of what stands in the file. Tags and the order of fields are its format."""


# --- inputs -------------------------------------------------------------------------------------


class TickIn(_Entry, frozen=True, array_like=True, gc=False, tag="tick"):
    now_ms: int
    wall_ms: int


class PacketIn(_Entry, frozen=True, array_like=True, gc=False, tag="packet"):
    data: bytes


class SubmitIn(_Entry, frozen=True, array_like=True, gc=False, tag="submit"):
    ticket: int
    action: Action
    author: str
    text: str
    ack: str
    copies: int
    timeout_ms: int


class WrittenIn(_Entry, frozen=True, array_like=True, gc=False, tag="written"):
    written: int
    durable: int


class UnwrittenIn(_Entry, frozen=True, array_like=True, gc=False, tag="unwritten"):
    kept: int
    code: Literal["disk_full", "storage_error"]
    reason: str
    final: bool


class PolicyIn(_Entry, frozen=True, array_like=True, gc=False, tag="policy"):
    policy: bytes  # as JSON


InputIn = TickIn | PacketIn | SubmitIn | WrittenIn | UnwrittenIn | PolicyIn


def recorded(item: Input) -> InputIn:
    """An input as it stands in the file."""
    if type(item) is Tick:
        return TickIn(item.now_ms, item.wall_ms)
    if type(item) is Received:
        return PacketIn(encode(item.packet))
    if type(item) is Persisted:
        return WrittenIn(item.written, item.durable)
    if type(item) is PersistFailed:
        return UnwrittenIn(item.kept, item.code, item.reason, item.final)
    if type(item) is Submit:
        command, text = item.command, ""
        action: Action = "leave"
        if type(command) is PostMessage:
            action, text = "post", command.text
        elif type(command) is Join:
            action = "join"
        author, ack = command.author, str(item.ack)
        return SubmitIn(
            ticket=item.ticket,
            action=action,
            author=author,
            text=text,
            ack=ack,
            copies=item.copies,
            timeout_ms=item.timeout_ms,
        )
    assert_never(item)


def input_of(item: InputIn) -> Input:
    """The other way. A PolicyIn is none: it is given to `Replica.set_policy`."""
    if type(item) is TickIn:
        return Tick(item.now_ms, item.wall_ms)
    if type(item) is PacketIn:
        return Received(decode(item.data), len(item.data))
    if type(item) is SubmitIn:
        command = command_of(item.action, item.author, item.text)
        return Submit(item.ticket, command, AckLevel(item.ack), item.copies, item.timeout_ms)
    if type(item) is WrittenIn:
        return Persisted(item.written, item.durable)
    assert type(item) is UnwrittenIn, item
    return PersistFailed(item.kept, item.code, item.reason, item.final)


def command_of(action: Action, author: str, text: str) -> Command:
    if action == "post":
        return PostMessage(author, text)
    return Join(author) if action == "join" else Leave(author)


# --- entries ------------------------------------------------------------------------------------


class Began(_Entry, frozen=True, array_like=True, gc=False, tag="began"):
    """The replica is made: always the first entry."""

    node: str
    incarnation: int
    pid: int
    config: bytes  # ReplicaConfig as JSON
    rng_seed: int
    clean: bool
    torn_bytes: int
    quarantined: int
    holes: int = 0


class Restored(_Entry, frozen=True, array_like=True, gc=False, tag="restored"):
    """Records from the journal, as `node.storage.codec.encode_block`."""

    block: bytes


class Booted(_Entry, frozen=True, array_like=True, gc=False, tag="booted"):
    t_ns: int
    now_ms: int
    wall_ms: int
    must_open_epoch: str
    unsynced: int = 0  # of the restored records: so many at the end are not durable yet


class Turn(_Entry, frozen=True, array_like=True, gc=False, tag="turn"):
    """Inputs, then one drain. `t_ns`: when the first input was stepped."""

    t_ns: int
    inputs: list[InputIn]
    hash: bytes  # of the Outbox
    counts: tuple[int, int, int, int, int]  # of its fields, to tell where a difference lies


class Links(_Entry, frozen=True, array_like=True, gc=False, tag="links"):
    """What became of packets, as far as the sender knows.

    `plans`: what faults did to the packets that the last turn with any sent to a peer, in order:
    delays of the copies in ms, none for a lost one, or BLOCKED. `dropped`: by peer and reason,
    since the last such entry.
    """

    t_ns: int
    plans: dict[str, list[list[float]]]
    dropped: Dropped


class Said(_Entry, frozen=True, array_like=True, gc=False, tag="said"):
    """A note that the replica did not make."""

    t_ns: int
    worker: str
    event: str
    level: Literal["debug", "info", "warning", "error"]
    fields: Fields


class Failed(_Entry, frozen=True, array_like=True, gc=False, tag="failed"):
    """An exception out of the replica, at the last of these inputs or in the drain after them."""

    t_ns: int
    inputs: list[InputIn]
    error: str


class Ended(_Entry, frozen=True, array_like=True, gc=False, tag="ended"):
    t_ns: int
    written: int
    durable: int


Entry = Began | Restored | Booted | Turn | Links | Said | Failed | Ended

encode_entry = msgspec.msgpack.Encoder().encode
_encode_image = msgspec.msgpack.Encoder(order="deterministic").encode
_decoder = msgspec.msgpack.Decoder(Entry)


def outbox_digest(outbox: Outbox) -> bytes:
    """Of everything in it, in order; of packets, the bytes that go over the wire."""
    packets = [(peer, encode(packet)) for peer, packet in outbox.send]
    replies = [(ticket, type(outcome).__name__, outcome) for ticket, outcome in outbox.reply]
    image = _encode_image((outbox.persist, packets, outbox.publish, replies, outbox.note))
    return blake2b(image, digest_size=HASH_BYTES).digest()


def counts_of(outbox: Outbox) -> tuple[int, int, int, int, int]:
    return (
        len(outbox.persist),
        len(outbox.send),
        len(outbox.publish),
        len(outbox.reply),
        len(outbox.note),
    )


# --- reading ------------------------------------------------------------------------------------


class RecordingError(ValueError):
    """A file that is no recording. The text is one clear line."""


class Recording(Struct, frozen=True):
    path: Path
    state: State
    lost: int
    began: Began
    entries: list[Entry]  # what came after

    @property
    def complete(self) -> bool:
        """It ends where the life did."""
        return not self.why

    @property
    def why(self) -> str:
        """Why it ends before."""
        why = WHY.get(self.state)
        return f"{why}; {self.lost} entries were lost" if why else ""


def read_recording(path: Path) -> Recording:
    """Raises RecordingError, or OSError. A last entry that is cut off is left out."""
    data = path.read_bytes()
    state = chr(data[len(MAGIC)]) if len(data) >= HEADER_BYTES else ""
    if not data.startswith(MAGIC) or state not in ("+", ".", "!", "^"):
        raise RecordingError(f"{path} is no recording of a node")
    lost = int.from_bytes(data[len(MAGIC) + 1 : HEADER_BYTES], "big")
    try:
        entries = list(_entries(data))
    except msgspec.MsgspecError as error:
        raise RecordingError(f"{path} is damaged: {error}") from None
    if not entries or type(entries[0]) is not Began:
        raise RecordingError(f"{path} does not tell what it is a recording of")
    return Recording(path, state, lost, entries[0], entries[1:])  # type: ignore[arg-type]


def _entries(data: bytes) -> Iterator[Entry]:
    at = HEADER_BYTES
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            return
        yield _decoder.decode(data[at + 4 : end])
        at = end


def recordings_in(folder: Path) -> list[Path]:
    """The files of a folder and those below it, in the order in which their lives began."""
    return sorted(folder.rglob(f"*{SUFFIX}"))
