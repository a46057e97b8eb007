"""Bedrock's resources by CloudFormation, which ministack makes by its API alone: guardrails and inference profiles.

They are refused as Bedrock would refuse them: by its API's own model, and by what its pages say beside it.
"""

from __future__ import annotations

import json
from typing import Any, Final

from local import shapes
from local.ecs import Json, Provisioned, ministack
from local.inert import Handler
from local.outside.guardrails import regex
from stacks.litellm_config import GEOGRAPHIES
from stacks.litellm_config.bedrock import BEDROCK_ARN, geography_of


def mend_bedrock() -> None:
    """Put all of this into the imported ministack."""
    handlers = ministack("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    handlers["AWS::Bedrock::Guardrail"] = _GUARDRAIL
    handlers["AWS::Bedrock::GuardrailVersion"] = _VERSION
    handlers["AWS::Bedrock::ApplicationInferenceProfile"] = _PROFILE
    bedrock = ministack("services.bedrock")
    get_guardrail = bedrock._get_guardrail

    def get(identifier: str, query: Any) -> Any:  # noqa: ANN401 - ministack's
        status, headers, body = get_guardrail(identifier, query)
        found = json.loads(body)
        if policy := found.get("sensitiveInformationPolicy"):  # as it was given, and not as Bedrock answers it
            found["sensitiveInformationPolicy"] = {key.removesuffix("Config"): each for key, each in policy.items()}
        return status, headers, json.dumps(found).encode()

    bedrock._get_guardrail = get


def _camel(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A template's names as the API has them."""
    if isinstance(value, dict):
        return {f"{key[0].lower()}{key[1:]}": _camel(each) for key, each in value.items()}
    return [_camel(each) for each in value] if isinstance(value, list) else value


def _answered(answer: tuple[int, Json, bytes]) -> Json:
    """What ministack's API answers.

    Raises
    ------
    ValueError
        It refused.
    """
    status, _, body = answer
    found: Json = json.loads(body or b"{}")
    if status >= 300:
        raise ValueError(found.get("message", str(status)))
    return found


# --- Guardrails -------------------------------------------------------------------------------------------------------


def _guardrail_request(properties: Json) -> Json:
    request: Json = _camel(properties)
    shapes.check("bedrock", "CreateGuardrail", request)
    if not any(name.endswith("PolicyConfig") for name in request):
        raise ValueError("The guardrail must have at least one policy.")
    policy = request.get("sensitiveInformationPolicyConfig") or {}
    for each in policy.get("regexesConfig", ()):
        regex(each["pattern"])
    names = [each["type"] for each in policy.get("piiEntitiesConfig", ())]
    names += [each["name"] for each in policy.get("regexesConfig", ())]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"The policy has {', '.join(sorted(twice))} twice.")
    return request


def _guardrail_attributes(identifier: str) -> Provisioned:
    found = ministack("services.bedrock")._guardrails[identifier]
    arn = found["GuardrailArn"]
    return arn, {"GuardrailArn": arn, "GuardrailId": identifier, "Version": "DRAFT", "Status": "READY"}


def _create_guardrail(logical_id: str, properties: Json, stack: str) -> Provisioned:
    request = json.dumps(_guardrail_request(properties))
    bedrock = ministack("services.bedrock")
    named = _answered(bedrock._create_guardrail(request))["guardrailId"]
    identifier = named.removeprefix("gr-")  # an id of Bedrock's has no hyphen
    record = bedrock._guardrails.pop(named)
    arn = record["GuardrailArn"].replace(named, identifier)
    bedrock._guardrails[identifier] = record | {"GuardrailId": identifier, "GuardrailArn": arn}
    bedrock._tags[arn] = bedrock._tags.pop(record["GuardrailArn"], {})
    return _guardrail_attributes(identifier)


def _update_guardrail(arn: str, before: Json, properties: Json, *rest: object, **more: object) -> Provisioned:
    bedrock, identifier = ministack("services.bedrock"), arn.rpartition("/")[2]
    _answered(bedrock._update_guardrail(identifier, json.dumps(_guardrail_request(properties))))
    return _guardrail_attributes(identifier)


def _delete_guardrail(arn: str, properties: Json) -> None:
    ministack("services.bedrock")._delete_guardrail(arn.rpartition("/")[2], {})


_GUARDRAIL: Final[Handler] = {
    "create": _create_guardrail,
    "update": _update_guardrail,
    "delete": _delete_guardrail,
}


def _create_version(logical_id: str, properties: Json, stack: str) -> Provisioned:
    request = _camel(properties)
    shapes.check("bedrock", "CreateGuardrailVersion", request)
    bedrock, identifier = ministack("services.bedrock"), request["guardrailIdentifier"].rpartition("/")[2]
    made = _answered(bedrock._create_guardrail_version(identifier, json.dumps(request)))
    arn = bedrock._guardrails[identifier]["GuardrailArn"]
    return f"{identifier}|{made['version']}", {
        "GuardrailArn": arn,
        "GuardrailId": identifier,
        "Version": made["version"],
    }


def _update_version(physical_id: str, before: Json, properties: Json, stack: str = "", **more: object) -> Provisioned:
    """Another one: both properties are those of a version from its making on.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-bedrock-guardrailversion.html
    """
    identifier, _, version = physical_id.partition("|")
    if before == properties:
        arn = ministack("services.bedrock")._guardrails[identifier]["GuardrailArn"]
        return physical_id, {"GuardrailArn": arn, "GuardrailId": identifier, "Version": version}
    return _create_version("", properties, stack)  # CloudFormation deletes the one before when all the rest is there


def _delete_version(physical_id: str, properties: Json) -> None:
    identifier, _, version = physical_id.partition("|")
    ministack("services.bedrock")._guardrail_versions.pop(f"{identifier}/{version}", None)


_VERSION: Final[Handler] = {"create": _create_version, "update": _update_version, "delete": _delete_version}


# --- Application inference profiles -----------------------------------------------------------------------------------


def _create_profile(logical_id: str, properties: Json, stack: str) -> Provisioned:
    request = _camel(properties)
    shapes.check("bedrock", "CreateInferenceProfile", request)
    _check_source(str(request["modelSource"].get("copyFrom")))
    bedrock = ministack("services.bedrock")
    if any(each["InferenceProfileName"] == request["inferenceProfileName"] for each in _profiles()):
        raise ValueError(f"The inference profile {request['inferenceProfileName']} exists already.")
    arn = _answered(bedrock._create_inference_profile(json.dumps(request)))["inferenceProfileArn"]
    identifier = arn.rpartition("/")[2]
    named = {"InferenceProfileArn": arn, "InferenceProfileId": identifier, "InferenceProfileIdentifier": arn}
    return arn, {**named, "Status": "ACTIVE", "Type": "APPLICATION"}


def _check_source(source: str) -> None:
    """Refuse to make a profile of what is not there, or is another region's.

    https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-create.html
    """
    bedrock, responses = ministack("services.bedrock"), ministack("core.responses")
    arn = BEDROCK_ARN.fullmatch(source)
    if not arn or arn["region"] != responses.get_region() or arn["kind"] == "application-inference-profile":
        raise ValueError(f"The provided model source is invalid: {source}")
    geography, model = geography_of(arn["id"])
    is_profile = arn["kind"] == "inference-profile"
    known = model in {entry[0] for entry in bedrock._CATALOG}
    callable_here = not geography or arn["region"].startswith(GEOGRAPHIES[geography].callers)
    if not known or is_profile != bool(geography) or not callable_here:
        raise ValueError(f"The provided model source does not exist: {source}")


def _profiles() -> list[Json]:
    return list(ministack("services.bedrock")._inference_profiles_apps.values())


def _update_profile(arn: str, before: Json, properties: Json, stack: str = "", **more: object) -> Provisioned:
    """Its tags may change; of any other property it is made anew, as of a name or a source."""
    kept = [{key: each for key, each in one.items() if key != "Tags"} for one in (before, properties)]
    if kept[0] == kept[1]:
        identifier = arn.rpartition("/")[2]
        named = {"InferenceProfileArn": arn, "InferenceProfileId": identifier, "InferenceProfileIdentifier": arn}
        return arn, {**named, "Status": "ACTIVE", "Type": "APPLICATION"}
    return _create_profile("", properties, stack)


def _delete_profile(arn: str, properties: Json) -> None:
    ministack("services.bedrock")._delete_inference_profile(arn.rpartition("/")[2])


_PROFILE: Final[Handler] = {"create": _create_profile, "update": _update_profile, "delete": _delete_profile}
