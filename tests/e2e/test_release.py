"""A release to an environment: the same one again, and one that answers badly and is put back."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.gateway import CHECKOUT, LocalGateway
from tests.e2e.conftest import callers, container_of, set_variable, template_of

STACK = "litellm-local-gateway"


def _deploy(gateway: LocalGateway, assembly: Path, before: Path) -> subprocess.CompletedProcess[str]:
    """As a person does it who has approved what it changes."""
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


def _release_without_azure(assembly: Path, folder: Path) -> Path:
    """A copy of the release in which the tasks look for Azure OpenAI where it is not."""
    shutil.copytree(assembly, folder)
    (file,) = folder.glob("assembly-local/localGateway*.template.json")
    text = file.read_bytes()
    template = json.loads(text)
    set_variable(container_of(template, "Task"), "AZURE_API_BASE", "https://nobody.invalid")
    changed = json.dumps(template, indent=1).encode()
    file.write_bytes(changed)
    # The CDK CLI stores a template by its content's hash, and not again where that is there already.
    for index in (file.with_name("manifest.json"), file.with_name(file.name.replace(".template.", ".assets."))):
        index.write_text(index.read_text().replace(_hash(text), _hash(changed)))
    return folder


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_same_release_again_changes_nothing_and_passes(gateway: LocalGateway, tmp_path: Path) -> None:
    before = _deployed(gateway)
    run = _deploy(gateway, gateway.state / "cdk.out", tmp_path / "before")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "local has the release." in run.stdout
    after = _deployed(gateway)
    updated = {name for name in after if after[name][0] != before[name][0]}
    # Another test may have left a stack as the release does not have it.
    assert updated == {name for name in after if after[name][1] != before[name][1]}


def test_a_release_that_answers_badly_is_put_back(gateway: LocalGateway, tmp_path: Path, user: str) -> None:
    """People who use another model notice neither the release nor its end."""
    before = {name: template for name, (_, template) in _deployed(gateway).items()}
    broken = _release_without_azure(gateway.state / "cdk.out", tmp_path / "cdk.out")
    with callers(gateway, gateway.user_key(user)) as statuses:
        run = _deploy(gateway, broken, tmp_path / "before")
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"  {STACK}: put back\n" in run.stdout
    assert run.stderr.splitlines()[-1] == (
        "release: local did not pass its smoke test (completion by azure failed); it was put back to what it "
        "was; the smoke test says: passed."
    )
    assert {name: template for name, (_, template) in _deployed(gateway).items()} == before
    assert set(statuses) == {200}
    for name in ("LITELLM_MASTER_KEY", "UI_PASSWORD", "AZURE_API_KEY"):
        assert gateway.secret(name) not in run.stdout + run.stderr
