"""Compresses large packets, where the cluster file asks for it: fewer bytes for processor time.

A compressed packet is one Zstandard frame (RFC 8878) that says its size, a plain one is
MessagePack: the first bytes tell. Every node understands both; `compress: true` says how it sends.
Small packets stay as they are, because they would not shrink.
"""

import zstandard

from gossip.wire import PACKET_BYTES_MAX, WireError

MAGIC = b"\x28\xb5\x2f\xfd"
COMPRESSED_BYTES_MIN = 4 * 1024
_compressor = zstandard.ZstdCompressor(level=1)
_decompressor = zstandard.ZstdDecompressor()


def compressed(data: bytes) -> bytes:
    """The same packet in fewer bytes, or as it is."""
    if len(data) < COMPRESSED_BYTES_MIN:
        return data
    small = _compressor.compress(data)
    return small if len(small) < len(data) else data


def expanded(data: bytes) -> bytes:
    """The packet in a frame from outside. Raises WireError: a frame may claim anything."""
    if not data.startswith(MAGIC):
        return data
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= PACKET_BYTES_MAX:
            what = f"{size} bytes" if size >= 0 else "a size it does not say"
            raise WireError("oversize", f"a packet that expands to {what}")
        return _decompressor.decompress(data, max_output_size=PACKET_BYTES_MAX)
    except zstandard.ZstdError as error:
        raise WireError("malformed", f"not a compressed packet: {error}") from None
