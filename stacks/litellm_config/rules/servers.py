"""An entry of a server that a company runs itself: its address."""

from __future__ import annotations

from stacks.litellm_config.file import Place
from stacks.litellm_config.model import Model
from stacks.litellm_config.rules.reading import Reading


def check(reading: Reading, place: Place, model: Model) -> None:
    """Refuse an entry without an address: LiteLLM would call the task itself."""
    if not model.parameters.get("api_base"):
        path = "" if "ollama" in model.provider else "/v1"
        reading.refuse(
            place,
            f"litellm_params has no api_base: {model.provider} needs the server's address, as in "
            f"http://HOST:PORT{path}, with HOST and PORT in providers.servers of company/environments.py",
        )
