"""The names of sections and of their settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from stacks.litellm_config.catalog import catalog
from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.words import closest

SECTIONS: Final = ("general_settings", "litellm_settings", "router_settings")
UNSUPPORTED: Final = {
    "environment_variables": "the environment's settings give the task its variables, so name them there",
    "include": "the image holds this one file, so write the included entries into it",
}
ANCHORS: Final = "x-"
"""How a key at the top begins that is there for YAML's anchors alone."""


def check_sections(reading: Reading) -> None:
    """Check the names at the top of the file and in the sections of settings."""
    check_keys(reading, (), reading.mapping((), reading.document), catalog()["top_level"])
    for key, advice in UNSUPPORTED.items():
        if key in reading.document:
            reading.refuse((key,), f"this gateway does not use it: {advice}")
    for name in SECTIONS:
        section = reading.mapping((name,), reading.document.get(name))
        check_keys(reading, (name,), section, catalog()["settings"][name])


def check_keys(reading: Reading, place: Place, mapping: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse a name that is meant for another place, or nearly one that is known; warn of any other unknown one."""
    for key in mapping:
        if key in known or (not place and key.startswith(ANCHORS)):
            continue
        homes = [name for name in SECTIONS if key in catalog()["settings"][name]]
        if homes:
            reading.refuse(place, f"{key!r} is not read here: move it to {homes[0]}", at=(key,))
        elif close := closest(key, known):
            reading.refuse(place, f"unknown key {key!r}: did you mean {close!r}", at=(key,))
        else:
            reading.warn(place, f"LiteLLM {catalog()['litellm']} reads no {key!r} here and ignores it", at=(key,))
