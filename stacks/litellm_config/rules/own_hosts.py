"""An entry of a provider that has one host: its key, which is for no other host."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from stacks.litellm_config.file import Place
from stacks.litellm_config.model import Model
from stacks.litellm_config.rules.reading import Reading


def check(host: str) -> Callable[[Reading, Place, Model], None]:
    """What is asked of an entry of the provider that is at `host`.

    One that is called elsewhere has a key of its own: LiteLLM would take the provider's from its variable, and send it
    there.
    """

    def check_key(reading: Reading, place: Place, model: Model) -> None:
        given = model.parameters
        address = reading.value(given.get("api_base"))
        if not given.get("api_base") or given.get("api_key"):
            return
        called = urlsplit(address or "").hostname or "another host"
        if called == host or called.endswith(f".{host}"):
            return
        reading.refuse(
            place,
            f"litellm_params has api_base but no api_key, so that LiteLLM would send {model.row.variables['api_key']} "
            f"to {called}: add the key that is asked for there, as in os.environ/OUR_API_KEY, or begin model with "
            "hosted_vllm/ if none is",
            at=("litellm_params", "api_base"),
        )

    return check_key
