"""What callers are told of a failure: LiteLLM's own way tells them of the server's inside."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from stacks.litellm_config.rules.reading import Reading

CALLBACK: Final = "errors.told"
"""What says it in a sentence; it is container/errors.py."""


def check(reading: Reading, callbacks: Collection[str]) -> None:
    """Warn of the two settings that a file from elsewhere lacks."""
    if reading.section("litellm_settings").get("expose_router_debug_in_errors") is not False:
        reading.warn(
            ("litellm_settings", "expose_router_debug_in_errors"),
            "it is not false, so a failed call's answer tells how models fall back to which, and what those said",
        )
    if CALLBACK not in callbacks:
        reading.warn(
            ("litellm_settings", "callbacks"),
            f"there is no {CALLBACK}, so a failed call's answer can hold a stack trace, paths and variables' names",
        )
