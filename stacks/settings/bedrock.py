"""What the gateway has of Bedrock's own: a guardrail that masks personal data, and application inference profiles."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from stacks.litellm_config.made import GUARDRAIL_ID, GUARDRAIL_VERSION, profile_variable
from stacks.settings.values import Settings, Tags, like, once

Kind = Literal[
    "name",
    "address",
    "phone",
    "email",
    "card",
    "bank_account",
    "national_id",
    "passport",
    "driver_license",
    "residence_card",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


class PersonalData(Settings):
    """A guardrail of Bedrock that masks personal data in English and Japanese, in prompts and answers.

    `kinds` is what it masks; `stacks/gateway/personal_data.py` has what each is. It is used where a guardrail of
    config.yaml refers to it.
    """

    kinds: Annotated[tuple[Kind, ...], Field(min_length=1), once("a kind of personal data")] = KINDS


class InferenceProfile(Settings):
    """An application inference profile of Bedrock in the environment's region, of a model or an inference profile.

    Its `tags`, beside the environment's, tell on AWS's bill whose use it was. An entry of config.yaml refers to its ARN
    by the variable that its `name` makes: data-eng is os.environ/DATA_ENG_INFERENCE_PROFILE.
    """

    name: Annotated[
        str,
        like(
            r"[a-z](-?[a-z0-9]){0,39}",
            "no name for an inference profile: use at most 40 small letters, digits and single hyphens, as in data-eng",
        ),
    ]
    model: Annotated[
        str,
        like(
            r"[a-z0-9-]+(\.[a-z0-9-]+)?\.[a-zA-Z0-9][a-zA-Z0-9.:-]*",
            "no model or inference profile of Bedrock: use its id, as in jp.anthropic.claude-sonnet-5-5",
        ),
    ]
    tags: Tags = {}  # noqa: RUF012 - pydantic copies it for each

    @property
    def variable(self) -> str:
        """The variable with its ARN, which the task has."""
        return profile_variable(self.name)


class Bedrock(Settings):
    """Resources of Bedrock that the deployment makes, for config.yaml to refer to."""

    personal_data: PersonalData | None = None
    inference_profiles: Annotated[tuple[InferenceProfile, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [profile.name for profile in self.inference_profiles]
        if len(set(names)) != len(names):
            raise ValueError(f"inference_profiles has one name twice ({', '.join(names)}): give each its own")
        return self

    @property
    def profiles(self) -> dict[str, str]:
        """The model of each profile, by the variable with its ARN."""
        return {profile.variable: profile.model for profile in self.inference_profiles}

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables whose values are known once it is deployed."""
        return (*((GUARDRAIL_ID, GUARDRAIL_VERSION) if self.personal_data else ()), *self.profiles)
