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

pytestmark = pytest.mark.skipif(not possible(), reason="only root on Linux can be another user")


def running(gateway: LocalGateway) -> Iterator[psutil.Process]:
    """The processes whose working folder is an image's, as that of each container is."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(gateway.state / "aws" / IMAGES):
                yield process


def test_litellm_is_the_images_user_and_writes_to_its_volumes_alone(gateway: LocalGateway) -> None:
    uid, gid = ids(user_of(CHECKOUT / "container" / "Dockerfile"))
    containers = str(containers_in(gateway.state / "aws"))
    processes = [*running(gateway)]
    assert processes
    for process in processes:
        assert {*process.uids()} == {uid}, process
        assert {*process.gids()} == {gid}, process
        mounts = [line.split() for line in Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines()]
        writable = {each[4] for each in mounts if not each[4].startswith(("/proc", "/sys", "/dev"))} - {
            each[4] for each in mounts if "ro" in each[5].split(",")
        }
        assert writable - {containers} == {place for place in writable if place.startswith("/tmp/litellm-")}, process  # noqa: S108


def test_it_is_forked_from_what_was_imported_early(gateway: LocalGateway) -> None:
    assert [process for process in running(gateway) if any("early.sock" in word for word in process.cmdline())]
