"""Ports of this machine for what listens on it for a while."""

from __future__ import annotations

import secrets
import socket

_given: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nothing listens, all different and never given out twice while this process lives.

    LiteLLM binds its port as much as a minute after it was chosen, so they lie below the range from which systems take
    the ports of outgoing connections (32768 on Linux, 49152 elsewhere). Until then another process here could choose
    the same: this one keeps the port of UDP, which nothing else has a use for, as a mark.
    """
    found: list[int] = []
    while len(found) < count:
        port = 20000 + secrets.randbelow(12000)
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
        else:
            _given.append(mark)
            found.append(port)
    return found
