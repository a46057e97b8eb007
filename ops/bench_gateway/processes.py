"""What a process and its children use: processor time and memory; and on which processors they run."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

import psutil

ENGINE = "engine.mjs"
"""In the command line of what stands in for Prisma's engine (local/prisma): a program of this machine alone."""


def tree(pid: int) -> Iterator[psutil.Process]:
    """A process and all below it, but for the database engine."""
    for process in whole_tree(pid):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if not any(ENGINE in word for word in process.cmdline()):
                yield process


def whole_tree(pid: int) -> list[psutil.Process]:
    """A process and all below it; none if it has ended."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def processor_time(pid: int) -> float:
    """Seconds of processor time, user's and system's, of a process and all below it, but for the database engine.

    A child that has ended is not counted: LiteLLM's workers live as long as it does.
    """
    total = 0.0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def memory(pid: int) -> float:
    """MiB that are resident, of a process and all below it, but for the database engine."""
    total = 0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / (1 << 20)


def processors() -> list[int]:
    """The processors that this process may use; none where the system does not let it choose."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


def keep_to(found: Iterable[psutil.Process], places: Collection[int]) -> None:
    """Let every thread of these processes run on these processors only; what they start later inherits it."""
    for process in found:
        with suppress(psutil.NoSuchProcess):
            for thread in process.threads():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, places)
