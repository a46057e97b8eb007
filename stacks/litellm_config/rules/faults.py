"""Whether one caller's mistake leaves a model out for everybody.

LiteLLM's own rule goes by the status of an answer: one 404, which any caller can have, leaves a deployment out, and its
fallback after it (litellm/router_utils/cooldown_handlers.py).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from stacks.litellm_config.rules.reading import Reading

CALLBACK: Final = "faults.attributed"
"""What finds out whose fault a failure is; it is container/faults.py, where the rule is."""
_POLICIES: Final = ("allowed_fails", "allowed_fails_policy")


def check(reading: Reading, callbacks: Collection[str]) -> None:
    """Warn where LiteLLM's own rule is in force, where none is, and of settings that no rule looks at."""
    router, ours = reading.section("router_settings"), CALLBACK in callbacks
    off = router.get("disable_cooldowns") is True
    if not off:
        reading.warn(
            ("router_settings", "disable_cooldowns"),
            "it is not true, so one caller's mistake, as a call that gets 404, leaves a model out for everybody; write "
            f"true, and add {CALLBACK} to litellm_settings.callbacks, which leaves out what its provider fails for",
        )
    elif not ours:
        reading.warn(
            ("litellm_settings", "callbacks"),
            f"there is no {CALLBACK}, and with router_settings.disable_cooldowns nothing leaves out a deployment whose "
            "provider is throttled or down: every call tries it",
        )
    for name in _POLICIES if off else ():
        if router.get(name) is not None:
            reading.warn(("router_settings", name), "with disable_cooldowns LiteLLM does not look at it: remove it")
