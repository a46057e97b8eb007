"""Records every template of every environment, so that a pull request shows what a change does to each."""

import json
import re

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from stacks.environments import environments
from tests.templates.conftest import STACKS, Template

# The names of uploaded files, which are hashes of their content. The image's tag stays: it says what is deployed.
ASSET_KEY = re.compile(r"[0-9a-f]{64}(?=\.(zip|json))")


@pytest.mark.parametrize("environment", environments())
@pytest.mark.parametrize("stack", STACKS)
def test_snapshot(
    templates: dict[str, dict[str, Template]], environment: str, stack: str, snapshot: SnapshotAssertion
) -> None:
    text = ASSET_KEY.sub("ASSET", json.dumps(templates[environment][stack]))
    assert json.loads(text) == snapshot(extension_class=JSONSnapshotExtension, name=f"{environment}-{stack}")


def test_every_stack_is_recorded(templates: dict[str, dict[str, Template]]) -> None:
    assert {name: set(stacks) for name, stacks in templates.items()} == {name: set(STACKS) for name in environments()}
