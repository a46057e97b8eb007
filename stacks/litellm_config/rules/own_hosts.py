"""An entry of a provider that has one host: its key, which is for no other host."""

from __future__ import annotations

from urllib.parse import urlsplit

from stacks.litellm_config.file import Place
from stacks.litellm_config.model import Model
from stacks.litellm_config.rules.reading import Reading


def check(reading: Reading, place: Place, model: Model) -> None:
    """Refuse an entry that is called elsewhere with no key of its own.

    LiteLLM would take the provider's from its variable, and send it there.
    """
    given = model.parameters
    if not given.get("api_base") or given.get("api_key"):
        return
    called = urlsplit(reading.value(given.get("api_base")) or "").hostname or "another host"
    if not is_at(called, model.row.host):
        reading.refuse(
            place,
            f"litellm_params has api_base but no api_key, so that LiteLLM would send {model.row.variables['api_key']} "
            f"to {called}: add the key that is asked for there, as in os.environ/OUR_API_KEY, or begin model with "
            "hosted_vllm/ if none is",
            at=("litellm_params", "api_base"),
        )


def is_at(called: str, host: str) -> bool:
    """Whether a host is a provider's, as that of its region is too."""
    return called == host or called.endswith(f".{host}")
