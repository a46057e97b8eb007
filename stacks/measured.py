"""What one request takes of a task, as `make bench-gateway` has measured it: what `make size`, `make cost` and the
synthesis reckon with.

`measured.json` has our figures of the tables in docs/performance.md, from which `make bench-gateway ARGS=--write` and
`make docs` write it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("measured.json")
_FOUND: Final[Mapping[str, Any]] = json.loads(FILE.read_text("utf-8"))

CPU: Final[Mapping[str, float]] = {name: ms / 1000 for name, ms in _FOUND["cpu_ms"].items()}
"""Seconds of a processor of that machine which a request takes, by what is asked."""

ROWS: Final[float] = _FOUND["rows"]
"""Rows that a request writes into the database."""

RESIDENT_MIB: Final[float] = _FOUND["resident_mib"]
"""Memory of a worker that does its usual work."""

CHAT, AGENT, PROGRAM = "short, streamed", "400 KB, /v1/messages", "short, plain"
"""What people's questions, coding agents, and programs that go through a list are in it."""

SECONDS: Final[Mapping[str, float]] = {CHAT: 8, AGENT: 12, PROGRAM: 4}
"""For how long each has an answer to come, of models as they are: an assumption, and yours to correct."""

VCPU: Final = 0.8
"""Of a processor of that machine, what a vCPU of Fargate on ARM does: a guess, to be safe."""

IN_HAND_MB: Final = 6.7
"""Memory of a request in hand with a prompt of 1.6 MB (docs/performance.md, "Requests in hand")."""

DATABASE_CPU: Final = 0.002
"""Seconds of the database's processor that one request takes: `ROWS` in 1.5 transactions, of which PostgreSQL does some
thousands a second and processor. Not measured in Aurora."""

ACU_VCPU: Final = 0.25
"""Processors of an ACU: AWS says 2 GiB "with corresponding CPU", and its r6g instances have 8 GiB for each.
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.how-it-works.html"""
