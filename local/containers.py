"""Containers as local processes: what the emulated ECS is given in place of a Docker engine.

ECS starts, watches, stops and reads the logs of containers through the Docker SDK's client. `LocalDocker` answers to
the part of that interface which it uses (`containers.run/get/list`, `images.pull/get/get_registry_data`, and a
container's `reload/status/attrs/wait/logs/stop/remove`), and runs the image's entry point with the task's command as a
process group of this machine.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

# ECS's own defaults (Task definition parameters for Fargate): stopTimeout, and healthCheck's four numbers.
STOP_TIMEOUT = 30.0
HEALTH_INTERVAL, HEALTH_TIMEOUT, HEALTH_RETRIES = 30.0, 5.0, 3

# The host name by which a container in Docker reaches its host; a process is on that host already.
DOCKER_HOST = "host.docker.internal"
POLL = 0.2  # seconds between two looks at a process, its log or its first health checks


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
    """

    id: str
    entrypoint: tuple[str, ...]
    directory: Path

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


class Health:
    """The verdict over one repeated check: `starting`, then `healthy` or `unhealthy`.

    The first pass makes it healthy. It is unhealthy once `failures` intervals have gone by without a pass, but never
    within the first `grace` seconds. Until the first pass the check is repeated faster than on AWS.
    """

    def __init__(self, check: Callable[[], bool], *, interval: float, failures: int, grace: float) -> None:
        self._check = check
        self._interval = interval
        self._patience = interval * failures
        self._born = self._last_pass = time.monotonic()
        self._grace = grace
        self.state = "starting"

    def watch(self, alive: Callable[[], bool], changed: Callable[[], None] = lambda: None) -> None:
        """Repeat the check until `alive` says no, calling `changed` after each change of state."""
        while alive():
            before, passed = self.state, self._check()
            now = time.monotonic()
            if passed:
                self._last_pass, self.state = now, "healthy"
            elif now - self._last_pass > self._patience and now - self._born > self._grace:
                self.state = "unhealthy"
            if self.state != before:
                changed()
            self._rest(alive)

    def _rest(self, alive: Callable[[], bool]) -> None:
        end = time.monotonic() + (self._interval if self.state == "healthy" else min(1.0, self._interval))
        while alive() and time.monotonic() < end:
            time.sleep(POLL)


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
        self.attrs = {"NetworkSettings": {"Networks": {"loopback": {"IPAddress": "127.0.0.1"}}}}
        self.image = image
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._stopping = threading.Event()
        self._before_stop: Callable[[Container], None] = lambda _: None

    @property
    def short_id(self) -> str:
        """The first twelve digits of the identity."""
        return self.id[:12]

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
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the entry point and the command are the deployment's own
                [*self.image.entrypoint, *command],
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
                check.command,
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


class Containers:
    """The `containers` of a Docker client."""

    def __init__(self, docker: LocalDocker) -> None:
        self._docker = docker
        self._all: dict[str, Container] = {}

    def run(
        self,
        image: str,
        command: Sequence[str] | None = None,
        *,
        environment: Mapping[str, str],
        name: str,
        labels: Mapping[str, str],
        **_: object,
    ) -> Container:
        """Start a container. Networks, volumes, capabilities and platforms have no meaning for a process.

        Raises
        ------
        LookupError
            The image is not in the registry.
        OSError
            The entry point cannot be executed.
        """
        container = self._docker.create(self._docker.images.get(image), environment, name, labels)
        self._all[container.id] = container
        self._docker.start(container, command or ())
        return container

    def get(self, identity: str) -> Container:
        """The container of that id.

        Raises
        ------
        LookupError
            There is none.
        """
        if identity not in self._all:
            raise LookupError(f"no container {identity!r}")
        return self._all[identity]

    def list(self, **_: object) -> list[Container]:
        """All containers, ended ones too."""
        return [*self._all.values()]


class Images:
    """The `images` of a Docker client: what the registry knows, since nothing is pulled."""

    def __init__(self, image_of: Callable[[str], Image]) -> None:
        self._image_of = image_of

    def get(self, image: str) -> Image:
        """Find an image by its URI with tag or digest; LookupError if the registry has none."""
        return self._image_of(image)

    def pull(self, image: str, **_: object) -> Image:
        """See `get`."""
        return self.get(image)

    def get_registry_data(self, image: str, **_: object) -> Image:
        """See `get`; the record's `id` is the manifest's digest."""
        return self.get(image)


class LocalDocker:
    """A Docker client whose containers are processes of this machine.

    Parameters
    ----------
    state
        A folder for the containers' writable places and logs.
    definition_of
        The container definition that belongs to a container's labels.
    image_of
        The registry: image URI to image, LookupError if there is no such image.
    differences_of
        What differs from AWS for a container with these variables: set over whatever ECS hands over; None takes a
        variable away.
    before_stop
        Called with a container that is about to get SIGTERM: the load balancer's draining.
    """

    def __init__(
        self,
        state: Path,
        *,
        definition_of: Callable[[Mapping[str, str]], Definition],
        image_of: Callable[[str], Image],
        differences_of: Callable[[Mapping[str, str]], Mapping[str, str | None]] = lambda _: {},
        before_stop: Callable[[Container], None] = lambda _: None,
    ) -> None:
        self._state = state
        self._definition_of = definition_of
        self._differences_of = differences_of
        self._before_stop = before_stop
        self._watchdog = Watchdog()
        self._starting = threading.Lock()
        self._closed = False
        self.containers = Containers(self)
        self.images = Images(image_of)

    def create(self, image: Image, environment: Mapping[str, str], name: str, labels: Mapping[str, str]) -> Container:
        """Make a container with its folder, its ports and its environment, not yet started."""
        logs, folders = self._state / "logs", self._state / "containers"
        logs.mkdir(parents=True, exist_ok=True)
        container = Container(
            image,
            name=name,
            labels=labels,
            definition=self._definition_of(labels),
            folder=folders / name,
            log=logs / f"{name}.log",
        )
        for place in {*container.definition.writable, "/tmp"}:  # noqa: S108 - a path inside the container
            _inside(container.folder, place).mkdir(parents=True, exist_ok=True)
        listening = {int(environment[name]) for name in LISTENING if name in environment}
        inside = sorted({*container.definition.ports, *listening})
        container.ports = dict(zip(inside, free_ports(len(inside)), strict=True))
        container.environment = self._environment(container, environment)
        return container

    def _environment(self, container: Container, handed_over: Mapping[str, str]) -> dict[str, str]:
        """What ECS hands over, with the differences from AWS: this is the table of them."""
        environment: dict[str, str] = {"PATH": os.defpath}
        for name, value in handed_over.items():
            if name in LISTENING:
                environment[name] = str(container.ports[int(value)])
            elif name in FROM_ECS:
                environment[name] = value.replace(DOCKER_HOST, "127.0.0.1")
            elif name in container.definition.environment:
                environment[name] = _relocated(value, container)
            else:
                environment[name] = value
        differences: dict[str, str | None] = {
            "AWS_ENDPOINT_URL": None,  # of the emulator, not of ECS: it would send calls for Bedrock to it
            "HOST": "127.0.0.1",  # LiteLLM's listening address: never beyond this machine
            "TMPDIR": str(_inside(container.folder, "/tmp")),  # noqa: S108 - a path inside the container
            **self._differences_of(handed_over),
        }
        for name, difference in differences.items():
            environment.pop(name, None)
            if difference is not None:
                environment[name] = difference
        return environment

    def start(self, container: Container, command: Sequence[str]) -> None:
        """Start a created container's process and have the watchdog know of it.

        Raises
        ------
        OSError
            The entry point cannot be executed.
        RuntimeError
            `stop_all` has been called.
        """
        with self._starting:
            if self._closed:
                raise RuntimeError("no container starts any more: everything is being stopped")
            container.start(command, before_stop=self._before_stop, ended=self._forget)
            self._watchdog.remember(container.process_group)

    def _forget(self, container: Container) -> None:
        with self._starting:  # a container may end before `start` has had it remembered
            self._watchdog.forget(container.process_group)

    def stop_all(self) -> None:
        """Stop every container, without draining, and wait for its end: SIGTERM, then SIGKILL at its stopTimeout."""
        with self._starting:
            self._closed = True
        running = [container for container in self.containers.list() if container.is_running()]
        for container in running:
            container.terminate()
        end = time.monotonic() + max((container.definition.stop_timeout for container in running), default=0.0)
        for container in running:
            with suppress(TimeoutError):
                container.wait(max(0.0, end - time.monotonic()))
            container.kill()
            container.wait()
        self._watchdog.close()


# The variables that name a port to listen on. Two tasks share 127.0.0.1, so each gets ports of its own.
LISTENING = ("PORT",)
# The variables that ECS itself adds; they hold the address of the task's host.
FROM_ECS = ("ECS_CONTAINER_METADATA_URI_V4", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def _inside(folder: Path, place: str) -> Path:
    return folder / place.lstrip("/")


def _relocated(value: str, container: Container) -> str:
    """A variable that names one of the container's writable places names it in the container's folder instead."""
    for place in container.definition.writable:
        if re.match(rf"{re.escape(place)}(/|$)", value):
            return str(_inside(container.folder, value))
    return value


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


class Watchdog:
    """A process that ends all remembered process groups when this process ends, however it ends.

    It holds the other end of a pipe, so not even SIGKILL of this process leaves a container behind.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 - this very module
            [sys.executable, "-I", "-S", str(Path(__file__).resolve())],  # the standard library is enough, and quick
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


WATCHDOG_PATIENCE = 10.0  # seconds between the watchdog's SIGTERM and its SIGKILL


def _watch_over(lines: IO[str]) -> None:
    """The watchdog's own program: remember and forget, then end what is left when the pipe closes."""
    groups: set[int] = set()
    for line in lines:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    _signal_all(groups, signal.SIGTERM)
    end = time.monotonic() + WATCHDOG_PATIENCE
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
