"""What the CDK CLI zips to publish it is zipped once for all assemblies of this checkout, not once for each.

The zips of what functions run are the larger part of the work of `cdk deploy`. The CLI looks for a zip by its asset's
hash in `.cache` of the assembly first, and moves a new one there whole (aws-cdk, `FileAssetHandler`). An asset's hash
is that of all that its content is made of (`stacks/constructs/python_function.py`): the same in each assembly.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Final

from stacks import CHECKOUT

ZIPPED: Final = CHECKOUT / ".cache" / "assets"
UNUSED_DAYS: Final = 30  # after which a zip goes: that of a version of the code that nobody deploys any more


def share(assembly: Path, zipped: Path = ZIPPED) -> None:
    """Have the zips of a synthesized assembly, which is to be deployed, taken from where all have theirs.

    Parameters
    ----------
    assembly
        What `cdk synth` wrote, with everything bundled.
    zipped
        The folder of the zips.
    """
    zipped.mkdir(parents=True, exist_ok=True)
    for asset in assembly.glob("asset.*"):
        with contextlib.suppress(FileNotFoundError):
            os.utime(zipped / f"{asset.name.removeprefix('asset.')}.zip")
    for place in assembly.glob("assembly-*"):
        cache = place / ".cache"
        if cache.is_symlink():
            continue
        shutil.rmtree(cache, ignore_errors=True)  # of an assembly of before
        with contextlib.suppress(FileExistsError):  # another process deploys the same assembly
            cache.symlink_to(zipped)
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for each in zipped.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process is at it too
            if each.stat().st_mtime < oldest:
                each.unlink()
