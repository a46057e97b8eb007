"""credential_list: what several entries have in common, which each takes by `litellm_credential_name`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.words import suggestion


def check(reading: Reading) -> None:
    """Check the list's own shape: LiteLLM does not start with another (`CredentialItem` in its types/utils.py)."""
    given = reading.document.get("credential_list")
    if given is None:
        return
    if not isinstance(given, list):
        reading.refuse(("credential_list",), "it must be a list of credentials")
        return
    for index, credential in enumerate(given):
        place: Place = ("credential_list", index)
        mapping = reading.mapping(place, credential)
        if mapping and not isinstance(mapping.get("credential_name"), str):
            reading.refuse(place, "it has no credential_name: add the one that entries name")
        reading.mapping((*place, "credential_values"), mapping.get("credential_values") or {})
        for key in ("credential_values", "credential_info"):
            if mapping and not isinstance(mapping.get(key), dict):
                reading.refuse(
                    place, f"it has no {key}: LiteLLM does not start without; write {key}: {{}} if it is empty"
                )


def with_credential(reading: Reading, place: Place, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry's parameters with those of the credential that it names; its own come first, as in LiteLLM."""
    name = parameters.get("litellm_credential_name")
    if name is None:
        return parameters
    known = _listed(reading)
    if isinstance(name, str) and name in known:
        return {**known[name], **parameters}
    reading.refuse(
        place,
        f"credential_list has no {name!r}: {suggestion(str(name), known, 'add it there')}",
        at=("litellm_params", "litellm_credential_name"),
    )
    return parameters


def _listed(reading: Reading) -> dict[str, dict[str, Any]]:
    given = reading.document.get("credential_list")
    credentials = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return {
        each["credential_name"]: {
            key: value for key, value in each["credential_values"].items() if isinstance(key, str)
        }
        for each in credentials
        if isinstance(each.get("credential_name"), str) and isinstance(each.get("credential_values"), dict)
    }
