"""What takes long and is the same again is kept in `.cache/`, by a digest of all that it depends on.

A synthesis depends on the product's files, on the company's settings and config.yaml, and on the locked libraries.
Whatever is another in one of these is another digest; nothing is ever looked at by its age, but for being removed.
Who asks for what another process is making waits for that.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from stacks import CHECKOUT
from stacks.company import Company

FOLDER: Final = CHECKOUT / ".cache" / "remembered"
MOST: Final = 400  # documents of a kind: the environments of all example companies in some ten versions of the code
MOST_FOLDERS: Final = 20  # which are of megabytes
PRODUCT: Final = ("app.py", "cdk.json", "container", "lambda", "package.json", "requirements.txt", "stacks")
"""What templates are made of, beside a company's files."""


def digest(own: Company, *more: str) -> str:
    """Of all that the synthesis of a company depends on, and of what else is named."""
    settings = [each.model_dump_json() for each in own.all.values()]
    releases = own.releases.model_dump_json() if own.releases else ""
    return digest_of(_product(), *settings, releases, own.config.read_text("utf-8"), *more)


def digest_of(*texts: str) -> str:
    """Of texts, one after another."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def text_of(*names: str) -> str:
    """All files of the checkout with these names, or below folders of these names."""
    files = sorted(file for name in names for file in _files(CHECKOUT / name))
    return "".join(f"{file.relative_to(CHECKOUT)}\0{file.read_bytes().hex()}\0" for file in files)


def document(kind: str, key: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON
    """What `make` returned when it was asked with this key, which is JSON; it is asked now if nobody has done so."""
    file = FOLDER / kind / f"{key}.json"
    with contextlib.suppress(OSError, ValueError):
        return json.loads(file.read_text("utf-8"))
    with turn(kind, key):
        with contextlib.suppress(OSError, ValueError):
            return json.loads(file.read_text("utf-8"))
        text = json.dumps(make())
        _put(file, lambda place: place.write_text(text, "utf-8"))
    return json.loads(text)  # what is read later is the same


def is_known(kind: str, key: str) -> bool:
    """Whether `document` has it already."""
    return (FOLDER / kind / f"{key}.json").is_file()


def folder(kind: str, key: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` filled when it was asked with this key. It is for reading."""
    place = FOLDER / kind / key
    with contextlib.suppress(FileNotFoundError):
        os.utime(place)  # what is being read is not the next to go
        return place
    with turn(kind, key):
        if not place.is_dir():
            _put(place, make)
    return place


@contextlib.contextmanager
def turn(kind: str, key: str) -> Iterator[None]:
    """Be the only one, of all processes and threads, who is at what this names; whoever comes meanwhile waits."""
    place = FOLDER / kind / f".{key}.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(place, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):  # who had it has removed it, and another may be there by now
            if place.stat().st_ino == os.fstat(file).st_ino:
                break
        os.close(file)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)
        os.close(file)


def _put(place: Path, make: Callable[[Path], object]) -> None:
    """Have it made beside its place, and moved there whole: others may be reading."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".") as making:
        made = Path(making) / place.name
        if not place.suffix:
            made.mkdir()
        make(made)
        made.replace(place)
    kept = sorted(place.parent.glob("[!.]*"), key=_time, reverse=True)
    for each in kept[MOST if place.suffix else MOST_FOLDERS :]:
        shutil.rmtree(each, ignore_errors=True) if each.is_dir() else each.unlink(missing_ok=True)


def _time(kept: Path) -> float:
    with contextlib.suppress(FileNotFoundError):  # another process removes what is old, too
        return kept.stat().st_mtime
    return 0.0


@cache
def _product() -> str:
    return digest_of(text_of(*PRODUCT))


def _files(place: Path) -> Iterable[Path]:
    if place.is_file():
        yield place
    for folder_, folders, names in os.walk(place):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(folder_, name) for name in names)
