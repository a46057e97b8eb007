"""A copy of the checkout, to do in it what somebody would do in theirs."""

import fnmatch
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path

from stacks import CHECKOUT

INSTALLED = (".venv", "node_modules", ".tools")


def copy_checkout(folder: Path, *, without: tuple[str, ...] = (), checkout: Path = CHECKOUT) -> None:
    """Copy the files of the checkout, with what is not committed yet, and lend the copy what is installed.

    What begins with one of `without` is left out. What has been compiled of its Python goes along, as each process in
    the copy would compile it anew: Python takes it only for a source of the same time and size, which a copy keeps.
    """
    for name in own_files(checkout):
        if (checkout / name).is_file() and not name.startswith(without):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, folder / name)
            if name.endswith(".py"):
                _copy_compiled(checkout / name, folder / name)
    for name in INSTALLED:
        (folder / name).symlink_to(checkout / name)


def _copy_compiled(source: Path, target: Path) -> None:
    compiled, place = (Path(cache_from_source(str(each))) for each in (source, target))
    if compiled.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(compiled, place)


def own_files(checkout: Path) -> list[str]:
    """The paths of the checkout's own files, in it: what Git has or would take, and all that it has been told to where
    it is no clone, as an archive is. Git may also not be there, or refuse: the clone is somebody else's.
    """
    if (checkout / ".git").exists() and shutil.which("git"):
        command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        listed = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        if not listed.returncode:
            return [name for name in listed.stdout.split("\0") if name]
    return [*_not_ignored(checkout)]


def _not_ignored(checkout: Path) -> Iterator[str]:
    lines = (checkout / ".gitignore").read_text("utf-8").splitlines()
    ignored = [".git", *(line.strip("/") for line in lines if line and not line.startswith("#"))]
    folders = [checkout]
    while folders:
        for path in folders.pop().iterdir():
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in ignored):
                continue
            if path.is_dir():
                folders.append(path)
            else:
                yield str(path.relative_to(checkout))
