"""Every kind of pin is by hash or digest: what is downloaded is what somebody looked at, or nothing.

Actions of GitHub are pinned by commit (`test_workflows.py`), what builds the image by SHA-256, and the image's base by
the digest whose signature was verified (`container/test_build_image.py`); a file that is not what was locked ends a
function's bundling (`constructs/test_python_function.py`). This has the rest, and what is not pinned so, and why.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from stacks import CHECKOUT
from tests.checkout import own_files

NOT_READ = ("*.md", "docs/*", "tests/*", "company/*", "*.svg", "*.json", "*.txt")  # they install nothing

BY_TAG: Final = {
    "ghcr.io/berriai/litellm:v${LITELLM_VERSION}${LITELLM_DIGEST:+@${LITELLM_DIGEST}}": (
        "container/build-image.sh hands over the digest that container/verify-image.sh has verified"
    ),
    "ghcr.io/berriai/litellm:v${LITELLM_VERSION}": "a label of the image, which says what it is made from",
    "ghcr.io/berriai/litellm:v$version": "what container/verify-image.sh finds the digest of, and its signature",
    "public.ecr.aws/docker/library/python:3.11-bookworm": (
        "the builds' Debian, for its weekly mends; what is installed in it is locked, and it deploys nothing by itself"
    ),
}
"""Images that are named by a tag, and why."""

IMAGE = re.compile(
    r"\b(?:docker\.io|gcr\.io|ghcr\.io|mcr\.microsoft\.com|public\.ecr\.aws|quay\.io|registry\.k8s\.io)/[^\s\"',)]+"
)
PIP = re.compile(r"\bpip[\"', ]+(?:install|sync|download)\b")
NPM = re.compile(r"\bnpm(?:\(\[)?[\"', ]+(ci|install|i|exec|add)\b[^\n]*|\bnpx\b[^\n]*")
HASHED = re.compile(r"--require-hashes|\*WHEELS|--dry-run")


def _scripts() -> Iterator[tuple[str, str]]:
    """What runs something, without comments."""
    for name in sorted(own_files(CHECKOUT)):
        if not any(fnmatch.fnmatch(name, pattern) for pattern in NOT_READ) and (CHECKOUT / name).is_file():
            text = (CHECKOUT / name).read_text("utf-8", errors="replace")
            yield name, re.sub(r"^\s*#.*$|\s# .*$", "", text, flags=re.MULTILINE)


def unhashed(text: str) -> list[str]:
    """Calls of pip and uv that take what no hash is known of."""
    return [found[0] for found in PIP.finditer(text) if not HASHED.search(text[found.start() : found.start() + 250])]


def unlocked(text: str) -> list[str]:
    """Calls of npm that take what no lock has."""
    return [found[0] for found in NPM.finditer(text) if found[1] != "ci" and "--package-lock-only" not in found[0]]


def by_tag(text: str) -> list[str]:
    """Images that are not named by their digest, and have no reason."""
    return [
        name for name in IMAGE.findall(text) if not re.search(r"@sha256:[0-9a-f]{64}$", name) and name not in BY_TAG
    ]


@pytest.mark.parametrize("rule", [unhashed, unlocked, by_tag])
def test_nothing_is_taken_as_it_comes(rule: Any) -> None:  # noqa: ANN401 - one of the three
    found = {name: rule(text) for name, text in _scripts()}
    assert len(found) > 100
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (unhashed, 'run([uv, "pip", "install", "--quiet", "-r", lock])'),
        (unhashed, "python -m pip install --upgrade uv"),
        (unlocked, 'npm(["install", "--loglevel", "error"])'),
        (unlocked, "npx aws-cdk@2 deploy"),
        (unlocked, "npm install -g aws-cdk"),
        (by_tag, "FROM ghcr.io/berriai/litellm:main-latest"),
        (by_tag, 'ImageOf("public.ecr.aws/sam/build-python3.13")'),
        (by_tag, f"docker.io/library/debian@sha256:{'0' * 63}"),
    ],
)
def test_what_would_be_is_found(rule: Any, text: str) -> None:  # noqa: ANN401 - one of the three
    assert len(rule(text)) == 1


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (unhashed, 'run([uv, "pip", "install", "--require-hashes", "-r", lock])'),
        (unlocked, 'npm(["ci", "--loglevel", "error"])'),
        (unlocked, 'npm(["install", "--package-lock-only"])'),
        (by_tag, f"docker.io/library/debian@sha256:{'0' * 64}"),
    ],
)
def test_what_is_pinned_passes(rule: Any, text: str) -> None:  # noqa: ANN401 - one of the three
    assert rule(text) == []


def test_each_reason_is_of_an_image_that_is_named() -> None:
    named = {name for _, text in _scripts() for name in IMAGE.findall(text)}
    assert BY_TAG.keys() <= named


LOCKS = sorted(name for name in own_files(CHECKOUT) if re.search(r"(^|/)requirements\.txt$|^local/litellm\.txt$", name))


def test_every_lock_of_python_is_looked_at() -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    written = set(re.findall(r" -o (\S+)", makefile))
    packages = re.findall(r"^PACKAGES := (.*)$", makefile, re.MULTILINE)[0].split()
    assert {name.replace("$$package", one) for name in written for one in packages} == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_python_has_its_hashes(lock: str) -> None:
    text = re.sub(r" *\\\n *", " ", (CHECKOUT / lock).read_text())
    packages = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert packages
    for line in packages:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}\b", line), line[:80]


@pytest.mark.parametrize("lock", sorted(name for name in own_files(CHECKOUT) if name.endswith("package-lock.json")))
def test_every_package_of_npm_has_its_hash(lock: str) -> None:
    packages: dict[str, Any] = json.loads((CHECKOUT / lock).read_text())["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        assert not name or re.fullmatch(r"sha512-[\w+/]{86}==", package.get("integrity", "")), name
        # Without `resolved` npm takes it from the registry that is set; from nowhere else.
        assert package.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/"), name


def test_pre_commit_runs_what_the_checkout_has() -> None:
    configured = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())
    for repository in configured["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            assert "additional_dependencies" not in hook


def test_no_image_of_the_cdks_is_run() -> None:
    """Its images for bundling are named by a tag: all that is bundled is bundled without them, or not at all."""
    named = [name for name, text in _scripts() if "bundling_image" in text or "BundlingOptions" in text]
    assert named == ["stacks/constructs/python_function.py"]
    (name,) = named
    (options,) = re.findall(r"BundlingOptions\((image=.*)\)", (CHECKOUT / name).read_text())
    assert "local=self.bundling" in options
