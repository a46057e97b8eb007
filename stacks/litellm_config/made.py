"""What the deployment makes for the file to refer to, by variables whose values nobody knows before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

GUARDRAIL_ID: Final = "PERSONAL_DATA_GUARDRAIL_ID"
GUARDRAIL_VERSION: Final = "PERSONAL_DATA_GUARDRAIL_VERSION"
"""Of the guardrail that `bedrock.personal_data` of an environment makes."""

PROFILE_SUFFIX: Final = "_INFERENCE_PROFILE"
"""How the variable ends that has the ARN of an application inference profile of `bedrock.inference_profiles`."""


def profile_variable(name: str) -> str:
    """The variable of the profile with this name."""
    return f"{name.upper().replace('-', '_')}{PROFILE_SUFFIX}"


class Made(NamedTuple):
    """What an environment has of it."""

    guardrail: bool = False
    profiles: Mapping[str, str] = {}  # the model of each, by its variable

    @property
    def variables(self) -> frozenset[str]:
        """The names of the variables."""
        return frozenset({*((GUARDRAIL_ID, GUARDRAIL_VERSION) if self.guardrail else ()), *self.profiles})


NOTHING_MADE: Final = Made()


def setting_of(variable: str) -> str | None:
    """The setting that would provide a variable of such a name; None if it is another's."""
    if variable in (GUARDRAIL_ID, GUARDRAIL_VERSION):
        return "bedrock.personal_data"
    return "bedrock.inference_profiles" if variable.endswith(PROFILE_SUFFIX) else None
