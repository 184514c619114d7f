"""The structured log of one node: a JSON object per line, with a closed list of names.

Every line has `ts` (RFC 3339, UTC, milliseconds), `level`, `event`, `node` and `worker`, in that
order, then what the note adds. Text from outside appears only as a JSON value, and all that is not
printable ASCII is escaped there: it can break neither the line nor a terminal.

Rules
- A name that is not in `NOTES` is refused: whoever reads logs can know them all. A test finds every
  name in the code.
- Each line is one write to an unbuffered file, so that kill -9 loses none.
- Logging never ends a node. If the disk is full, lines are counted, and the count is told later.
"""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from node.core.ports import Note

Level = Literal["debug", "info", "warning", "error"]
LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
RESERVED = ("ts", "level", "event", "node", "worker")
LINE_BYTES_MAX = 64 * 1024
END_S = 253_402_300_799.0  # of the year 9999, the last that a date can show

# Name -> its meaning. Docs and tests read this; keep it sorted.
NOTES: dict[str, str] = {
    "append_failed": "The journal could not take some records; it goes on with the next ones.",
    "checkpoint_unwritten": "A checkpoint could not be written: a later start reads more.",
    "checkpoints_doubted": "A start with checkpoints failed; the journal is read without them.",
    "core_crashed": "The replica met an impossible state of its own.",
    "core_restarts": "A new replica is built from the journal after a wait.",
    "epoch_opened": "Own events go on in a new log; and why the old one ends.",
    "events_posted": "Own events became visible: how many, and the last one's dot.",
    "events_received": "A packet of a peer brought new events: how many, and on which way.",
    "faults_cleared": "All injected network faults of this node are gone.",
    "faults_set": "Network faults were injected into this node's links.",
    "fork_found": "A log has two histories: both are kept, its origin is flagged.",
    "frame_rejected": "Bytes from a peer were not a packet for us; the reason says why.",
    "hung_up": "A door hung up on a connection: at which door, why, and the last one's address.",
    "journal_damaged": "The scrub found bytes in the journal that were whole once.",
    "journal_opened": "The journal was opened: how many records it has, how many of them were read "
    "and not known from checkpoints, in how long.",
    "journal_quarantined": "Damage inside the journal was set aside; peers can fill the hole.",
    "journal_tail_cut": "A torn end of the journal was kept in a copy and cut off.",
    "journal_unread": "The scrub cannot read the journal; the node goes on.",
    "key_refused": "A key was not let in: at which door, why, and its fingerprint.",
    "keys_read": "The list of trusted keys changed and was read anew.",
    "keys_unreadable": "The list of trusted keys cannot be read: nobody is trusted until it can.",
    "log_lines_lost": "So many lines could not be written to this log.",
    "log_not_reopened": "The log file could not be opened anew; the old one goes on.",
    "loop_stalled": "One turn of the event loop took much too long.",
    "metrics_failed": "The metrics could not be rendered; whoever asked got an error.",
    "node_gave_up": "The core failed more often than the budget allows; the node exits.",
    "node_ready": "The node answers commands and packets.",
    "node_started": "The process begins; with its pid and random seed.",
    "node_stopped": "The node has stopped; clean: the journal says so; reason: why it does not.",
    "node_stopping": "The node begins to stop, and why.",
    "own_log_ahead": "A peer holds more of this node's log than the node does.",
    "packets_dropped": "Packets for a peer were dropped; the reason says why.",
    "peer_alive": "A peer was heard of, or refuted what was said about it.",
    "peer_dead": "A suspect peer stayed silent; it is still probed.",
    "peer_suspect": "A peer missed exchanges; nothing is blocked by that.",
    "peers_without_key": "These peers have no trusted key: nothing is sent to them.",
    "places_full": "A log was refused, for its origin has used up its places; told once each life.",
    "policy_kept": "The cluster file or its lists cannot be read again; what was read stays.",
    "policy_read": "The moderation policy was read anew.",
    "recording_stopped": "The recording of this life ends here, or never began; the node goes on.",
    "settings_read": "The cluster file says something else; the node begins again with that.",
    "socket_lost": "Somebody removed a socket of the node, and it cannot be bound again.",
    "socket_rebound": "Somebody removed a socket of the node: it listens there anew.",
    "stamps_ahead": "Own stamps run ahead of the clock, which was wrong or was set back: how far.",
    "stamps_set_back": "Own stamps ran more than a day ahead of the clock, and do so no more.",
    "storage_failed": "The disk failed for good; nothing more is written until a restart.",
    "telemetry": "The counters, every few seconds while something happens.",
    "view_failed": "A reading command failed inside; its client got an error.",
    "worker_crashed": "A worker raised an error; its supervisor decides.",
    "worker_gave_up": "A worker crashed more often than its budget allows.",
    "worker_restarted": "A crashed worker runs again.",
    "worker_started": "A worker runs.",
    "worker_stop_failed": "A worker raised an error while it was stopped.",
    "writes_behind": "The disk is slow: peers are told to hold back until it has caught up.",
    "writes_caught_up": "The disk has caught up: peers may send again.",
    "writes_refused": "The journal could not write: commands are refused meanwhile.",
    "writes_resumed": "The journal writes again.",
}


class StructuredLog:
    """One node's log file."""

    def __init__(self, path: Path, node: str, level: Level = "info") -> None:
        self._path = path
        self._node = node
        self._threshold = LEVELS[level]
        self._file = _open(path)
        self.lost = 0  # lines since the last one that could be written
        self._torn = False  # the last line is only in part there
        self._bound = self._bind()

    def _bind(self) -> Any:
        return structlog.wrap_logger(
            self,
            processors=[_add_time, _rendered],
            wrapper_class=structlog.make_filtering_bound_logger(self._threshold),
            cache_logger_on_first_use=True,
        ).bind(node=self._node)

    def write(self, note: Note, worker: str) -> None:
        """Write one line, if its level is high enough. Raises ValueError for a bad name only."""
        if note.event not in NOTES:
            raise ValueError(
                f"note {note.event!r} is not registered in node.process.structured_log.NOTES"
            )
        if LEVELS[note.level] < self._threshold:
            return
        fields = note.fields
        for name in RESERVED:
            if name in fields:
                raise ValueError(f"note {note.event!r} has a field {name!r}, which is reserved")
        getattr(self._bound, note.level)(note.event, worker=worker, **fields)

    def reopen(self) -> None:
        """Go on in a new file at the same path, after the old one was moved. Raises OSError."""
        fresh = _open(self._path)
        self._file, old = fresh, self._file
        old.close()

    def close(self) -> None:
        self._file.close()

    # --- called by structlog: the end of the chain ----------------------------------------------

    def _line(self, line: bytes) -> None:
        if self.lost:
            lost, self.lost = self.lost, 0
            note = {"event": "log_lines_lost", "level": "error", "worker": "log", "lines": lost}
            lost_line = _rendered(self, "", _add_time(self, "error", {"node": self._node} | note))
            if not self._written(lost_line):
                self.lost = lost
        if self.lost or not self._written(line):
            self.lost += 1

    debug = info = warning = error = _line

    def _written(self, line: bytes) -> bool:
        if self._torn:
            line = b"\n" + line
        try:
            written = self._file.write(line)
        except (OSError, ValueError):  # the disk, or a log already closed
            return False
        self._torn = written != len(line)
        return not self._torn


def open_log(path: Path, node: str, level: Level = "info") -> StructuredLog:
    """Open, or begin, a node's log. Raises OSError."""
    return StructuredLog(path, node, level)


def _open(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return os.fdopen(handle, "ab", buffering=0)


def _add_time(_logger: WrappedLogger, level: str, fields: EventDict) -> EventDict:
    head = {
        "ts": utc_now(),
        "level": fields.pop("level", level),
        "event": fields.pop("event"),
        "node": fields.pop("node"),
        "worker": fields.pop("worker"),
    }
    return {**head, **fields}


def _now_s() -> float:
    """A clock that is wrong by thousands of years shows no date: it counts as the nearest end."""
    return min(max(time.time(), 0.0), END_S)


def utc_now() -> str:
    """RFC 3339 with milliseconds: 2026-01-31T09:30:00.125Z."""
    now = datetime.fromtimestamp(_now_s(), UTC)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rendered(_logger: WrappedLogger, _name: str, fields: EventDict) -> bytes:
    try:
        line = msgspec.json.encode(fields) + b"\n"
    except UnicodeEncodeError:  # half a character, from a file name that is not UTF-8
        line = msgspec.json.encode(_whole(fields)) + b"\n"
    if not line.isascii() or b"\x7f" in line:
        line = _ascii(line)
    if len(line) <= LINE_BYTES_MAX:
        return line
    kept = {name: fields[name] for name in RESERVED}
    return _ascii(msgspec.json.encode(_whole(kept | {"cut_bytes": len(line)})))


def _ascii(line: bytes) -> bytes:
    """The same JSON, with `\\u` escapes for all that a terminal could act on."""
    text = json.dumps(json.loads(line), ensure_ascii=True, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f").encode() + b"\n"


def _whole(value: Any) -> Any:
    """The same with every half character written out."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_whole(key): _whole(of) for key, of in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value
