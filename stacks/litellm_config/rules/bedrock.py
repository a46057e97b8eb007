"""An entry of Amazon Bedrock: may it be called so, from there, and with the permissions that the task's role has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from stacks.endpoints import partition_of
from stacks.litellm_config.bedrock import (
    BEDROCK_ARN,
    FORMATS,
    GEOGRAPHIES,
    OTHER_ROUTES,
    bedrock_regions,
    geography_of,
    profile_or_model,
)
from stacks.litellm_config.catalog import catalog
from stacks.litellm_config.file import Place
from stacks.litellm_config.made import GUARDRAIL_ID, GUARDRAIL_VERSION
from stacks.litellm_config.model import Model
from stacks.litellm_config.rules.addresses import check_address
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.variables import REFERENCE
from stacks.litellm_config.words import closest

_OTHERWISE: Final = "take a model that is called by InvokeModel or Converse"
_NOT_GIVEN: Final = f"which the task's role is not given: {_OTHERWISE}"

_MUTE: Final = ("imported-model", "provisioned-model", "custom-model", "custom-model-deployment")
"""Kinds of ARN that do not tell whose model it is, so that LiteLLM does not know in which format to speak to it."""

_ROUTERS: Final = ("default-prompt-router", "prompt-router")

_STATIC: Final = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_STANDARD: Final = tuple(f"{REFERENCE}{name.upper()}" for name in _STATIC)

_BATCHES: Final = ("aws_batch_role_arn", "s3_bucket_name", "s3_output_bucket_name")


def check(reading: Reading, place: Place, model: Model) -> None:
    """Refuse what Bedrock or the role would."""
    _check_credentials(reading, place, model)
    check_address(reading, place, model.parameters, "aws_bedrock_runtime_endpoint")
    check_guardrail(reading, (*place, "litellm_params", "guardrailConfig"), model.parameters.get("guardrailConfig"))
    if model.parameters.get("guardrailConfig"):
        reading.warn(
            place,
            f"LiteLLM {catalog()['litellm']} leaves guardrailConfig out at /v1/messages and generateContent, where the "
            "gateway refuses the model: for tools that ask there write a guardrail of the kind bedrock",
            at=("litellm_params", "guardrailConfig"),
        )
    region = _region(reading, place, model)
    at = ("litellm_params", "model")
    if other := next((route for route in model.routes if route in OTHER_ROUTES), None):
        reading.refuse(
            place, f"the route {other}/ {OTHER_ROUTES[other]}, which this gateway does not serve: {_OTHERWISE}", at=at
        )
        return
    if _asks_for_more(reading, place, model):
        return
    if model.made_profile:
        _check_made_profile(reading, place, model, model.made_profile)
        return
    if model.id.startswith("arn:") and "model_id" in model.parameters:
        reading.refuse(
            place, "both model and model_id are given as ARNs: name the model in one and its ARN in model_id", at=at
        )
        return
    invoked = str(model.parameters.get("model_id") or model.id)
    if invoked.startswith("arn:"):
        if not _check_arn(reading, place, model, invoked):
            return
    elif "/" in invoked:
        reading.refuse(
            place,
            f"{invoked!r} has an unknown route: write bedrock/model-id, or bedrock/converse/… or bedrock/invoke/…",
            at=at,
        )
        return
    for name in dict.fromkeys(filter(None, (profile_or_model(invoked), model.base))):
        _check_geography(reading, place, model, name, region)


def _check_credentials(reading: Reading, place: Place, model: Model) -> None:
    """Refuse credentials that the task has not, or has without being told."""
    given, parameters = model.parameters, (*place, "litellm_params")
    if static := [key for key in _STATIC if given.get(key) in _STANDARD]:
        reading.refuse(
            place,
            f"remove {', '.join(static)}: the task's role calls Bedrock, and nothing provides these variables. For the "
            "keys of another account name secrets of your own, as in os.environ/OTHER_ACCESS_KEY",
            at=("litellm_params", static[0]),
        )
        for key in static:
            reading.findings.settle((*parameters, key))
    if given.get("api_key") == f"{REFERENCE}AWS_BEARER_TOKEN_BEDROCK":
        reading.refuse(
            place,
            "a Bedrock API key: remove it, the task's role calls Bedrock; or name it so that it is a secret, as in "
            "os.environ/BEDROCK_API_KEY",
            at=("litellm_params", "api_key"),
        )
    if "aws_profile_name" in given:
        reading.refuse(
            place,
            "the task has no profiles of the AWS CLI: remove aws_profile_name, its role calls Bedrock",
            at=("litellm_params", "aws_profile_name"),
        )


def _region(reading: Reading, place: Place, model: Model) -> str | None:
    """The region that is called, if it is one that can be."""
    given, at = model.parameters.get("aws_region_name"), ("litellm_params", "aws_region_name")
    own = f"or {REFERENCE}AWS_REGION for the environment's own"
    if given is None:
        reading.refuse(
            place, f"a Bedrock entry has no aws_region_name: add the region to call, as in us-west-2, {own}", at=at
        )
        return None
    if not isinstance(given, str):
        return None  # it is told that it must be text
    if model.region is None or "$" in given:
        if given == f"{REFERENCE}AWS_REGION":
            return None  # the file is read for no environment
        why = "nothing replaces it here" if "$" in given else "its value is not known here"
        reading.refuse(place, f"aws_region_name is {given!r}, and {why}: write the region itself, {own}", at=at)
        return None
    region = model.region
    if region not in bedrock_regions():
        close = closest(region, bedrock_regions())
        advice = f"did you mean {close!r}" if close else f"write one of AWS's, as in us-west-2, {own}"
        reading.refuse(place, f"aws_region_name {region!r} is not a region: {advice}", at=at)
        return None
    if reading.region and partition_of(region) != partition_of(reading.region):
        reading.refuse(
            place,
            f"{region} is of another partition than the environment's region {reading.region}, whose credentials it "
            "does not take: name a region of the same partition",
            at=at,
        )
        return None
    if model.path_region and model.path_region != region:
        reading.refuse(
            place,
            f"its path names the region {model.path_region!r} and aws_region_name {region!r}: make them equal",
            at=("litellm_params", "model"),
        )
    return region


def _asks_for_more(reading: Reading, place: Place, model: Model) -> bool:
    """Whether it is a kind of model that takes permissions of its own, which is refused."""
    name, mode, at = model.base or model.id, model.info.get("mode"), ("litellm_params", "model")
    if model.reranks:
        return not _check_rerank(reading, place, model)
    if "sonic" in name or mode == "realtime":
        reading.refuse(place, f"speech calls bedrock:InvokeModelWithBidirectionalStream, {_NOT_GIVEN}", at=at)
    elif batch := next((key for key in _BATCHES if key in model.parameters), None):
        reading.refuse(
            place,
            f"a batch of Bedrock is in Amazon S3 and runs with a role of its own, which the task's role may not hand "
            f"over: remove {batch}",
            at=("litellm_params", batch),
        )
        for key in model.parameters:
            if key.startswith("s3_"):  # which go with it
                reading.findings.settle((*place, "litellm_params", key))
    else:
        return False
    return True


def _check_rerank(reading: Reading, place: Place, model: Model) -> bool:
    """Whether a model that reranks is named as LiteLLM hands it on: as the modelArn, whatever stands there."""
    arn = BEDROCK_ARN.fullmatch(model.id)
    if model.parameters.get("api_key"):
        reading.refuse(place, "reranking takes no API key of Bedrock: remove api_key", at=("litellm_params", "api_key"))
        return False
    if arn and arn["kind"] == "foundation-model" and "model_id" not in model.parameters and not model.routes:
        return True
    partition, name = partition_of(model.region or "us-east-1"), geography_of(model.base or model.id)[1]
    reading.refuse(
        place,
        f"a model that reranks is named by its ARN alone: write bedrock/arn:{partition}:bedrock:{model.region}"
        f"::foundation-model/{name.rpartition('/')[2]}",
        at=("litellm_params", "model_id" if "model_id" in model.parameters else "model"),
    )
    return False


def _check_arn(reading: Reading, place: Place, model: Model, invoked: str) -> bool:
    """Check what is invoked by its ARN. Whether it is the ARN of something that can be."""
    at = ("litellm_params", "model_id" if "model_id" in model.parameters else "model")
    arn = BEDROCK_ARN.fullmatch(invoked)
    if not arn:
        reading.refuse(
            place, f"{invoked!r} is not the ARN of one Bedrock model or inference profile: copy it whole", at=at
        )
        return False
    kind, by_model, spoken = arn["kind"], at[1] == "model", {"converse", *FORMATS} & set(model.routes)
    if model.region and arn["region"] != model.region:
        reading.refuse(
            place, f"its ARN is in {arn['region']!r} but aws_region_name is {model.region!r}: make them equal", at=at
        )
    if kind in _ROUTERS:
        reading.refuse(
            place,
            "a prompt router does not tell the models behind it, which the role must be permitted: name a model",
            at=at,
        )
    elif kind in _MUTE and by_model and not spoken:
        reading.refuse(
            place,
            f"an ARN of the kind {kind} does not tell LiteLLM how to speak to it: write bedrock/converse/arn:…"
            + (", or its format, as in bedrock/llama/arn:…" if kind == "imported-model" else "")
            + ", or name the model in model and the ARN in model_id",
            at=at,
        )
    elif kind == "application-inference-profile":
        _check_application_profile(reading, place, model, at)
    elif by_model:
        _warn_of_format(reading, place, model, at)
    return True


def _warn_of_format(reading: Reading, place: Place, model: Model, at: Place) -> None:
    """Warn of what LiteLLM makes of answers in the format of an imported model.

    It reads a stream of `openai/` as server-sent events, which InvokeModelWithResponseStream never sends, and takes
    the tokens of `qwen2/` and `qwen3/` from a `usage` in the answer, and not from Bedrock's headers
    (`amazon_openai_transformation.py` and `amazon_qwen3_transformation.py` in its llms/bedrock/chat).
    """
    version, spoken = catalog()["litellm"], set(model.routes)
    if "openai" in spoken:
        reading.warn(
            place,
            f"LiteLLM {version} does not read what Bedrock streams in OpenAI's format, and a streamed answer is empty: "
            "write bedrock/converse/arn:…, if Converse speaks to the model",
            at=at,
        )
    elif {"qwen2", "qwen3"} & spoken:
        reading.warn(
            place,
            f"LiteLLM {version} counts no tokens of a plain answer in this format that has no usage, and no budget "
            "counts it: write bedrock/converse/arn:…, or bedrock/openai/arn:… where Converse does not speak to it",
            at=at,
        )


def _check_application_profile(reading: Reading, place: Place, model: Model, at: Place) -> None:
    """Check what an application inference profile stands for, which its ARN does not tell."""
    named = at[1] == "model"
    if not model.base:
        reading.refuse(
            place, "an application inference profile does not tell its model: set model_info.base_model", at=at
        )
    elif named and "embed" in model.base:
        reading.refuse(
            place,
            f"LiteLLM asks it for chat: name the embedding model in model, as in bedrock/{model.base}, and the "
            "profile's ARN in model_id",
            at=at,
        )
    elif named and "invoke" in model.routes:
        reading.refuse(place, "LiteLLM knows no format for it by invoke/: write bedrock/converse/arn:…", at=at)
    elif geography_of(model.base)[0] is None and (routed := _profiles_of(model.base, model.region)):
        reading.warn(
            place,
            f"its model {model.base} is also behind the inference profile {routed[0]}: if the application profile was "
            "made of that one, name it, or the role permits the model in this region only",
            at=("model_info", "base_model") if named else ("litellm_params", "model"),
        )


def _check_made_profile(reading: Reading, place: Place, model: Model, variable: str) -> None:
    """Check an entry against the profile that the deployment makes; that there is one is told with the variables."""
    at, made = ("litellm_params", "model_id"), reading.made.profiles.get(variable)
    if made is not None and model.base != made:
        reading.refuse(
            place,
            f"{variable} is a profile of {made} (bedrock.inference_profiles), and model names {model.base}: write "
            f"bedrock/{made}, by which it is priced and permitted",
            at=at,
        )
    if not model.by_role:
        reading.refuse(
            place,
            f"{variable} is of the environment's own account, which the task's role calls: remove the others",
            at=at,
        )
    _check_own_region(reading, place, model.region, f"{variable} is")


def _check_own_region(reading: Reading, place: Place, region: str | None, what: str, at: Place = ()) -> None:
    """Refuse another region than the environment's, in which the deployment makes what it makes."""
    if reading.region and region and region != reading.region:
        reading.refuse(
            place,
            f"{what} in the environment's region {reading.region}: write aws_region_name: {REFERENCE}AWS_REGION",
            at=at or ("litellm_params", "aws_region_name"),
        )


def _profiles_of(model: str, region: str | None) -> list[str]:
    """The inference profiles of a model that may be called from a region, as far as LiteLLM's list has them."""
    return [
        f"{name}.{model}"
        for name, geography in GEOGRAPHIES.items()
        if f"{name}.{model}" in catalog()["prices"] and str(region).startswith(geography.callers)
    ]


def _check_geography(reading: Reading, place: Place, model: Model, name: str, region: str | None) -> None:
    """Refuse an id whose geography may not be called from the region: of what is invoked, or of its model."""
    at = ("litellm_params", "model")
    if "*" in name or "." not in name:
        reading.refuse(
            place,
            f"{name!r} is not a Bedrock model id: write it as vendor.model, as in amazon.nova-2-lite-v1:0",
            at=at,
        )
        return
    geography, rest = geography_of(name)
    first, _, after = name.partition(".")
    if not geography and after in catalog()["prices"] and "." in after:
        close = closest(first, GEOGRAPHIES)
        advice = f"did you mean {close!r}" if close else f"use one of {', '.join(sorted(GEOGRAPHIES))}"
        reading.refuse(place, f"{first!r} is not a geography of inference profiles: {advice}", at=at)
    if geography and region and not region.startswith(GEOGRAPHIES[geography].callers):
        reading.refuse(
            place,
            f"the inference profile {name!r} cannot be called from {region!r}: use the profile of that geography, or "
            f"global.{rest}",
            at=at,
        )


def check_guardrail(reading: Reading, place: Place, given: object, key: str = "guardrailIdentifier") -> None:
    """Refuse a guardrail that the role could not be permitted by its id."""
    if given is None:
        return
    mapping: dict[str, Any] = reading.mapping(place, given)
    if str(mapping.get("trace", "disabled")) != "disabled":
        told = "with trace the answer tells its caller what was masked or blocked, as it was: leave it out"
        reading.warn(place, told, at=("trace",))
    if mapping.get(key) == f"{REFERENCE}{GUARDRAIL_ID}":
        _check_made_guardrail(reading, place, mapping)
    elif mapping and not reading.value(mapping.get(key)):
        reading.refuse(
            place,
            f"it has no {key} that is known here, and the role is permitted one guardrail: write its id itself",
            at=(key,),
        )


def _check_made_guardrail(reading: Reading, place: Place, given: dict[str, Any]) -> None:
    """Check what refers to the guardrail that the deployment makes; that there is one is told with the variables."""
    version = f"{REFERENCE}{GUARDRAIL_VERSION}"
    if given.get("guardrailVersion") != version:
        reading.refuse(
            place,
            f"guardrailVersion is to be {version}: another version goes when the setting changes",
            at=("guardrailVersion",),
        )
    if "aws_role_name" in given:
        reading.refuse(
            place, "this guardrail is of the environment's own account: remove aws_role_name", at=("aws_role_name",)
        )
    region = reading.value(given.get("aws_region_name"))
    _check_own_region(reading, place, region, "this guardrail is", at=("aws_region_name",))
    if "mode" in given and not any(map(_looks_before, _same(reading, given))):
        reading.warn(
            place,
            "without pre_call no prompt is masked: during_call looks at it while the model has it already; write "
            "mode: [pre_call, post_call]",
            at=("mode",),
        )


def _looks_before(given: Mapping[str, Any]) -> bool:
    modes = given.get("mode")
    return "pre_call" in (modes if isinstance(modes, list) else [modes])


def _same(reading: Reading, given: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """It, and the guardrails of the file that ask the same one of Bedrock."""
    yield given
    entries = reading.document.get("guardrails")
    for entry in entries if isinstance(entries, list) else ():
        parameters = entry.get("litellm_params") if isinstance(entry, dict) else None
        if isinstance(parameters, dict) and parameters.get("guardrailIdentifier") == given.get("guardrailIdentifier"):
            yield parameters


def price_notice(reading: Reading, place: Place, model: Model) -> None:
    """Warn of a profile by its ARN, which LiteLLM prices as the model alone: it leaves the geography's part out."""
    arn = BEDROCK_ARN.fullmatch(model.id)
    if not arn or arn["kind"] != "inference-profile" or model.info.get("base_model") or model.own_prices():
        return
    prices, (geography, plain) = catalog()["prices"], geography_of(arn["id"])
    if geography and prices.get(arn["id"], prices.get(plain)) != prices.get(plain):
        reading.warn(
            place,
            f"LiteLLM {catalog()['litellm']} prices the profile's ARN as {plain}, and not as {arn['id']}: set "
            f"model_info.base_model to {arn['id']}",
            at=("litellm_params", "model"),
        )
