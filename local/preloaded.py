"""The processes that have imported LiteLLM (`local/preload`), and the folder where tasks find them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from local.place import Place
from stacks.litellm_config import SERVED_AS

SERVER = Path(__file__).with_name("preload") / "server.py"


def preload_folder() -> Path:
    """A folder for the sockets of `local/preload`, whose paths must be short, owned by this process."""
    folder = Path(tempfile.mkdtemp(prefix="litellm-", dir="/tmp"))
    (folder / "owner").write_text(str(os.getpid()))
    return folder


def import_early(folder: Path, place: Place) -> None:
    """Begin to import LiteLLM with the variables that the tasks of `place` will have, while nothing is deployed yet.

    The server leaves with its folder. Where tasks turn out to have other variables, they start one of their own.
    """
    variables = {**SERVED_AS, **{name: value for name, value in place.containers.items() if value is not None}}
    python = shutil.which("python3", path=variables.get("PATH", os.defpath))
    if python is None or shutil.which("litellm", path=variables.get("PATH", os.defpath)) is None:
        return  # what is run here is no LiteLLM
    subprocess.Popen(  # noqa: S603 - our own program
        [python, str(SERVER), str(folder / "early.sock")],
        env=variables,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
