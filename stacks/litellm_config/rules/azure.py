"""An entry of Azure OpenAI: its address, and the key or the application of Entra ID that may call it."""

from __future__ import annotations

from typing import Final

from stacks.litellm_config.file import Place
from stacks.litellm_config.model import Model
from stacks.litellm_config.rules.addresses import check_address
from stacks.litellm_config.rules.reading import Reading

ENTRA: Final = ("tenant_id", "client_id", "client_secret")
"""An application of Entra ID, in place of a key. https://docs.litellm.ai/docs/providers/azure"""

_USER: Final = ("azure_username", "azure_password", "client_id")
_TEXTS: Final = ("azure_ad_token", *ENTRA, "azure_username", "azure_password", "azure_scope")


def check(reading: Reading, place: Place, model: Model) -> None:
    """Refuse an entry that lacks what a call takes."""
    given = model.parameters
    for key in _TEXTS:
        if key in given and not isinstance(given[key], str):
            reading.refuse((*place, "litellm_params"), f"{key} is to be text: put it in quotes", at=(key,))
    if given.get("aws_region_name"):
        reading.refuse(
            place, "aws_region_name means nothing to azure: remove it", at=("litellm_params", "aws_region_name")
        )
    if "api_base" not in given:
        reading.refuse(place, "litellm_params has no api_base: azure needs it, as in os.environ/NAME")
    check_address(reading, place, given, "api_base")
    ways = (("api_key",), ("azure_ad_token",), ENTRA, _USER)
    if any(all(given.get(key) for key in way) for way in ways):
        return
    if begun := [key for key in ENTRA if key in given]:
        missing = [key for key in ENTRA if not given.get(key)]
        reading.refuse(
            place,
            f"litellm_params has {begun[0]} but no {', '.join(missing)}: an application of Entra ID takes "
            f"{', '.join(ENTRA[:-1])} and {ENTRA[-1]}",
            at=("litellm_params", begun[0]),
        )
    else:
        reading.refuse(place, "litellm_params has no api_key: azure needs it, as in os.environ/NAME")
