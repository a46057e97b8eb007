"""Puts new texts of the company's files in place, with what people have changed in them by hand since."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.access import OpsError, run

BESIDE: Final = ".new"


def run_writing(command: str, work: Callable[[], int]) -> int:
    """As `run` of ops/access.py, for a command that writes all of its files in the end, or none: both say so."""
    interrupted: list[str] = []

    def checked() -> int:
        try:
            return work()
        except OSError as error:
            raise OpsError(f"{error.filename}: {error.strerror}: nothing was written.") from error
        except KeyboardInterrupt:
            interrupted.append(" Nothing was written.")
            raise

    return run(command, checked, done=lambda: "".join(interrupted))


@dataclass
class Merge:
    """What each file is to be, and, where that cannot be told, why: one sentence a file."""

    texts: dict[str, str] = field(default_factory=dict)
    conflicts: dict[str, str] = field(default_factory=dict)


def merged(folder: Path, base: Mapping[str, str] | None, new: Mapping[str, str]) -> Merge:
    """The new texts with what people have changed: `base` is what the earlier answers come to, None if unknown."""
    result = Merge()
    for name, text in new.items():
        found, conflict = _merged(folder / name, base.get(name) if base is not None else None, text)
        result.texts[name] = found
        if conflict:
            result.conflicts[name] = conflict
    return result


def _merged(file: Path, base: str | None, new: str) -> tuple[str, str]:
    """The text, and why it could not be merged with the file's."""
    own = file.read_text("utf-8") if file.exists() else None
    if own is None or own in (new, base):
        return new, ""
    if base is None:
        return new, (
            f"{file.name} is there, and what it was made from is not known: compare it with {file.name}{BESIDE}, which "
            "has the new text, and take over what you want"
        )
    if base == new:
        return own, ""
    if not shutil.which("git"):
        return new, (
            f"{file.name} has been changed by hand, and git, which would merge that with the new answers, is not "
            f"installed: take over what has changed in {file.name}{BESIDE}"
        )
    text = _three_ways(own, base, new)
    if text is None:
        return new, (
            f"{file.name} has been changed by hand where the new answers change it too: take over from "
            f"{file.name}{BESIDE} what you want"
        )
    return text, ""


def _three_ways(own: str, base: str, new: str) -> str | None:
    """What git makes of two changes of one text; None if they are of the same lines."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("own", own), ("base", base), ("new", new)):
            (Path(folder) / name).write_text(text, "utf-8")
        done = subprocess.run(
            ["git", "merge-file", "--stdout", "--quiet", "own", "base", "new"],  # noqa: S607 - the one of PATH
            cwd=folder,
            capture_output=True,
            check=False,
        )
    conflicts_of_all = range(1, 128)  # as git has it: their number; what is above is an error
    if done.returncode in conflicts_of_all:
        return None
    if done.returncode:
        raise OpsError(f"git merge-file has failed ({done.returncode}): {done.stderr.decode().strip()}")
    return done.stdout.decode("utf-8")


def differences(folder: Path, texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a diff of the files with their new texts."""
    for name, text in texts.items():
        file = folder / name
        own = file.read_text("utf-8") if file.exists() else ""
        yield from difflib.unified_diff(
            own.splitlines(),
            text.splitlines(),
            str(file) if file.exists() else os.devnull,
            str(file),
            lineterm="",
        )


def beside(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the texts that the files would be given beside them, for a person to take over."""
    put(
        folder,
        {
            f"{name}{BESIDE}": text
            for name, text in texts.items()
            if not (folder / name).exists() or (folder / name).read_text("utf-8") != text
        },
    )


def tidy(folder: Path, names: Iterable[str]) -> None:
    """Remove what an earlier run has left beside the files: a person has taken it over."""
    for name in names:
        (folder / f"{name}{BESIDE}").unlink(missing_ok=True)


def put(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write those texts that are new, all of them or none; what was written."""
    changed = {
        folder / name: text
        for name, text in texts.items()
        if not (folder / name).exists() or (folder / name).read_text("utf-8") != text
    }
    with _all_or_none(folder, list(changed)) as staged:
        for file, text in changed.items():
            (staged / file.name).write_text(text, "utf-8")
        for file in changed:
            (staged / file.name).replace(file)
    return list(changed)


@contextmanager
def _all_or_none(folder: Path, files: list[Path]) -> Iterator[Path]:
    """A folder to make the files in; whatever happens before all are in place, those of before are put back."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    before = {file: file.read_bytes() if file.exists() else None for file in files}
    try:
        with tempfile.TemporaryDirectory(prefix=".init-", dir=folder) as staged:
            yield Path(staged)
    except BaseException:
        for file, content in before.items():
            if content is None:
                file.unlink(missing_ok=True)
            else:
                file.write_bytes(content)
        if made:
            shutil.rmtree(folder)
        raise
