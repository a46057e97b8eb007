"""What the running containers are on this machine: as confined as on Fargate, where the machine permits it."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from local.aws import IMAGES
from local.confinement import ids, possible, user_of
from local.docker_client import containers_in
from local.gateway import LocalGateway
from stacks import CHECKOUT
from tests.e2e.conftest import eventually

pytestmark = pytest.mark.skipif(not possible(), reason="only root on Linux can be another user")


def running(gateway: LocalGateway) -> Iterator[psutil.Process]:
    """The processes whose working folder is an image's, as that of each container is."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(gateway.state / "aws" / IMAGES):
                yield process


def astray(gateway: LocalGateway) -> list[str]:
    """The processes that are another user than the image's, or may write to more than its volumes."""
    uid, gid = ids(user_of(CHECKOUT / "container" / "Dockerfile"))
    containers = str(containers_in(gateway.state / "aws"))
    found = []
    for process in running(gateway):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):  # a health check that has ended
            mounts = [line.split() for line in Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines()]
            writable = {each[4] for each in mounts if not each[4].startswith(("/proc", "/sys", "/dev"))} - {
                each[4] for each in mounts if "ro" in each[5].split(",")
            }
            more = {place for place in writable - {containers} if not place.startswith("/tmp/litellm-")}  # noqa: S108
            if ({*process.uids()}, {*process.gids()}, more) != ({uid}, {gid}, set()):
                found.append(f"{process}: {process.uids()} {process.gids()} {sorted(more)}")
    return found


def test_litellm_is_the_images_user_and_writes_to_its_volumes_alone(gateway: LocalGateway) -> None:
    """But for the moment in which a process is made that."""
    assert [*running(gateway)]
    assert eventually(lambda: not astray(gateway)), astray(gateway)


def test_it_is_forked_from_what_was_imported_early(gateway: LocalGateway) -> None:
    assert [process for process in running(gateway) if any("early.sock" in word for word in process.cmdline())]
