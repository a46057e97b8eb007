"""local/assets.py: one folder of zips for all assemblies."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from local import assets
from local.assets import UNUSED_DAYS, share

OLD = 1_000_000_000  # s since the epoch, long ago


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    """A folder with the zip of an asset that was used long ago."""
    folder = tmp_path / "zipped"
    folder.mkdir()
    (folder / "0a1b.zip").write_text("0a1b")
    os.utime(folder / "0a1b.zip", (OLD, OLD))
    return folder


def assembly(folder: Path, *assets: str) -> Path:
    for name in ("assembly-dev", "assembly-prod", *(f"asset.{each}" for each in assets)):
        (folder / name).mkdir(parents=True)
    return folder


def test_each_environment_finds_what_another_assembly_has_zipped(tmp_path: Path, zipped: Path) -> None:
    one, other = assembly(tmp_path / "one", "0a1b"), assembly(tmp_path / "other", "0a1b")
    share(one, zipped)
    share(other, zipped)
    (one / "assembly-dev" / ".cache" / "2c3d.zip").write_text("2c3d")
    for place in (one / "assembly-prod", other / "assembly-dev"):
        assert {file.name: file.read_text() for file in (place / ".cache").iterdir()} == {
            "0a1b.zip": "0a1b",
            "2c3d.zip": "2c3d",
        }
    share(one, zipped)  # as a second start does
    assert (one / "assembly-dev" / ".cache").resolve() == zipped.resolve()


def test_a_cache_of_before_gives_way(tmp_path: Path, zipped: Path) -> None:
    one = assembly(tmp_path / "one")
    (one / "assembly-dev" / ".cache").mkdir()
    (one / "assembly-dev" / ".cache" / "2c3d.zip").write_text("2c3d")
    share(one, zipped)
    assert (one / "assembly-dev" / ".cache").is_symlink()


@pytest.mark.parametrize(("asset", "stays"), [("0a1b", True), ("2c3d", False)])
def test_what_nobody_uses_goes(tmp_path: Path, zipped: Path, asset: str, stays: bool) -> None:
    assert UNUSED_DAYS > 1
    share(assembly(tmp_path / "one", asset), zipped)
    assert (zipped / "0a1b.zip").exists() == stays


def test_nothing_of_it_is_there_on_a_new_machine(tmp_path: Path) -> None:
    share(assembly(tmp_path / "one", "0a1b"), tmp_path / "cache" / "zipped")
    assert list((tmp_path / "cache" / "zipped").iterdir()) == []


def test_another_process_that_is_at_the_same_assembly(
    tmp_path: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may put its link there between the look and ours."""
    own = assembly(tmp_path / "one", "0a1b")
    monkeypatch.setattr(assets, "shutil", SimpleNamespace(rmtree=lambda cache, **_: cache.symlink_to(zipped)))
    share(own, zipped)
    assert (own / "assembly-dev" / ".cache").resolve() == zipped.resolve()
