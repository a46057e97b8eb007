"""One version of LiteLLM everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import litellm_venv
from stacks import CHECKOUT
from stacks.litellm_config import image_version


def test_image_and_local_run_have_the_same_version() -> None:
    version = image_version(CHECKOUT / litellm_venv.DOCKERFILE)
    assert litellm_venv.locked_version(CHECKOUT) == version


def test_the_lock_verifies_every_package() -> None:
    lock = (CHECKOUT / litellm_venv.LOCK).read_text()
    entries = [entry for entry in lock.split("\n\n\n") for entry in entry.splitlines() if "==" in entry]
    assert entries
    assert all(entry.endswith(" \\") for entry in entries), "each package is followed by its hashes"


def test_different_versions_are_refused(tmp_path: Path) -> None:
    for folder in ("container", "local"):
        (tmp_path / folder).mkdir()
    (tmp_path / litellm_venv.DOCKERFILE).write_text("ARG LITELLM_VERSION=9.9.9\n")
    (tmp_path / litellm_venv.LOCK).write_text("litellm==1.0.0 \\\n")
    with pytest.raises(litellm_venv.InstallError, match=r"9\.9\.9.*1\.0\.0"):
        litellm_venv.install(tmp_path)


def test_the_stand_ins_come_first_on_the_path() -> None:
    environment = litellm_venv.process_environment(CHECKOUT)
    assert environment["PATH"].split(":")[:2] == [str(CHECKOUT / "local" / name) for name in ("preload", "prisma")]
    assert Path(environment["PRISMA_QUERY_ENGINE_BINARY"]).exists()


def test_of_the_clients_types_those_of_two_tables_go() -> None:
    kept = """\
class KeyArgsFromKey(TypedDict, total=False):
    team: 'FindManyTeamArgsFromKey'

class FindManyKeyArgsFromKey(TypedDict, total=False):
    take: int
    where: 'KeyWhereInput'


FindManyKeyArgs = FindManyKeyArgsFromKey
class KeyWhereInput(TypedDict, total=False):
    team: str
"""
    gone = [
        f"class {name}(TypedDict, total=False):\n    take: int\n    team: 'TeamArgsFromKey'\n\n\n"
        for name in ("KeyTwoArgsFromKey", "TeamIncludeFromKey", "FindManyTeamArgsFromKey")
    ]
    assert litellm_venv.OF_TWO_TABLES.sub("", "".join([*gone, kept, *gone])) == kept
