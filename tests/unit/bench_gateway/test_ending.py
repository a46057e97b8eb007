"""ops/bench_gateway: what it has started ends with it, also by Ctrl-C and when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stacks import CHECKOUT

# The command as it is, but for what takes long: there is no synthesis and no database, and LiteLLM is a shell that has
# started another program, and never answers.
PROGRAM = """
import sys
from pathlib import Path
from ops.bench_gateway import __main__ as command
from ops.bench_gateway import servers
from ops.bench_gateway.configurations import Configuration

started = Path(sys.argv[1])
shell = ("/bin/sh", "-c", f"sleep 600 & echo $! >> {started}; echo $$ >> {started}; wait")
wait_for = servers.Servers._await


def told(self):
    with started.open("a") as stream:
        stream.write("waiting ")
    wait_for(self)


servers.Servers._await = told
servers.Servers._template = lambda self: {}
servers.Servers._databases = lambda self, starting: {
    name: servers.Database(name, 1, "password", Path("ca.pem")) for name in self.names
}
servers.Servers._configuration = lambda self, name, *_: Configuration(name, shell, {}, "config")
sys.exit(command.main(["--only", "article", "default"]))
"""


def lines(file: Path, count: int, patience: float = 300.0) -> list[int]:
    """The numbers of the processes that have started, once there are so many, and the benchmark waits for them."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = file.read_text().split() if file.exists() else []
        if len(found) == count + 1 and "waiting" in found:
            return [int(each) for each in found if each != "waiting"]
        time.sleep(0.05)
    raise AssertionError(f"only {found} have started")


def gone(numbers: list[int], patience: float = 120.0) -> bool:
    """Whether none of the processes is left, at the latest after a while."""
    processes = [psutil.Process(number) for number in numbers if psutil.pid_exists(number)]
    _, alive = psutil.wait_procs(processes, timeout=patience)
    return not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_everything_ends(number: signal.Signals, code: int, tmp_path: Path) -> None:
    started = tmp_path / "started"
    bench = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(started)],
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": str(tmp_path), "COMPANY": "tests/companies/tokyo"},
        stderr=subprocess.PIPE,
        text=True,
        # As a terminal's: a shell's background would ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    numbers = lines(started, 4)
    try:
        bench.send_signal(number)
        _, told = bench.communicate(timeout=300)
        assert bench.returncode == code
        assert gone(numbers)
    finally:
        for left in filter(psutil.pid_exists, numbers):
            os.kill(left, signal.SIGKILL)
    if number != signal.SIGKILL:
        assert told.splitlines()[-1] == "bench: ended, with all that it had started"
        assert not list(tmp_path.glob("bench-*"))
