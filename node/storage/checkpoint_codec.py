"""Encodes checkpoints as frame payloads and decodes them: `Checkpoint` in proto/node/disk.

In memory a column has the byte order of the machine, on disk it is little-endian. Decoding raises
`CodecError` and nothing else.
"""

import sys
from array import array

from domain.clock import Stamp
from domain.dot import Dot, LogId
from domain.history import HistoryRows
from domain.presence import PresenceRows
from domain.timeline import TimelineRows
from node.core.checkpoint import Checkpoint, Seal
from node.core.entry_store import LogRows
from node.core.ports import CodecError
from node.disk import record_pb2 as pb
from node.storage.headers import parsed

CHECKPOINT_VERSION = 1

_TOTAL_BYTES = 40  # of a sum of hashes of 32 bytes
_COUNTER_BITS = 16
_WIDTHS = {4: "I", 8: "Q"}
_SEAL = (  # the fields of a Seal that have the same name in the message
    *("segment", "size", "tail", "crc", "first", "last", "next_number"),
    *("epoch", "epoch_number"),
)


def encode_checkpoint(checkpoint: Checkpoint, directory_id: bytes) -> bytes:
    seal, stamp = checkpoint.seal, checkpoint.stamp
    history, timeline = checkpoint.history, checkpoint.timeline
    message = pb.Checkpoint(
        format_version=CHECKPOINT_VERSION,
        directory_id=directory_id,
        first_arrival=checkpoint.first_arrival,
        author_names=history.author_names,
        stamp=stamp.ms << _COUNTER_BITS | stamp.counter,
        **{name: getattr(seal, name) for name in _SEAL},
    )
    for name, width, data in _columns(checkpoint):
        setattr(message, name, _swapped(data, width))
    for origin, epoch in history.log_names:
        message.log_names.add(origin=origin, epoch=epoch)
    for origin, epoch in timeline.names:
        message.raised_names.add(origin=origin, epoch=epoch)
    for log, seq in timeline.mentioned:
        message.mentioned.add(log=log, seq=seq)
    for author, arrival in checkpoint.presence.deciding:
        message.deciding.add(author=author, arrival=arrival)
    for rows in checkpoint.logs:
        message.log_rows.add(
            origin=rows.log.origin,
            epoch=rows.log.epoch,
            firsts=[first for first, _ in rows.ranges],
            lasts=[last for _, last in rows.ranges],
            numbers=_swapped(rows.numbers, 4),
            total=rows.total.to_bytes(_TOTAL_BYTES, "big"),
        )
    for dot in checkpoint.heads:
        message.heads.add(origin=dot.origin, epoch=dot.epoch, seq=dot.seq)
    return message.SerializeToString(deterministic=True)


def _columns(checkpoint: Checkpoint) -> list[tuple[str, int, bytes]]:
    """Name, bytes of an integer, data."""
    seal, timeline = checkpoint.seal, checkpoint.timeline
    stamps, logs, seqs, tags, authors, received = checkpoint.history.columns
    return [
        ("point_records", 8, seal.points[0]),
        ("point_offsets", 4, seal.points[1]),
        ("point_ends", 4, seal.points[2]),
        ("stamps", 8, stamps),
        ("logs", 4, logs),
        ("seqs", 8, seqs),
        ("tags", 8, tags),
        ("authors", 4, authors),
        ("received", 8, received),
        ("jump_arrivals", 8, checkpoint.offsets[0]),
        ("jump_offsets", 8, checkpoint.offsets[1]),
        ("order", 4, timeline.order),
        ("late", 4, timeline.late),
        ("raised_by", 4, timeline.raised_by),
        ("raised_logs", 4, timeline.raised_logs),
        ("raised_before", 8, timeline.raised_before),
        ("before", 4, checkpoint.presence.before),
    ]


def decode_checkpoint(payload: bytes) -> tuple[Checkpoint, bytes]:
    """The checkpoint, and the directory id. Raises CodecError, also for a later version."""
    message = parsed(pb.Checkpoint, payload, "a checkpoint")
    if message.format_version != CHECKPOINT_VERSION:
        raise CodecError(f"version {message.format_version} of checkpoints")
    checkpoint = Checkpoint(
        seal=_seal(message),
        first_arrival=message.first_arrival,
        history=HistoryRows(
            (
                _swapped(message.stamps, 8),
                _swapped(message.logs, 4),
                _swapped(message.seqs, 8),
                _swapped(message.tags, 8),
                _swapped(message.authors, 4),
                _swapped(message.received, 8),
            ),
            tuple([(name.origin, name.epoch) for name in message.log_names]),
            tuple(message.author_names),
        ),
        offsets=(_swapped(message.jump_arrivals, 8), _swapped(message.jump_offsets, 8)),
        timeline=TimelineRows(
            order=_swapped(message.order, 4),
            late=_swapped(message.late, 4),
            raised_by=_swapped(message.raised_by, 4),
            raised_logs=_swapped(message.raised_logs, 4),
            raised_before=_swapped(message.raised_before, 8),
            names=tuple([(name.origin, name.epoch) for name in message.raised_names]),
            mentioned=tuple([(row.log, row.seq) for row in message.mentioned]),
        ),
        presence=PresenceRows(
            _swapped(message.before, 4),
            tuple([(row.author, row.arrival) for row in message.deciding]),
        ),
        logs=tuple([_log_rows(rows) for rows in message.log_rows]),
        heads=tuple([Dot(dot.origin, dot.epoch, dot.seq) for dot in message.heads]),
        stamp=Stamp(message.stamp >> _COUNTER_BITS, message.stamp & ((1 << _COUNTER_BITS) - 1)),
    )
    return checkpoint, message.directory_id


def _seal(message: pb.Checkpoint) -> Seal:
    return Seal(
        **{name: getattr(message, name) for name in _SEAL},
        points=(
            _swapped(message.point_records, 8),
            _swapped(message.point_offsets, 4),
            _swapped(message.point_ends, 4),
        ),
    )


def _log_rows(rows: pb.LogRows) -> LogRows:
    return LogRows(
        LogId(rows.origin, rows.epoch),
        tuple(zip(rows.firsts, rows.lasts, strict=True)),
        _swapped(rows.numbers, 4),
        int.from_bytes(rows.total, "big"),
    )


def _swapped(data: bytes, width: int) -> bytes:
    """Little-endian integers in the order of this machine, or the other way round."""
    if sys.byteorder == "little":
        return data
    column = array(_WIDTHS[width], data)
    column.byteswap()
    return column.tobytes()
