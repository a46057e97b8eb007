"""What the checkout pins: the locks are of what is asked for, and Renovate proposes later versions of all of it.

Renovate's own checks of its file (`renovate-config-validator`) are not installed here: it brings some 400 packages.
"""

from __future__ import annotations

import ast
import fnmatch
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local.litellm_venv import locked_version
from stacks import CHECKOUT
from tests.checkout import own_files

RENOVATE: dict[str, Any] = json.loads((CHECKOUT / ".github" / "renovate.json").read_text())
PROJECT: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
PACKAGE: dict[str, Any] = json.loads((CHECKOUT / "package.json").read_text())

# Which files a manager reads by itself: `managerFilePatterns` of its page (Renovate's documentation, Managers).
READ_BY_ITSELF = {
    "github-actions": [r"/(^|/)\.(?:github|gitea|forgejo)/(?:workflows|actions)/.+\.ya?ml$/"],
    "npm": [r"/(^|/)package\.json$/"],
    "pep621": [r"/(^|/)pyproject\.toml$/"],
    "pip_requirements": [r"/(^|/)[\w-]*requirements([-._]\w+)?\.(txt|pip)$/"],
}
# How a pin looks, by the names of the files that can have it.
PINS = {
    "*": r"^\s*[\"']?[A-Za-z0-9][\w.-]*(?:\[[\w,-]+\])?==\d"
    r"|uses: +\S+@[0-9a-f]{40}"
    r"|^ARG \w*VERSION=\d"
    r"|^\w+_version=[\"']?\d"
    r"|\b(?:docker\.io|gcr\.io|ghcr\.io|public\.ecr\.aws|quay\.io)/[\w./-]+(?::v?\d+\.\d+\.\d+|@sha256:)",
    "package.json": r'^\s*"@?[\w./-]+": "[~^]?\d+\.\d+\.\d+',
}
NOT_READ = ("*.md", "docs/*", "tests/*", "company/*")  # they tell of versions, and pin none


def _pinning() -> Iterator[str]:
    for name in sorted(own_files(CHECKOUT)):
        if any(fnmatch.fnmatch(name, pattern) for pattern in NOT_READ) or not (CHECKOUT / name).is_file():
            continue
        text = (CHECKOUT / name).read_text("utf-8", errors="replace")
        for files, pin in PINS.items():
            if fnmatch.fnmatch(PurePosixPath(name).name, files) and re.search(pin, text, re.MULTILINE):
                yield name


def _patterns(config: Mapping[str, Any]) -> Iterator[str]:
    for manager in config["enabledManagers"]:
        if manager == "custom.regex":
            for custom in config["customManagers"]:
                yield from custom["managerFilePatterns"]
        else:
            yield from READ_BY_ITSELF[manager]
            yield from config.get(manager, {}).get("managerFilePatterns", [])


def _unread(config: Mapping[str, Any]) -> set[str]:
    patterns = [re.compile(pattern.removeprefix("/").removesuffix("/")) for pattern in _patterns(config)]
    return {name for name in _pinning() if not any(pattern.search(name) for pattern in patterns)}


def _rules(key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each pattern that a rule has under a key, with the rule."""
    for rule in RENOVATE["packageRules"]:
        for pattern in rule.get(key, ()):
            yield pattern, rule


GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
LITELLM_IN = (CHECKOUT / "local" / "litellm.in").read_text()
# What each lock of Python's is resolved from, as `make lock` does.
LOCKS = {
    "requirements.txt": [
        *PROJECT["project"]["dependencies"],
        *chain.from_iterable(asked for name, asked in GROUPS.items() if name not in {"load", "audit"}),
    ],
    "ops/bench_gateway/requirements.txt": GROUPS["load"],
    "ops/audit/requirements.txt": GROUPS["audit"],
    "local/litellm.txt": re.findall(r"^[^#\s]+", LITELLM_IN, re.MULTILINE),
} | {
    f"lambda/{name}/requirements.txt": asked
    for name, asked in GROUPS.items()
    if name not in {"test", "local", "load", "audit"}
}

# --- What is proposed -------------------------------------------------------------------------------------------------


def test_each_file_that_pins_something_is_read() -> None:
    assert _unread(RENOVATE) == set()


@pytest.mark.parametrize(
    ("without", "unread"),
    [
        ("custom.regex", {"container/Dockerfile", "container/build-image.sh"}),
        ("github-actions", {f".github/workflows/{name}.yml" for name in ("deploy", "promote", "test")}),
        ("npm", {"package.json"}),
        ("pep621", {"pyproject.toml"}),
        ("pip_requirements", {"requirements.txt", "lambda/usage/requirements.txt", "local/litellm.in"}),
    ],
)
def test_a_file_that_is_not_read_would_be_named(without: str, unread: set[str]) -> None:
    managers = [manager for manager in RENOVATE["enabledManagers"] if manager != without]
    assert _unread(RENOVATE | {"enabledManagers": managers}) >= unread


def test_what_no_manager_knows_is_found_in_its_file() -> None:
    found = {}
    for manager in RENOVATE["customManagers"]:
        (pattern,), (match,) = manager["managerFilePatterns"], manager["matchStrings"]
        (name,) = (name for name in own_files(CHECKOUT) if re.search(pattern.strip("/"), name))
        for hit in re.finditer(match.replace("(?<", "(?P<"), (CHECKOUT / name).read_text()):
            groups = hit.groupdict()
            found[groups.get("depName") or manager["depNameTemplate"]] = groups["currentValue"]
    assert found.keys() == {"litellm", "cosign", "syft", "grype"}
    assert found["litellm"] == locked_version(CHECKOUT)


def test_what_is_resolved_is_proposed_only_if_it_is_unsafe() -> None:
    lock = (CHECKOUT / "Makefile").read_text().split("\nlock:")[1].split("\n\n")[0]
    written = {name.replace("$$package", "*") for name in re.findall(r" -o (\S+)", lock)}
    assert "requirements.txt" in written
    last = RENOVATE["packageRules"][-1]  # later rules win
    assert (set(last["matchFileNames"]), last["enabled"]) == (written, False)
    unsafe = RENOVATE["vulnerabilityAlerts"]
    assert (unsafe["enabled"], unsafe["schedule"], unsafe["minimumReleaseAge"]) == (True, ["at any time"], None)
    assert RENOVATE["osvVulnerabilityAlerts"] is True


def test_litellm_is_proposed_alone_and_with_its_page() -> None:
    (rule,) = (rule for name, rule in _rules("matchPackageNames") if name == "litellm")
    assert (rule["groupName"], rule["matchFileNames"]) == (None, ["container/Dockerfile"])
    pages = re.findall(r"\(\.\./blob/\{\{\{baseBranch}}}/([^)]+)\)", "".join(rule["prBodyNotes"]))
    assert len(pages) == 1
    assert (CHECKOUT / pages[0]).is_file()


def test_each_rule_is_of_something_that_is_there() -> None:
    files = set(own_files(CHECKOUT))
    names = {Requirement(asked).name for asked in chain.from_iterable(LOCKS.values())}
    names |= {*PACKAGE["devDependencies"], *PACKAGE["optionalDependencies"], "litellm"}
    nothing = [name for name, _ in _rules("matchFileNames") if not fnmatch.filter(files, name)]
    nothing += [name for name, _ in _rules("matchPackageNames") if not fnmatch.filter(names, name)]
    assert nothing == []
    managers = {name for name, _ in _rules("matchManagers")}
    assert managers <= set(RENOVATE["enabledManagers"])


# --- The locks --------------------------------------------------------------------------------------------------------


def _locked(name: str) -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)(?:\[[^]]*])?==([^\s;]+)", (CHECKOUT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in pins}


def _out_of_step(requirements: list[str], lock: Mapping[str, str]) -> list[str]:
    """The requirements that a lock does not meet."""
    parsed = {text: Requirement(text) for text in requirements}
    versions = {text: lock.get(canonicalize_name(each.name), "") for text, each in parsed.items()}
    return [text for text, each in parsed.items() if not versions[text] or not each.specifier.contains(versions[text])]


@pytest.mark.parametrize("lock", sorted(LOCKS))
def test_a_lock_is_of_what_is_asked_for(lock: str) -> None:
    """A proposal changes what is asked for; it passes once `make lock` has been run on its branch."""
    assert _out_of_step(LOCKS[lock], _locked(lock)) == []


def test_one_that_is_not_would_be_named() -> None:
    lock = {"aws-cdk-lib": "2.275.0", "pydantic": "2.13.9"}
    assert _out_of_step(["aws-cdk-lib==2.276.0", "pydantic>=2.14", "boto3"], lock) == [
        "aws-cdk-lib==2.276.0",
        "pydantic>=2.14",
        "boto3",
    ]
    assert _out_of_step(["aws_cdk.lib==2.275.0"], lock) == []


def test_what_runs_here_counts_geminis_tokens_with_what_the_image_has() -> None:
    """LiteLLM's image is built with its extra `proxy-runtime`, which has google-genai: without it a count is a 500."""
    (metadata,) = (CHECKOUT / ".tools" / "litellm").glob("lib/*/site-packages/litellm-*.dist-info/METADATA")
    asked = re.findall(
        r"^Requires-Dist: (google-genai\S*) ; extra == 'proxy-runtime'$", metadata.read_text(), re.MULTILINE
    )
    assert len(asked) == 1
    assert _out_of_step(asked, _locked("local/litellm.txt")) == []


@pytest.mark.parametrize("folder", [".", "local/clients"])
def test_npms_lock_is_of_what_is_asked_for(folder: str) -> None:
    package = json.loads((CHECKOUT / folder / "package.json").read_text())
    root = json.loads((CHECKOUT / folder / "package-lock.json").read_text())["packages"][""]
    assert {*root} & {"dependencies", "devDependencies"}
    for key in ("dependencies", "devDependencies", "optionalDependencies"):
        assert root.get(key) == package.get(key)


def _imported_of_the_cdk() -> Iterator[str]:
    """The CDK's modules that own files import, each of which is a package."""
    (place,) = find_spec("aws_cdk").submodule_search_locations  # type: ignore[union-attr, misc]  # it is installed
    for file in (CHECKOUT / name for name in own_files(CHECKOUT) if name.endswith(".py")):
        if "aws_cdk" not in (text := file.read_text("utf-8")):
            continue
        for node in ast.walk(ast.parse(text)):
            names: list[str] = []
            match node:
                case ast.Import(names=aliases):
                    names = [alias.name for alias in aliases]
                case ast.ImportFrom(module=str(origin), names=aliases):
                    names = [origin, *(f"{origin}.{alias.name}" for alias in aliases)]
            for top, *below in (name.split(".") for name in names):
                if top == "aws_cdk" and Path(place, *below).is_dir():
                    yield ".".join((top, *below))


def test_of_the_cdks_modules_those_that_are_imported_have_types() -> None:
    """Each other one is Any for mypy: whoever imports another service adds it to `tool.mypy.overrides`."""
    overrides = PROJECT["tool"]["mypy"]["overrides"]
    (followed,) = (entry["module"] for entry in overrides if entry["follow_imports"] == "silent")
    imported = {*_imported_of_the_cdk()}
    assert {"aws_cdk", "aws_cdk.aws_ecs", "aws_cdk.assertions"} < imported
    assert imported <= {*followed}
