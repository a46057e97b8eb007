"""docs/licences.md: every pinned package has its licence, and none is under one that nobody has looked at."""

from __future__ import annotations

from email.message import Message

import pytest

from ops.access import OpsError
from ops.audit import licences
from stacks import CHECKOUT
from tests.checkout import own_files


def test_every_lock_is_listed() -> None:
    locks = {name for name in own_files(CHECKOUT) if name.endswith(("requirements.txt", "package-lock.json"))}
    assert {*licences.PYTHON, *licences.NPM} == locks | {"local/litellm.txt"}


@pytest.mark.parametrize("rows", [licences.python, licences.npm])
def test_no_licence_outside_the_list_comes_in(rows: object) -> None:
    assert callable(rows)
    assert licences.refused(rows()) == []


def test_each_reason_is_of_a_package_that_needs_one() -> None:
    rows = licences.python() | licences.npm()
    asked = {name for name, (licence, _) in rows.items() if not licences.names_in(licence) <= licences.ALLOWED}
    assert {licences.reason_of(name) for name in asked} == licences.REASONS.keys()


def test_every_package_of_every_lock_has_a_row() -> None:
    rows = licences.python()
    assert len(rows) > 200
    for lock in licences.PYTHON:
        assert licences.pinned(lock).keys() <= rows.keys(), lock


@pytest.mark.parametrize(
    ("licence", "passes"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("MIT OR GPL-3.0-only", False),
        ("GPL-3.0-only", False),
        ("LicenseRef-Proprietary", False),
        ("none named", False),
        ("SEE LICENSE IN LICENSE.md", False),
    ],
)
def test_what_is_allowed(licence: str, passes: bool) -> None:
    assert (licences.refused({"some": (licence, "application")}) == []) is passes


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ({"License-Expression": "MIT OR Apache-2.0", "Classifier": "License :: OSI Approved :: BSD License"}, None),
        ({"Classifier": "License :: OSI Approved :: BSD License"}, "BSD"),
        ({"Classifier": "License :: OSI Approved", "License": "Apache-2.0"}, "Apache-2.0"),
        ({"License": "MIT License\n\nCopyright"}, "MIT"),
        ({"Classifier": "Programming Language :: Python"}, "none named"),
    ],
)
def test_what_a_package_says(said: dict[str, str], licence: str | None) -> None:
    metadata = Message()
    for name, value in said.items():
        metadata[name] = value
    assert licences.licence_of(metadata) == (licence or said["License-Expression"])


def test_a_package_that_nobody_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "pinned", lambda _: {"nobody-knows-this": {"1.0"}})
    with pytest.raises(OpsError, match="knows no licence of nobody-knows-this: run make setup"):
        licences.python()
