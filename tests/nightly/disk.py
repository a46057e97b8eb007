"""A running task's disk that is full: there is no byte left in the folders that it may write to."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from local.docker_client import containers_in
from local.gateway import LocalGateway
from stacks.gateway.stack import WRITABLE

# In place of the folder comes another with the same content, on a file system of its own, in which the rest is taken.
# The shell's own folder stays the one before.
FILLED = """
cd "$1"
mount -t tmpfs -o size=64m tmpfs "$1" || exit 77
cp -a . "$1"
cat /dev/zero > "$1/all-that-is-left" 2> /dev/null
[ "$(df --output=avail "$1" | tail -n 1)" -eq 0 ]
"""
NOT_PERMITTED = 77


@contextmanager
def full(gateway: LocalGateway, worker: psutil.Process) -> Iterator[None]:
    """A block in which the task of a worker finds no room; what it has open stays where it was.

    The test is skipped where this machine does not permit mounts, as macOS does not.
    """
    if shutil.which("nsenter") is None:
        pytest.skip("this machine has no nsenter (util-linux), so that no file system can be put into a task's view")

    def as_it_sees(*command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as root, with the mounts that the task has: confined, they are its own."""
        root = () if os.geteuid() == 0 else ("sudo", "-n")
        view = ("nsenter", f"--mount=/proc/{worker.pid}/ns/mnt")
        return subprocess.run([*root, *view, *command], capture_output=True, text=True, check=False)

    with ExitStack() as mounted:
        for folder in folders(gateway):
            mounted.callback(as_it_sees, "umount", "--lazy", str(folder))
            done = as_it_sees("sh", "-uc", FILLED, "sh", str(folder))
            if done.returncode == NOT_PERMITTED:
                pytest.skip(f"this machine does not permit a mount at a task's folder: {done.stderr.strip()}")
            assert done.returncode == 0, done.stderr
        yield


def folders(gateway: LocalGateway) -> list[Path]:
    """Where the folders are that running tasks may write to."""
    tasks = containers_in(gateway.state / "aws").iterdir()
    return [task / place.lstrip("/") for task in tasks for place in WRITABLE.values()]
