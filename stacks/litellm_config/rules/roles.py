"""`aws_role_name`: the role, perhaps of another account, that the task's role assumes for an entry or a guardrail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stacks.endpoints import partition_of
from stacks.litellm_config.file import Place
from stacks.litellm_config.roles import ROLE_ARN
from stacks.litellm_config.rules.addresses import check_address
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.variables import REFERENCE, is_for_all_of_aws

_KEYS: Final = ("aws_access_key_id", "aws_secret_access_key")
_TEXTS: Final = ("aws_role_name", "aws_session_name", "aws_external_id", "aws_sts_endpoint", "aws_web_identity_token")


def assumed(reading: Reading, place: Place, parameters: Mapping[str, Any]) -> str | None:
    """The ARN of the role that the task's role assumes, if it does; what cannot be assumed is refused.

    It does not if an API key of Bedrock calls, or if other credentials assume the role: keys, or the token of an
    identity provider (`BaseAWSLLM.get_credentials` of LiteLLM, whose order this is).

    Parameters
    ----------
    place
        Of the parameters.
    """
    _check(reading, place, parameters)
    given = parameters.get("aws_role_name")
    if not isinstance(given, str) or parameters.get("api_key") or any(parameters.get(key) for key in _KEYS):
        return None
    if parameters.get("aws_web_identity_token") and parameters.get("aws_session_name"):
        return None
    role = reading.value(given)
    if role is None:
        own = given if not is_for_all_of_aws(given.removeprefix(REFERENCE)) else f"{REFERENCE}OTHER_ROLE_NAME"
        reading.refuse(
            place,
            f"the role is not known here, and the task's role is permitted to assume those of the file: write its ARN, "
            f"or put it into variables of the environment, under the name in {own}",
            at=("aws_role_name",),
        )
    elif not (arn := ROLE_ARN.fullmatch(role)):
        reading.refuse(
            place,
            f"{role!r} is not the ARN of a role: write it whole, as in arn:aws:iam::111122223333:role/bedrock",
            at=("aws_role_name",),
        )
        return None
    elif reading.region and arn["partition"] != partition_of(reading.region):
        reading.refuse(
            place,
            f"the role is of the partition {arn['partition']}, and the environment's region {reading.region} of "
            f"{partition_of(reading.region)}, whose roles assume none of another: name a role of the same partition",
            at=("aws_role_name",),
        )
    return role


def _check(reading: Reading, place: Place, parameters: Mapping[str, Any]) -> None:
    for key in _TEXTS:
        if key in parameters and not isinstance(parameters[key], str):
            reading.refuse(place, f"{key} is to be text: put it in quotes", at=(key,))
    check_address(reading, place, parameters, "aws_sts_endpoint")
    tags = parameters.get("aws_session_tags")
    if tags is not None and not (isinstance(tags, list) and tags and all(map(_is_tag, tags))):
        reading.refuse(
            (*place, "aws_session_tags"),
            "it must be a list of tags, as in [{Key: team, Value: research}]: LiteLLM drops the entry otherwise",
        )
    if "aws_role_name" not in parameters:
        for key in ("aws_session_name", "aws_external_id", "aws_session_tags"):
            if key in parameters:
                reading.warn(place, f"without aws_role_name {key} has no effect", at=(key,))


def _is_tag(tag: object) -> bool:
    return isinstance(tag, dict) and tag.keys() == {"Key", "Value"} and all(isinstance(v, str) for v in tag.values())
