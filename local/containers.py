"""A container as a process group of this machine, as the Docker SDK shows a container.

It answers to the part of that interface which the emulated ECS uses (`reload/status/attrs/wait/logs/stop/remove`), and
runs the image's entry point with the task's command. What the SDK is not told of it is its `Definition`.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from local.confinement import Confinement
from local.health import POLL, Health

# ECS's own defaults (Task definition parameters for Fargate): stopTimeout, and healthCheck's four numbers.
STOP_TIMEOUT = 30.0
HEALTH_INTERVAL, HEALTH_TIMEOUT, HEALTH_RETRIES = 30.0, 5.0, 3


@dataclass(frozen=True)
class Image:
    """An image of the registry, as the Docker SDK shows it, and what it is on this machine.

    Parameters
    ----------
    id
        Its manifest's digest.
    entrypoint
        Its ENTRYPOINT; the task's command is appended to it.
    directory
        Its WORKDIR.
    user
        Its USER; root's empty name where it has none.
    """

    id: str
    entrypoint: tuple[str, ...]
    directory: Path
    user: str = ""

    def tag(self, repository: str, tag: str | None = None) -> bool:
        """No container of this machine needs the tag."""
        return True


@dataclass(frozen=True)
class HealthCheck:
    """A container definition's healthCheck; times in seconds."""

    command: tuple[str, ...]
    interval: float
    timeout: float
    retries: int
    start_period: float


@dataclass(frozen=True)
class Definition:
    """The part of a container definition that the Docker SDK is not told by the emulated ECS."""

    environment: frozenset[str] = frozenset()  # names of the plain variables, as opposed to secrets
    ports: tuple[int, ...] = ()
    writable: tuple[str, ...] = ()
    user: str = ""  # in place of the image's
    read_only: bool = False  # the root file system: its volumes, `writable`, are not
    stop_timeout: float = STOP_TIMEOUT
    health_check: HealthCheck | None = None

    @classmethod
    def from_ecs(cls, container: Mapping[str, Any]) -> Definition:
        """Read a container definition as the ECS API spells it."""
        check = container.get("healthCheck")
        return cls(
            environment=frozenset(entry["name"] for entry in container.get("environment", [])),
            ports=tuple(int(mapping["containerPort"]) for mapping in container.get("portMappings", [])),
            writable=tuple(
                mount["containerPath"] for mount in container.get("mountPoints", []) if not _is_true(mount, "readOnly")
            ),
            user=str(container.get("user") or ""),
            read_only=_is_true(container, "readonlyRootFilesystem"),
            stop_timeout=float(container.get("stopTimeout") or STOP_TIMEOUT),
            health_check=_health_check(check) if check else None,
        )


def _is_true(mapping: Mapping[str, Any], key: str) -> bool:
    return str(mapping.get(key, "")).lower() == "true"


def _health_check(check: Mapping[str, Any]) -> HealthCheck:
    kind, *words = check["command"]
    command = ("/bin/sh", "-c", *words) if kind == "CMD-SHELL" else tuple(words if kind == "CMD" else check["command"])
    return HealthCheck(
        command=command,
        interval=float(check.get("interval") or HEALTH_INTERVAL),
        timeout=float(check.get("timeout") or HEALTH_TIMEOUT),
        retries=int(check.get("retries") or HEALTH_RETRIES),
        start_period=float(check.get("startPeriod") or 0),
    )


class Container:
    """One container of a task, as the Docker SDK shows it.

    Attributes
    ----------
    id
        64 hexadecimal digits, as Docker's.
    image
        What it runs.
    ports
        The container's ports and where each of them is on 127.0.0.1.
    health
        The container health check's verdict, None where the definition has none.
    confinement
        The user that it is, and what it may write.
    """

    def __init__(
        self, image: Image, *, name: str, labels: Mapping[str, str], definition: Definition, folder: Path, log: Path
    ) -> None:
        self.id = uuid.uuid4().hex + uuid.uuid4().hex
        self.name = name
        self.labels = dict(labels)
        self.definition = definition
        self.folder = folder
        self.log = log
        self.ports: dict[int, int] = {}
        self.environment: dict[str, str] = {}
        self.health: Health | None = None
        self.confinement = Confinement(user=definition.user or image.user)
        self.attrs = {"NetworkSettings": {"Networks": {"loopback": {"IPAddress": "127.0.0.1"}}}}
        self.image = image
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._stopping = threading.Event()
        self._before_stop: Callable[[Container], None] = lambda _: None

    @property
    def status(self) -> str:
        """Docker's word: `created`, `running` or `exited`."""
        if self._process is None:
            return "created"
        return "exited" if self._ended.is_set() else "running"

    def reload(self) -> None:
        """Nothing to do: every attribute is always current."""

    def start(
        self,
        command: Sequence[str],
        *,
        before_stop: Callable[[Container], None],
        ended: Callable[[Container], None],
    ) -> None:
        """Start the process group with the task's command; `ended` is called once after its last process is gone.

        Raises
        ------
        OSError
            The entry point cannot be executed.
        """
        self._before_stop = before_stop
        program = self.image.entrypoint[0]
        if shutil.which(program, path=self.environment.get("PATH")) is None:
            raise FileNotFoundError(errno.ENOENT, "no such program in the image", program)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the entry point and the command are the deployment's own
                self.confinement.command([*self.image.entrypoint, *command]),
                cwd=self.image.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o022,
            )
        threading.Thread(target=self._reap, args=(ended,), daemon=True, name=f"reap-{self.name}").start()
        check = self.definition.health_check
        if check:
            self.health = Health(
                lambda: self._passes(check), interval=check.interval, failures=check.retries, grace=check.start_period
            )
            threading.Thread(target=self.health.watch, args=(self.is_running,), daemon=True).start()

    def is_running(self) -> bool:
        """Whether its main process runs."""
        return self.status == "running"

    @property
    def process_group(self) -> int:
        """The identity of its process group, which is that of its main process."""
        if self._process is None:
            raise RuntimeError(f"container {self.name} has not been started")
        return self._process.pid

    def _reap(self, ended: Callable[[Container], None]) -> None:
        """A container ends with its first process, whatever else it has started."""
        assert self._process is not None  # noqa: S101 - only started after the process
        self._process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._ended.set()
        ended(self)

    def _passes(self, check: HealthCheck) -> bool:
        try:
            done = subprocess.run(  # noqa: S603 - the task definition's own command
                self.confinement.command(check.command),
                cwd=self.image.directory,
                env=self.environment,
                capture_output=True,
                timeout=check.timeout,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def wait(self, timeout: float | None = None) -> dict[str, int]:
        """Wait for its end: `{"StatusCode": code}`, 128 + n for signal n as a shell has it.

        Raises
        ------
        TimeoutError
            It still runs after `timeout` seconds.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError(f"container {self.name} still runs after {timeout} s")
        assert self._process is not None  # noqa: S101 - it has ended, so it was started
        code = self._process.returncode
        return {"StatusCode": code if code >= 0 else 128 - code}

    def stop(self, timeout: float | None = None) -> None:
        """Ask it to stop, as ECS does, and return at once.

        It leaves the load balancer first (`before_stop`), then gets SIGTERM, and SIGKILL after the definition's
        stopTimeout; `timeout`, which the Docker SDK is given by the emulated ECS, is not that number.
        """
        if self._process is None or self._stopping.is_set():
            return
        self._stopping.set()
        threading.Thread(target=self._stop, daemon=True, name=f"stop-{self.name}").start()

    def _stop(self) -> None:
        if self.is_running():
            self._before_stop(self)
        self.terminate()
        if not self._ended.wait(self.definition.stop_timeout):
            self.kill()

    def terminate(self) -> None:
        """Send SIGTERM to its first process, as Docker does."""
        if self.is_running():
            with suppress(ProcessLookupError):
                os.kill(self.process_group, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to its whole process group."""
        if self.is_running():
            with suppress(ProcessLookupError, PermissionError):  # the latter on macOS, of a group that has just ended
                os.killpg(self.process_group, signal.SIGKILL)

    def remove(self, *, v: bool = False, force: bool = False) -> None:
        """Stop it; its folder goes with its process, its log stays for whoever looks for the reason."""
        self.stop()

    def logs(
        self,
        *,
        stream: bool = False,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tail: int | None = None,
    ) -> bytes | Iterator[bytes]:
        """Its output so far, or with `stream` whole lines as they come, to its end with `follow`."""
        if stream:
            return self._lines(follow)
        lines = self.log.read_bytes().splitlines(keepends=True)
        return b"".join(lines if tail is None else lines[-tail:])

    def _lines(self, follow: bool) -> Iterator[bytes]:
        with self.log.open("rb") as output:
            while True:
                over = self._ended.is_set()  # before reading: what it wrote last is read after this
                yield from _whole_lines(output, over)
                if over or not follow:
                    return
                self._ended.wait(POLL)


def _whole_lines(output: IO[bytes], over: bool) -> Iterator[bytes]:
    while line := output.readline():
        if not line.endswith(b"\n") and not over:
            output.seek(-len(line), os.SEEK_CUR)
            return
        yield line
