"""What the pinned LiteLLM knows, so that synth needs neither LiteLLM nor the network.

`catalog.json` holds it: names of settings, and the models with their prices. `ops/catalog.py` writes the file.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any, Final

CATALOG: Final = Path(__file__).with_name("catalog.json")


class ConfigError(ValueError):
    """A mistake in the file, in one sentence: the file, the entry, what is wrong and what to do."""


@functools.cache
def catalog() -> dict[str, Any]:
    """What the pinned LiteLLM knows; see ops/catalog.py for the shape."""
    catalog: dict[str, Any] = json.loads(CATALOG.read_text("utf-8"))
    return catalog


def modes() -> frozenset[str]:
    """The words for what a model is for: those of LiteLLM's list, and those that only its health check has.

    `HealthCheckHelpers.get_mode_handlers` in its litellm_core_utils/health_check_helpers.py.
    """
    return frozenset({*catalog()["mode_names"], "anthropic_messages", "batch", "decisions"})


def priced_models() -> frozenset[str]:
    """The models of the gateway's providers that the pinned LiteLLM knows a price of, by LiteLLM's names for them."""
    return frozenset(catalog()["prices"])


def image_version(dockerfile: Path) -> str:
    """The version of LiteLLM that the image is built on: the Dockerfile is the one place for it.

    Raises
    ------
    ConfigError
        The Dockerfile has no line for it.
    """
    found = re.search(r"^ARG LITELLM_VERSION=(\S+)$", dockerfile.read_text("utf-8"), re.MULTILINE)
    if not found:
        raise ConfigError(f"{dockerfile}: there is no line ARG LITELLM_VERSION=X.Y.Z: put it back")
    return found[1]
