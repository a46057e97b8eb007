"""AWS's binary stream of events: a prelude with two lengths and its CRC, headers, payload, CRC of the whole.

`vnd.amazon.eventstream` of Smithy's specification, "Amazon Event Stream".
"""

import struct
import zlib
from collections.abc import Mapping

EVENT_STREAM = "application/vnd.amazon.eventstream"


def encoded(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Encode one message; the values of headers are strings, which is type 7."""
    fields = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 12 + len(fields) + len(payload) + 4, len(fields))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + fields + payload
    return whole + struct.pack(">I", zlib.crc32(whole))
