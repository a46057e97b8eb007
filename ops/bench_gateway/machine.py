"""What the figures were measured on, in words."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from local.litellm_venv import locked_version
from stacks import CHECKOUT


def words(*, quick: bool) -> str:
    """Date, processor, versions, and whether it was a trial only."""
    kind = "A quick trial (`ARGS=--quick`), whose small numbers are rough" if quick else "A whole run"
    return (
        f"{kind}, on {datetime.now(UTC):%Y-%m-%d}: {processor()}, {os.cpu_count()} processors, {platform.system()}, "
        f"Python {platform.python_version()}, LiteLLM {locked_version(CHECKOUT)}."
    )


def processor() -> str:
    """The processor's name, as the system tells it."""
    known = Path("/proc/cpuinfo")
    if known.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", known.read_text(), re.M)
        return found[1].strip() if found else platform.machine()
    try:
        told = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
    except OSError:
        return platform.machine()
    return told.stdout.strip() or platform.machine()
