"""How a document is read."""

from collections.abc import Collection
from pathlib import Path

import pytest
import yaml

from stacks.litellm_config import LiteLlmConfig, load_config
from tests.unit.litellm_config.documents import VARIABLES, Load


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a document, or text, as config.yaml and load it."""

    def write_and_load(
        document: object, licensed: bool = False, provided: Collection[str] = tuple(VARIABLES)
    ) -> LiteLlmConfig:
        path = tmp_path / "config.yaml"
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), "utf-8")
        return load_config(path, provided=provided, licensed=licensed)

    return write_and_load
