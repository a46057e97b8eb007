"""`make up` as a person has it: until Ready, then the curl line that it prints, then Ctrl-C.

    python -m tests.up [ARGUMENT OF MAKE ...]

Exit code 1: something of it was not as README.md says; the reason is the last line.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from stacks import CHECKOUT

START_SECONDS = 1800.0  # with everything to be installed, on a slow machine
CURL_SECONDS = 120.0
END_SECONDS = 180.0
LAST = "Ctrl-C ends it."
ENDED = "Ended."


class NotAsWritten(Exception):  # noqa: N818 - what it says is no error of this program
    """`make up` did something else; the message says what."""


def main(arguments: Sequence[str], folder: Path = CHECKOUT) -> int:
    """Try it; the exit code."""
    try:
        asked = attempt([*arguments], folder)
    except NotAsWritten as problem:
        print(f"up: {problem}")
        return 1
    print(f"up: Ready, an answer of {asked} and an end at Ctrl-C")
    return 0


def attempt(arguments: list[str], folder: Path) -> str:
    """Start it, use it and end it; the name of the model that answered."""
    # Who was started in the background ignores Ctrl-C, and whatever it starts would do so too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    up = subprocess.Popen(
        ["/usr/bin/env", "make", *arguments, "up"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a group of its own, as a shell gives it: Ctrl-C is for all of it
    )
    signal.signal(signal.SIGINT, before)
    patience = threading.Timer(START_SECONDS, os.killpg, (up.pid, signal.SIGTERM))
    patience.start()
    try:
        printed = [*_until(LAST, _lines(up))]
        patience.cancel()
        if not any(re.fullmatch(r"\[ *\d+ s\] Ready", line) for line in printed):
            raise NotAsWritten("make up ended, or was ended, before it was Ready")
        model = _ask("\n".join(printed))
        os.killpg(up.pid, signal.SIGINT)
        patience = threading.Timer(END_SECONDS, os.killpg, (up.pid, signal.SIGKILL))
        patience.start()
        if not any(line.startswith(ENDED) for line in _lines(up)):
            raise NotAsWritten("Ctrl-C did not end it")
        return model
    finally:
        patience.cancel()
        if up.poll() is None:
            os.killpg(up.pid, signal.SIGTERM)
        up.wait()


def _lines(up: subprocess.Popen[str]) -> Iterator[str]:
    """Its lines, shown as they come."""
    assert up.stdout is not None
    for line in up.stdout:
        print(line, end="", flush=True)
        yield line.rstrip("\n")


def _until(last: str, lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if line == last:
            return


def _ask(printed: str) -> str:
    """Run the printed command as it stands; the name of the model in the answer."""
    command = re.search(r"^ +curl (?:.*\\\n)*.*$", printed, re.MULTILINE)
    if not command:
        raise NotAsWritten("make up printed no curl line")
    run = subprocess.run(
        ["/bin/sh", "-c", command[0]], capture_output=True, text=True, check=False, timeout=CURL_SECONDS
    )
    try:
        answer = json.loads(run.stdout)
        if answer["choices"][0]["message"]["content"]:
            return str(answer["model"])
    except (ValueError, LookupError, TypeError):
        pass
    raise NotAsWritten(f"the curl line was answered with {run.stdout or run.stderr!r}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
