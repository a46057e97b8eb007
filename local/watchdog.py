"""What ends the containers' processes when the process that started them ends, however it ends.

`Watchdog` is handed each process group; the program that it starts is this file, run by its path with the standard
library only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

PATIENCE = 10.0  # seconds between SIGTERM and SIGKILL
POLL = 0.2  # seconds between two looks at what is left


class Watchdog:
    """A process that ends all remembered process groups when this process ends, however it ends.

    It holds the other end of a pipe, so not even SIGKILL of this process leaves a container behind.

    Parameters
    ----------
    folders
        To be removed then: those that no one else may remove.
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 - this very module
            # the standard library is enough, and quick
            [sys.executable, "-I", "-S", str(Path(__file__).resolve()), *map(str, folders)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def remember(self, process_group: int) -> None:
        """End this group too."""
        self._tell(f"+{process_group}\n")

    def forget(self, process_group: int) -> None:
        """It has ended: its number may be given to another process from now on."""
        self._tell(f"-{process_group}\n")

    def close(self) -> None:
        """End the watchdog, and what it still remembers."""
        assert self._process.stdin is not None  # noqa: S101 - opened above
        with self._lock, suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - opened above
        with self._lock, suppress(BrokenPipeError, ValueError):  # ValueError: closed meanwhile
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


def _watch_over(lines: IO[str]) -> None:
    """The watchdog's own program: remember and forget, then end what is left when the pipe closes."""
    groups: set[int] = set()
    for line in lines:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    _signal_all(groups, signal.SIGTERM)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and _signal_all(groups, 0):
        time.sleep(POLL)
    _signal_all(groups, signal.SIGKILL)


def _signal_all(groups: set[int], number: int) -> bool:
    """Whether any of the groups was still there."""
    found = False
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            found = True
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _watch_over(sys.stdin)
    for folder in sys.argv[1:]:
        shutil.rmtree(folder, ignore_errors=True)
