"""Reads the bytes of any event from the journal, by record number.

What was read is checked again, frame by frame. Where a frame is not whole any more, the disk has
changed under a running node: `StorageError`, which ends this life of the node. The next start looks
at the whole journal, sets the damage aside and pulls back from peers what was in it.

A few chunks stay in memory, because readers come in runs.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from node.core.ports import CodecError
from node.storage import frames
from node.storage.codec import events_of
from node.storage.files import Reader, StorageError
from node.storage.frames import Frame
from node.storage.offset_index import Chunk, OffsetIndex, WrittenFrame
from node.storage.segments import segment_name

CACHE_BYTES = 2 * 1024 * 1024


class RecordPages:
    """Implements `node.core.ports.Pages`. Mutable; not thread-safe."""

    def __init__(self, reader: Reader, index: OffsetIndex, cache_bytes: int = CACHE_BYTES) -> None:
        self._reader = reader
        self._index = index
        self._cache: OrderedDict[int, tuple[list[bytes], int]] = OrderedDict()  # by first record
        self._cached_bytes = 0
        self._last: tuple[int, list[bytes]] = (0, [])  # read last, hence the last to leave
        self.cache_bytes = cache_bytes
        self.fetched_bytes = 0

    def placed(self, places: Iterable[WrittenFrame]) -> None:
        """The journal has grown by these frames."""
        add = self._index.add
        for place in places:
            add(place.count, place.segment, place.offset, place.end)

    def cut(self, kept: int) -> None:
        """The records after `kept` are not in the journal any more."""
        self._index.cut(kept)
        self.forget()

    def forget(self) -> None:
        """Nothing stays in memory: what is read next is read from the disk."""
        self._cache.clear()
        self._cached_bytes = 0
        self._last = (0, [])

    def events(self, numbers: Sequence[int]) -> list[bytes]:
        """The bytes of these events, in this order. Quick where the numbers come in runs."""
        events: list[bytes] = []
        first, chunk = self._last
        for number in numbers:
            if not 0 <= number - first < len(chunk):
                first, chunk = self._last = self._chunk_with(number)
            events.append(chunk[number - first])
        return events

    def _chunk_with(self, number: int) -> tuple[int, list[bytes]]:
        """The number of its first record, and what its records hold, as far as this number."""
        at = self._index.find(number)
        cached = self._cache.get(at.first)
        if cached is not None and number - at.first < len(cached[0]):
            self._cache.move_to_end(at.first)
            return at.first, cached[0]
        known, size = cached or ([], 0)
        chunk = known + self._read(at, size)  # it may have grown since
        if number - at.first >= len(chunk):
            raise StorageError(f"{segment_name(at.segment)}: record {number} is gone", final=True)
        self._cached_bytes -= size
        size = at.end - at.offset
        self._cache[at.first] = (chunk, size)
        self._cache.move_to_end(at.first)
        self._cached_bytes += size
        while self._cached_bytes > self.cache_bytes and len(self._cache) > 1:
            self._cached_bytes -= self._cache.popitem(last=False)[1][1]
        return at.first, chunk

    def _read(self, at: Chunk, known: int) -> list[bytes]:
        """What the records of this chunk hold, in order; b"" where one is no event.

        Without those in its first `known` bytes, which end with a frame.
        """
        name, first = segment_name(at.segment), at.offset + known
        try:
            data = self._reader.read(name, first, at.end - first)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StorageError(f"journal: cannot read {name}: {reason}", final=True) from None
        self.fetched_bytes += len(data)
        payloads: list[bytes] = []
        offset = 0
        while offset < len(data):
            frame = frames.parse(data, offset, base=first)
            if type(frame) is not Frame:
                where = f"{name}: offset {first + offset}"
                raise StorageError(f"{where}: damaged while the node runs: {frame}", final=True)
            payloads.append(frames.payload_of(data, frame, first))
            offset = frame.end - first
        try:
            return events_of(b"".join(payloads))
        except CodecError as damage:
            raise StorageError(f"{name}: offset {first}: {damage}", final=True) from None
