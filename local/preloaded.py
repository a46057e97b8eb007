"""The processes that have imported LiteLLM (`local/preload`), and the folder where tasks find them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from local.confinement import Confinement, user_of
from local.place import Place
from stacks import CHECKOUT
from stacks.litellm_config import SERVED_AS

SERVER = Path(__file__).with_name("preload") / "server.py"


@dataclass(frozen=True)
class Preloaded:
    """The folder of the sockets of `local/preload`, and how its processes are confined, which their forks are too."""

    folder: Path
    confinement: Confinement


def preloaded_for(containers: Path) -> Preloaded:
    """A folder for the sockets, whose paths must be short, owned by this process.

    What forks there is the image's user and writes in `containers` alone, as the gateway's own containers do.
    """
    folder = Path(tempfile.mkdtemp(prefix="litellm-", dir="/tmp"))
    containers.mkdir(parents=True, exist_ok=True)
    (folder / "owner").write_text(str(os.getpid()))
    user = user_of(CHECKOUT / "container" / "Dockerfile")
    preloaded = Preloaded(folder, Confinement(user=user, writable=(containers, folder)))
    preloaded.confinement.own(folder)
    return preloaded


def import_early(preloaded: Preloaded, place: Place) -> subprocess.Popen[bytes] | None:
    """Begin to import LiteLLM with the variables that the tasks of `place` will have, while nothing is deployed yet.

    The server, which is returned, leaves with its folder; None where what would run here is no LiteLLM. Tasks that
    turn out to have other variables start one of their own.
    """
    variables = {
        **SERVED_AS,
        **{name: value for name, value in place.containers.items() if value is not None},
        **dict.fromkeys(("HOME", "TMPDIR"), str(preloaded.folder)),  # where it may write; a fork has its own
    }
    python = shutil.which("python3", path=variables.get("PATH", os.defpath))
    if python is None or shutil.which("litellm", path=variables.get("PATH", os.defpath)) is None:
        return None
    return subprocess.Popen(  # noqa: S603 - our own program
        preloaded.confinement.command([python, str(SERVER), str(preloaded.folder / "early.sock")]),
        env=variables,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
