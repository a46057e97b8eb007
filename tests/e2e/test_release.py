"""A release to an environment that has it already; tests/others/test_promotion.py has those that change something."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.gateway import LocalGateway
from stacks import CHECKOUT
from tests.e2e.conftest import template_of


def _deploy(gateway: LocalGateway, before: Path) -> subprocess.CompletedProcess[str]:
    """As a person does it who has approved what it changes."""
    assembly = gateway.state / "cdk.out"
    command = ["deploy", "--env", "local", "--app", str(assembly), "--before", str(before), "--yes"]
    return subprocess.run(
        [sys.executable, "-m", "ops.release", *command],
        cwd=CHECKOUT,
        env={**os.environ, **gateway.access, "CDK_VALIDATION": "false"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _deployed(gateway: LocalGateway) -> dict[str, tuple[str, dict[str, Any]]]:
    """When each stack was last updated, and its template."""
    pages = gateway.client("cloudformation").get_paginator("describe_stacks").paginate()
    stacks = [stack for page in pages for stack in page["Stacks"] if stack["StackName"].startswith("litellm-local-")]
    names = {stack["StackName"]: str(stack["LastUpdatedTime"]) for stack in stacks}
    return {name: (updated, template_of(gateway, name)) for name, updated in names.items()}


def test_the_same_release_again_changes_nothing_and_passes(gateway: LocalGateway, tmp_path: Path) -> None:
    before = _deployed(gateway)
    run = _deploy(gateway, tmp_path / "before")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "local has the release." in run.stdout
    after = _deployed(gateway)
    updated = {name for name in after if after[name][0] != before[name][0]}
    # Another test may have left a stack as the release does not have it.
    assert updated == {name for name in after if after[name][1] != before[name][1]}
