"""stacks/litellm_config/catalog.json is in step with the LiteLLM that the image pins."""

import json
import re
from pathlib import Path

import pytest

from ops.catalog import CATALOG, catalog
from stacks import CHECKOUT

INSTALLED = next(CHECKOUT.glob(".tools/litellm/lib/python*/site-packages/litellm"), None)


def test_the_catalog_is_of_the_version_in_the_dockerfile() -> None:
    dockerfile = (CHECKOUT / "container" / "Dockerfile").read_text("utf-8")
    pinned = re.search(r"^ARG LITELLM_VERSION=(\S+)$", dockerfile, re.MULTILINE)
    assert pinned
    assert json.loads(CATALOG.read_text("utf-8"))["litellm"] == pinned[1]


@pytest.mark.skipif(INSTALLED is None, reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
def test_the_catalog_is_what_the_installed_litellm_knows() -> None:
    assert INSTALLED
    assert catalog(INSTALLED.parent) == json.loads(CATALOG.read_text("utf-8")), "run: python -m ops.catalog"


def test_a_folder_without_litellm_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="LiteLLM is not installed here"):
        catalog(tmp_path)
