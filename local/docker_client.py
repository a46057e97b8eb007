"""What the emulated ECS is given in place of a Docker engine: a client whose containers are processes of this machine.

ECS starts, watches, stops and reads the logs of containers through the Docker SDK's client. `LocalDocker` answers to
the part of that interface which it uses (`containers.run/get/list`, `images.pull/get/get_registry_data`), and gives
each container (`local.containers`) its folder, its ports and its environment.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from local.confinement import Confinement
from local.containers import Container, Definition, Image
from local.ports import free_ports
from local.preloaded import Preloaded
from local.watchdog import Watchdog

# The host name by which a container in Docker reaches its host; a process is on that host already.
DOCKER_HOST = "host.docker.internal"
# The variables that name a port to listen on. Two tasks share 127.0.0.1, so each gets ports of its own.
LISTENING = ("PORT",)
# The variables that ECS itself adds; they hold the address of the task's host.
FROM_ECS = ("ECS_CONTAINER_METADATA_URI_V4", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


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
        """Start a container. Networks, volumes and platforms have no meaning for a process.

        Raises
        ------
        LookupError
            The image is not in the registry.
        OSError
            The entry point cannot be executed.
        ValueError
            The definition's user is unknown here.
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
    preloaded
        The processes that have imported LiteLLM, for the containers that are confined as they are; None for none.
    """

    def __init__(
        self,
        state: Path,
        *,
        definition_of: Callable[[Mapping[str, str]], Definition],
        image_of: Callable[[str], Image],
        differences_of: Callable[[Mapping[str, str]], Mapping[str, str | None]] = lambda _: {},
        before_stop: Callable[[Container], None] = lambda _: None,
        preloaded: Preloaded | None = None,
    ) -> None:
        self._state = state
        self._preloaded = preloaded
        self._definition_of = definition_of
        self._differences_of = differences_of
        self._before_stop = before_stop
        # What has imported LiteLLM may empty its folder, but where it is confined may not remove it.
        self._watchdog = Watchdog([preloaded.folder] if preloaded else [])
        self._starting = threading.Lock()
        self._closed = False
        self.containers = Containers(self)
        self.images = Images(image_of)

    def create(self, image: Image, environment: Mapping[str, str], name: str, labels: Mapping[str, str]) -> Container:
        """Make a container with its folder, its ports and its environment, not yet started."""
        logs, folders = self._state / "logs", containers_in(self._state)
        logs.mkdir(parents=True, exist_ok=True)
        container = Container(
            image,
            name=name,
            labels=labels,
            definition=self._definition_of(labels),
            folder=folders / name,
            log=logs / f"{name}.log",
        )
        self._confine(container)
        listening = {int(environment[name]) for name in LISTENING if name in environment}
        inside = sorted({*container.definition.ports, *listening})
        container.ports = dict(zip(inside, free_ports(len(inside)), strict=True))
        container.environment = self._environment(container, environment)
        return container

    def _confine(self, container: Container) -> None:
        """Make its writable places, and have it be who it is on AWS, where this machine permits that."""
        definition, tmp = container.definition, _inside(container.folder, "/tmp")  # noqa: S108 - inside the container
        volumes = [_inside(container.folder, place) for place in definition.writable]
        for place in {*volumes, tmp}:
            place.mkdir(parents=True, exist_ok=True)
        if definition.read_only:
            # All containers' folders, of which only its own volumes belong to it: so that a process that has imported
            # LiteLLM serves them all.
            preloaded = [self._preloaded.folder] if self._preloaded else []
            writable = (containers_in(self._state), *preloaded)
            container.confinement = Confinement(user=container.confinement.user, writable=writable)
        # A new volume has the owner of the image's folder, which its Dockerfile gives to its user.
        Confinement(user=container.image.user).own(*({*volumes} if definition.read_only else {*volumes, tmp}))

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
            # Roles are assumed there.
            "AWS_ENDPOINT_URL_STS": handed_over.get("AWS_ENDPOINT_URL", "").replace(DOCKER_HOST, "127.0.0.1") or None,
            "HOST": "127.0.0.1",  # LiteLLM's listening address: never beyond this machine
            "TMPDIR": str(_inside(container.folder, "/tmp")),  # noqa: S108 - a path inside the container
            **self._differences_of(handed_over),
        }
        if self._preloaded and self._preloaded.confinement == container.confinement:
            differences["LITELLM_PRELOAD"] = str(self._preloaded.folder)
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


def containers_in(state: Path) -> Path:
    """Where the containers' writable places are."""
    return state / "containers"


def _inside(folder: Path, place: str) -> Path:
    return folder / place.lstrip("/")


def _relocated(value: str, container: Container) -> str:
    """A variable that names one of the container's writable places names it in the container's folder instead."""
    for place in container.definition.writable:
        if re.match(rf"{re.escape(place)}(/|$)", value):
            return str(_inside(container.folder, value))
    return value
