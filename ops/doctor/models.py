"""Whether Bedrock's models may be called wherever the company's config.yaml has requests for them sent.

Integrates with Bedrock, in each region that is called.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from botocore import exceptions as aws

from ops.access import explain
from ops.doctor.account import WORKERS, Account, error_code
from ops.doctor.finding import Finding, Mark
from stacks.company import config_file
from stacks.litellm_config import LiteLlmConfig, Model, routes
from stacks.litellm_config.bedrock import BEDROCK_ACTIONS, geography_of


class Call(NamedTuple):
    """One of Bedrock's models or inference profiles, called in a region."""

    region: str
    name: str  # the id of a model; of a profile, id or ARN


@dataclass(frozen=True)
class Calls:
    """What config.yaml calls of Bedrock, and where the task's role lets a profile's requests be sent to."""

    models: frozenset[Call]
    profiles: Mapping[Call, frozenset[Call]]  # each with the models that a request may end at
    others: frozenset[str]  # ARNs of what a company has of its own: provisioned, imported, …


def calls_of(config: LiteLlmConfig, account_id: str) -> Calls:
    """What config.yaml calls. Of a global profile's models only the one in the calling region counts: see the role."""
    models: set[Call] = set()
    profiles: dict[Call, frozenset[Call]] = {}
    others: set[str] = set()
    for entry in config.models:
        if not entry.by_role:  # another provider's, or another account's by its own keys
            continue
        # What the deployment makes a profile of is there before it.
        made = entry.made_profile and geography_of(entry.base)[0]
        through: set[Call] = {Call(str(entry.region), entry.base)} if made else set()
        ends: set[Call] = set()
        for arn in _invoked(entry, account_id):
            *_, place, _, resource = arn.split(":", 5)
            kind, _, name = resource.partition("/")
            if kind == "foundation-model":
                ends.add(Call(place, name))
            elif kind == "inference-profile":
                through.add(Call(place, name))
            elif kind == "application-inference-profile":
                through.add(Call(place, arn))
            else:
                others.add(arn)
        profiles |= dict.fromkeys(through, frozenset(ends))
        models |= ends if not through else set()
    return Calls(frozenset(models), profiles, frozenset(others))


def _invoked(entry: Model, account_id: str) -> Iterator[str]:
    for actions, resources in routes.permissions((entry,), (), routes.Account("aws", account_id)):
        if BEDROCK_ACTIONS[0] in actions:  # a model that reranks has no stream
            yield from resources


def model_access(account: Account) -> Iterator[Finding]:
    """Bedrock's models may be called wherever a request for them may be sent: a line for each model and profile."""
    environment = account.environment
    yield from access_to(account, calls_of(environment.litellm_config(config_file()), environment.account))


def access_to(account: Account, calls: Calls) -> Iterator[Finding]:
    """As `model_access`, of what is called."""
    with ThreadPoolExecutor(WORKERS) as pool:
        asked = list(pool.map(lambda call: _profile(account, call), sorted(calls.profiles)))
        routed = {
            end
            for call, (_, ends) in zip(sorted(calls.profiles), asked, strict=True)
            for end in calls.profiles[call] & ends
        }
        models = list(pool.map(lambda call: _model(account, call), sorted(calls.models | routed)))
    yield from _by_name([answer for answer, _ in asked])
    yield from _by_name(models)
    for arn in sorted(calls.others):
        yield Finding(f"Bedrock: {arn}", Mark.UNKNOWN, "this command does not know how to look at such a model")


class Answer(NamedTuple):
    """What Bedrock says of a model or profile in one region: `problem` is empty if it may be called."""

    name: str
    region: str
    mark: Mark
    problem: str = ""
    remedy: str = ""


def _by_name(answers: Collection[Answer]) -> Iterator[Finding]:
    """A finding for each name, and all of its regions that have the same answer."""
    for name in sorted({answer.name for answer in answers}):
        own = [answer for answer in answers if answer.name == name]
        for mark, problem, remedy in dict.fromkeys(answer[2:] for answer in own):
            regions = ", ".join(answer.region for answer in own if answer[2:] == (mark, problem, remedy))
            yield Finding(f"Bedrock: {name}", mark, f"{problem or 'may be called'} in {regions}", remedy)


def _profile(account: Account, call: Call) -> tuple[Answer, frozenset[Call]]:
    """What Bedrock says of an inference profile, and the models that it sends requests to."""
    answered = partial(Answer, f"profile {call.name}", call.region)
    try:
        answer = account.client("bedrock", call.region).get_inference_profile(inferenceProfileIdentifier=call.name)
    except (aws.ClientError, aws.BotoCoreError) as error:
        if not _is_unknown_model(error):
            return answered(Mark.UNKNOWN, explain(error).rstrip(".")), frozenset()
        remedy = "correct its id in company/config.yaml: `aws bedrock list-inference-profiles --region …` has them."
        return answered(Mark.PROBLEM, "there is no such profile", remedy), frozenset()
    arns = [model["modelArn"].split(":", 5) for model in answer["models"]]
    ends = frozenset(Call(place, resource.partition("/")[2]) for *_, place, _, resource in arns)
    if answer["status"] != "ACTIVE":
        remedy = "name another one in company/config.yaml."
        return answered(Mark.PROBLEM, f"it is {answer['status']}", remedy), ends
    return answered(Mark.WELL), ends


def _model(account: Account, call: Call) -> Answer:
    answered = partial(Answer, call.name, call.region)
    try:
        answer = account.client("bedrock", call.region).get_foundation_model_availability(modelId=call.name)
    except (aws.ClientError, aws.BotoCoreError) as error:
        if not _is_unknown_model(error):
            return answered(Mark.UNKNOWN, explain(error).rstrip("."))
        remedy = "correct its id in company/config.yaml: `aws bedrock list-foundation-models --region …` has them."
        return answered(Mark.PROBLEM, "there is no such model", remedy)
    problem, remedy = _refusal(call.name, answer)
    return answered(Mark.PROBLEM if problem else Mark.WELL, problem, remedy)


def _is_unknown_model(error: Exception) -> bool:
    known = ("ResourceNotFoundException", "ValidationException")
    return isinstance(error, aws.ClientError) and error_code(error) in known


def _refusal(model: str, answer: Mapping[str, Any]) -> tuple[str, str]:
    """Why a model may not be called, and what to do; empty if it may.

    https://docs.aws.amazon.com/bedrock/latest/userguide/model-access.html
    """
    if answer["regionAvailability"] != "AVAILABLE":
        return "it is not offered", "take another region, or another profile, in company/config.yaml."
    if (agreement := answer["agreementAvailability"]["status"]) != "AVAILABLE":
        return f"its agreement is {agreement}", (
            f"open {model} in the model catalog of Bedrock's console, once in the account, and accept its terms "
            "(Anthropic asks for the use case too; `aws bedrock create-foundation-model-agreement` does the same)."
        )
    if answer["authorizationStatus"] != "AUTHORIZED":
        return "the account is not authorized", (
            "have whoever manages the organization permit it: a service control policy, or AWS Marketplace's "
            "permissions, forbid it."
        )
    if answer["entitlementAvailability"] != "AVAILABLE":
        return "the account is not entitled to it", (
            f"open {model} in the model catalog of Bedrock's console and ask for access; the account needs a valid way "
            "to pay."
        )
    return "", ""
