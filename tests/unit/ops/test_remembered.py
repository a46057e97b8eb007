"""ops/remembered.py: what takes long is made once for all that it depends on, and again for anything else."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ops import remembered
from stacks.company import company


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(remembered, "FOLDER", tmp_path / "remembered")
    return tmp_path / "remembered"


def test_a_document_is_made_once(place: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, list[int]]:
        made.append(1)
        return {"of": made}

    assert [remembered.document("kind", "key", make) for _ in range(3)] == [{"of": [1]}] * 3
    assert remembered.document("kind", "another", make) == {"of": [1, 1]}
    assert remembered.document("other", "key", make) == {"of": [1, 1, 1]}
    assert sorted(str(file.relative_to(place)) for file in place.rglob("*.json")) == [
        *("kind/another.json", "kind/key.json", "other/key.json"),
    ]


def test_what_is_known_can_be_asked_without_making_it() -> None:
    assert not remembered.is_known("kind", "key")
    remembered.document("kind", "key", lambda: 0)
    assert remembered.is_known("kind", "key")
    assert not remembered.is_known("kind", "another")


def test_each_reader_has_its_own() -> None:
    remembered.document("kind", "key", lambda: {"a": 1})["a"] = 2
    assert remembered.document("kind", "key", dict) == {"a": 1}


def test_a_document_that_was_cut_off_is_made_anew(place: Path) -> None:
    (place / "kind").mkdir(parents=True)
    (place / "kind" / "key.json").write_text('{"a": ')
    assert remembered.document("kind", "key", lambda: 3) == remembered.document("kind", "key", lambda: 4) == 3


def test_what_fails_leaves_nothing(place: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("no such thing")

    for _ in range(2):
        with pytest.raises(ValueError, match="no such thing"):
            remembered.folder("kind", "key", fail)
    assert [each for each in place.rglob("*") if each.is_file()] == []
    found = remembered.folder("kind", "key", lambda folder: (folder / "whole").touch())
    assert [each.name for each in found.iterdir()] == ["whole"]
    assert remembered.folder("kind", "key", fail) == found


@pytest.mark.parametrize("kind_of", ["document", "folder"])
def test_who_asks_meanwhile_waits_for_it(place: Path, kind_of: str) -> None:
    """As a second process does: each opens the lock for itself."""
    made, asked = threading.Event(), threading.Event()
    times: list[str] = []

    def make(folder: Path | None = None) -> int:
        times.append(str(folder))
        asked.set()
        assert made.wait(60)
        return 1

    ask = getattr(remembered, kind_of)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(ask, "kind", "key", make)
        assert asked.wait(60)
        others = [pool.submit(ask, "kind", "key", make) for _ in range(7)]
        assert ask("kind", "another", (lambda folder: None) if kind_of == "folder" else lambda: 2)
        assert not any(each.done() for each in others)
        made.set()
        assert {each.result() for each in others} == {first.result()}
    assert len(times) == 1
    assert list(place.rglob("*.lock")) == []


def test_after_one_that_failed_the_next_makes_it(place: Path) -> None:
    def fail() -> None:
        raise ValueError("no such thing")

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(remembered.document, "kind", "key", fail).exception()
    assert remembered.document("kind", "key", lambda: 3) == 3


def test_only_the_newest_are_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 2)
    for number in range(4):
        remembered.document("kind", str(number), lambda: 0)
        os.utime(place / "kind" / f"{number}.json", (number, number))
    assert sorted(file.name for file in (place / "kind").iterdir()) == ["2.json", "3.json"]


def test_the_digest_is_of_all_that_a_synthesis_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = company()
    known = remembered.digest(own, "dev")
    assert remembered.digest(own, "dev") == known
    (tmp_path / "config.yaml").write_text(own.config.read_text() + "\n# another\n")
    others = {
        "environment": remembered.digest(own, "stg"),
        "settings": remembered.digest(
            replace(own, local=own.local.model_copy(update={"log_retention_days": 1})), "dev"
        ),
        "releases": remembered.digest(replace(own, releases=None), "dev"),
        "config.yaml": remembered.digest(replace(own, folder=tmp_path), "dev"),
    }
    for name in remembered.PRODUCT:
        monkeypatch.setattr(remembered, "_product", lambda name=name: remembered.text_of(name))
        others[name] = remembered.digest(own, "dev")
    assert len({known, *others.values()}) == 1 + len(others)


def test_text_is_of_names_and_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "CHECKOUT", tmp_path)
    (tmp_path / "folder" / "__pycache__").mkdir(parents=True)
    (tmp_path / "folder" / "__pycache__" / "a.pyc").touch()
    texts = set()
    for name, content in (("a", "1"), ("a", "2"), ("b", "2")):
        for old in (tmp_path / "folder").glob("?"):
            old.unlink()
        (tmp_path / "folder" / name).write_text(content)
        texts.add(remembered.text_of("folder"))
    assert len(texts) == 3
    assert "pyc" not in "".join(texts)


def test_a_folder_that_is_asked_for_again_is_not_the_next_to_go(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked is reading it."""
    monkeypatch.setattr(remembered, "MOST_FOLDERS", 2)
    for number, name in enumerate("ab"):
        os.utime(remembered.folder("kind", name, lambda _: None), (number, number))
    for name in "ac":
        remembered.folder("kind", name, lambda _: None)
    assert sorted(folder.name for folder in (place / "kind").iterdir()) == ["a", "c"]


def test_what_another_process_has_removed_meanwhile_is_no_matter(place: Path) -> None:
    (place / "kind").mkdir(parents=True)
    (place / "kind" / "gone.json").symlink_to("nowhere")
    assert remembered.document("kind", "key", lambda: 1) == 1
