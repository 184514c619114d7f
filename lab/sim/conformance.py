"""Conformance: the recorded inputs of a run are fed to the core again, and it must produce the same
outputs.

A trace of detail `full` holds, for each life of a node, what its replica was made of (`life`), all
its inputs (`in_*`), and after each drain a hash of its Outbox (`out`). The simulator records that
with a `Recorder`; `replay` constructs the replicas again and compares. A real node writes the same
to a file of its own (`node.recording.recorder`), which a `Player` replays.

    conform(path)       a folder with recordings of nodes, one of them, or a trace of detail `full`

The order is that of the calls: `life`, then any number of inputs and `out` in turn.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from domain.moderation import Moderator, Policy
from lab.terminal.formats import counted
from lab.trace.file import read_lines
from lab.trace.kinds import (
    Data,
    Life,
    Out,
    PacketIn,
    PolicyIn,
    SubmitIn,
    TickIn,
    UnwrittenIn,
    WrittenIn,
)
from lab.trace.trace import Event
from node.core.interface import Input, Outbox
from node.core.ports import Record
from node.core.replica import Replica, ReplicaConfig
from node.recording import format as raw
from node.storage.codec import ProtobufCodec, decode_block, encode_block


class Recorder:
    """Writes the inputs and outputs of one life to a trace."""

    def __init__(self, tell: Callable[[Data], object]) -> None:
        self._tell = tell

    def life(
        self,
        config: ReplicaConfig,
        rng_seed: int,
        incarnation: int,
        records: Iterable[Record],
        now_ms: int,
        wall_ms: int,
        must_open_epoch: str,
        unsynced: int = 0,
    ) -> None:
        blocks = tuple([encode_block([record]) for record in records])
        made_of = msgspec.json.encode(config)
        start = (now_ms, wall_ms, must_open_epoch, unsynced)
        self._tell(Life(made_of, rng_seed, incarnation, blocks, *start))

    def step(self, item: Input) -> None:
        self._tell(kind_of(raw.recorded(item)))

    def policy(self, policy: Policy) -> None:
        self._tell(PolicyIn(msgspec.json.encode(policy)))

    def drained(self, outbox: Outbox) -> None:
        self._tell(Out(outbox_hash(outbox)))


class OutputDifference(Struct, frozen=True):
    """The first output of a life that differs from the recorded one."""

    node: str
    inc: int
    seq: int  # of the event in the trace
    recorded: str
    got: str  # the other hash, or the exception
    turn: int = 0  # of the life, from 1; 0 where `seq` tells more
    detail: str = ""  # for people: what it was fed, and where the outputs differ

    def text(self) -> str:
        """One line of text for users."""
        where = f"turn {self.turn}" if self.turn else f"event {self.seq} of the trace"
        how = self.detail or f"{self.recorded or 'no output'} then, {self.got} now"
        return f"{self.node}, life {self.inc}, {where}: {how}"


def replay(events: Iterable[Event]) -> list[OutputDifference]:
    """Feed the recorded inputs to replicas made anew; nothing is returned if all is as it was."""
    replicas: dict[str, Replica] = {}
    found: list[OutputDifference] = []
    for event in events:
        data = event.data
        if type(data) is Life:
            replicas[event.node] = revived(data)
            continue
        replica = replicas.get(event.node)
        if replica is None:
            continue
        recorded = got = ""
        try:
            if type(data) is Out:
                recorded, got = data.hash, outbox_hash(replica.drain())
            elif (item := _item_of(data)) is not None:
                feed(replica, item)
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
        if got != recorded:
            found.append(OutputDifference(event.node, event.inc, event.seq, recorded, got))
            del replicas[event.node]  # what follows would differ, too
    return found


def feed(replica: Replica, item: raw.InputIn) -> None:
    if type(item) is raw.PolicyIn:
        replica.set_policy(msgspec.json.decode(item.policy, type=Policy))
    else:
        replica.step(raw.input_of(item))


def revived(life: Life) -> Replica:
    """The replica as it was when this life began."""
    config = msgspec.json.decode(life.config, type=ReplicaConfig)
    moderator = _moderator(msgspec.json.encode(config.policy))
    rng = Random(life.rng_seed)
    replica = Replica(config, ProtobufCodec(), rng, life.incarnation, moderator)
    replica.restore(record for block in life.records for record in decode_block(block))
    replica.boot(life.now_ms, life.wall_ms, life.must_open_epoch, life.unsynced)
    return replica


def outbox_hash(outbox: Outbox) -> str:
    """A hash of all fields of an Outbox, in order; a packet counts by its encoded bytes."""
    return raw.outbox_digest(outbox).hex()


@lru_cache(maxsize=8)
def _moderator(policy: bytes) -> Moderator:
    """Its verdicts depend on the text alone, so that all replays can share one."""
    return Moderator(msgspec.json.decode(policy, type=Policy))


# --- recordings of real nodes -------------------------------------------------------------------


class Conformance(Struct, frozen=True):
    """The result of replaying recordings."""

    lives: int
    turns: int
    differences: int  # turns whose Outbox is not what was recorded
    found: tuple[OutputDifference, ...]  # the first of each life
    incomplete: tuple[str, ...]  # recordings that end before their life did, and why

    @property
    def first(self) -> OutputDifference | None:
        return self.found[0] if self.found else None

    def text(self) -> str:
        """One line for people: how many turns came again, and the first one that did not."""
        told = f"{counted(self.differences, 'difference')} over {counted(self.turns, 'turn')}"
        told += f" of {counted(self.lives, 'life', 'lives')}"
        return told if self.first is None else f"{told}; first: {self.first.text()}"


class Player:
    """Feeds one recorded life back to a replica. Mutable; `drains` once."""

    def __init__(self, recording: raw.Recording) -> None:
        """Raises ValueError where the recording ends before the replica had booted."""
        self.recording = recording
        self.life = life_of(recording)
        self.durability = msgspec.json.decode(self.life.config, type=ReplicaConfig).durability
        self.replica = revived(self.life)
        self.turns = 0
        self.differences = 0
        self.first: OutputDifference | None = None

    def drains(self) -> Iterator[tuple[raw.Entry, Outbox | None]]:
        """The entries after the boot, turns with their Outbox, as it came now.

        A turn whose Outbox is None cannot be played: the replica raised an exception.
        """
        for entry in self.recording.entries:
            if type(entry) is raw.Turn:
                outbox = self._turn(entry)
                yield entry, outbox
                if outbox is None:
                    return
            elif type(entry) is not raw.Restored and type(entry) is not raw.Booted:
                yield entry, None

    def play(self) -> None:
        for _ in self.drains():
            pass

    def _turn(self, turn: raw.Turn) -> Outbox | None:
        self.turns += 1
        try:
            for item in turn.inputs:
                feed(self.replica, item)
            outbox = self.replica.drain()
        except Exception as error:
            self._differs(turn, f"{type(error).__name__}: {error}", "an exception")
            return None
        digest = raw.outbox_digest(outbox)
        if digest != turn.hash:
            names = ("persist", "send", "publish", "reply", "note")
            counts = zip(names, turn.counts, raw.counts_of(outbox), strict=True)
            other = [f"{name} {was} then, {now} now" for name, was, now in counts if was != now]
            self._differs(turn, digest.hex(), ", ".join(other) or "as many things, other bytes")
        return outbox

    def _differs(self, turn: raw.Turn, got: str, how: str) -> None:
        self.differences += 1
        if self.first is None:
            fed = ", ".join(str(item.__struct_config__.tag) for item in turn.inputs) or "nothing"
            began, detail = self.recording.began, f"fed {fed}; {how}"
            self.first = OutputDifference(
                node=began.node,
                inc=began.incarnation,
                seq=-1,
                recorded=turn.hash.hex(),
                got=got,
                turn=self.turns,
                detail=detail,
            )


def conform(path: Path) -> Conformance:
    """Raises ValueError or OSError where there is nothing that could be fed back."""
    if path.is_file() and path.suffix != raw.SUFFIX:
        with path.open("rb") as lines:
            return _conform_trace(read_lines(lines))
    paths = raw.recordings_in(path) if path.is_dir() else [path]
    if not paths:
        raise ValueError(f"{path}: there are no recordings (*{raw.SUFFIX}) below it")
    players: list[Player] = []
    incomplete: list[str] = []
    for one in paths:
        recording = raw.read_recording(one)
        if not recording.complete:
            incomplete.append(f"{one}: {recording.why}")
        if any(type(entry) is raw.Booted for entry in recording.entries):
            player = Player(recording)
            player.play()
            players.append(player)
    return summed(players, incomplete)


def summed(players: Iterable[Player], incomplete: Iterable[str] = ()) -> Conformance:
    """The sum of the results of several lives."""
    lives = list(players)
    return Conformance(
        len(lives),
        sum(one.turns for one in lives),
        sum(one.differences for one in lives),
        tuple([one.first for one in lives if one.first is not None]),
        tuple(incomplete),
    )


def _conform_trace(events: Iterable[Event]) -> Conformance:
    told = list(events)
    lives = sum(type(event.data) is Life for event in told)
    if not lives:
        raise ValueError("this trace tells no inputs: record it with detail full")
    found = replay(told)
    turns = sum(type(event.data) is Out for event in told)
    return Conformance(lives, turns, len(found), tuple(found), ())


def life_of(recording: raw.Recording) -> Life:
    began, entries = recording.began, recording.entries
    booted = next((one for one in entries if type(one) is raw.Booted), None)
    if booted is None:
        raise ValueError(f"{recording.path}: it ends before the node had started")
    records = [one.block for one in entries if type(one) is raw.Restored]
    return Life(
        config=began.config,
        rng_seed=began.rng_seed,
        incarnation=began.incarnation,
        records=tuple(records),
        now_ms=booted.now_ms,
        wall_ms=booted.wall_ms,
        must_open_epoch=booted.must_open_epoch,
        unsynced=booted.unsynced,
    )


def kind_of(item: raw.InputIn) -> Data:
    """An input of a recording, as a trace has it."""
    return _KINDS[type(item)](*[getattr(item, name) for name in item.__struct_fields__])


def _item_of(data: Data) -> raw.InputIn | None:
    """The other way; None for what is no input."""
    of = _ITEMS.get(type(data))
    return of(*[getattr(data, name) for name in data.__struct_fields__]) if of else None


# Checkers must not import node, so a trace has kinds of its own with the same fields.
_KINDS: dict[type, Callable[..., Data]] = {
    raw.TickIn: TickIn,
    raw.PacketIn: PacketIn,
    raw.SubmitIn: SubmitIn,
    raw.WrittenIn: WrittenIn,
    raw.UnwrittenIn: UnwrittenIn,
    raw.PolicyIn: PolicyIn,
}
_ITEMS: dict[object, Callable[..., raw.InputIn]] = {kind: of for of, kind in _KINDS.items()}
