"""Ports of this machine for what listens on it for a while."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

_ports_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nothing listens, all different and never given out before by this process.

    LiteLLM binds its port as much as a minute after it was chosen, so they lie below the range from which systems take
    the ports of outgoing connections (32768 on Linux, 49152 elsewhere).
    """
    found: list[int] = []
    while len(found) < count:
        port = 20000 + secrets.randbelow(12000)
        with suppress(OSError), socket.socket() as probe:
            if port not in _ports_given:
                probe.bind(("127.0.0.1", port))
                _ports_given.add(port)
                found.append(port)
    return found
