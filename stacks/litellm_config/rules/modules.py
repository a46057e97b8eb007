"""Python modules that the file names: LiteLLM imports them at its start, and does not start without."""

from __future__ import annotations

from typing import Final

from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.reading import Reading, in_image

_GENERAL: Final = (
    *("custom_auth", "custom_key_generate", "custom_key_update", "custom_key_policy", "custom_sso"),
    *("custom_team_metadata_validate", "custom_ui_sso_sign_in_handler"),
)
"""What LiteLLM's `ProxyConfig.load_config` imports by `get_instance_fn`."""


def check(reading: Reading) -> None:
    """Refuse the modules that the image does not have."""
    for key in _GENERAL:
        check_module(reading, ("general_settings", key), reading.section("general_settings").get(key))
    settings = reading.section("litellm_settings")
    check_module(reading, ("litellm_settings", "post_call_rules"), settings.get("post_call_rules"))
    providers = settings.get("custom_provider_map")
    for index, provider in enumerate(providers if isinstance(providers, list) else ()):
        if isinstance(provider, dict):
            place = ("litellm_settings", "custom_provider_map", index, "custom_handler")
            check_module(reading, place, provider.get("custom_handler"))


def check_module(reading: Reading, place: Place, name: object) -> None:
    """Refuse a module, named as module.object, that the image does not have."""
    if isinstance(name, str) and name and not in_image(name):
        reading.refuse(
            place,
            f"the image has no module {name.rpartition('.')[0] or name!r}: put its file into container/ and name it in "
            "the Dockerfile, or remove this",
        )
