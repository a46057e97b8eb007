"""Whether the turns of a conversation meet the prompt cache that has its beginning.

A model with several deployments has a prompt cache in each. LiteLLM chooses one at random for each request, so a
conversation that nothing keeps together is written into all of them: at 1.25 times the price of input with Anthropic's
models, where a read costs a tenth or less (docs/costs.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from stacks.litellm_config.model import Model
from stacks.litellm_config.rules.reading import Reading

CALLBACK: Final = "affinity.conversations"
"""The callback that keeps them together; it is container/affinity.py."""
CHECKS: Final = frozenset({"deployment_affinity", "session_affinity", "prompt_caching"})
"""What of LiteLLM's `optional_pre_call_checks` does, in one process: litellm/router_utils/pre_call_checks/."""
_CACHED: Final = "cache_read_input_token_cost"


def check(reading: Reading, models: Collection[Model]) -> None:
    """Warn of each name whose conversations nothing keeps together, though a cache would have them.

    LiteLLM asks what is in `callbacks`, and no list of callbacks for another purpose.
    """
    named = reading.section("litellm_settings").get("callbacks")
    checks = reading.section("router_settings").get("optional_pre_call_checks")
    if (isinstance(named, list) and CALLBACK in named) or (
        isinstance(checks, list) and CHECKS.intersection(map(str, checks))
    ):
        return
    for name, count in Counter(model.name for model in models if _CACHED in model.listed_prices()).items():
        if count > 1:
            reading.warn(
                ("model_list",),
                f"{name} has {count} deployments, each with a prompt cache of its own, and nothing keeps a "
                f"conversation with one of them, so that its turns are paid for again in each; add {CALLBACK} to "
                "litellm_settings.callbacks",
            )
