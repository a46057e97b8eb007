"""What is deployed now, kept in a folder, and put back from it.

A deployment changes one stack after another. CloudFormation rolls back the stack that fails, but not those before it,
and it knows nothing of a release that deploys well and answers badly. So what is deployed is saved before, as
CloudFormation has it, and stacks that differ afterwards are updated back to it.

The folder has one file, `stacks.json`, for its owner alone: `environment`, and `stacks` in the order of deployment,
each with `name`, `template` (its text), `parameters` and `tags` (values by name; those of a parameter with NoEcho are
masked by CloudFormation) and `role` (the ARN of the role that CloudFormation works with, or null). CloudFormation gives
a template back with a question mark for each character that is not ASCII, and so it is saved and put back.

Integrates with AWS CloudFormation, and with Amazon S3 for templates: the bucket of `cdk bootstrap`.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore import exceptions as aws
from pydantic import BaseModel, ConfigDict, ValidationError

from ops.access import QUALIFIER, Access, OpsError
from ops.assembly import NOT_THERE, Assembly, deployed_template, stacks_of

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.literals import CapabilityType
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef, UpdateStackInputTypeDef

FILE: Final = "stacks.json"

STEADY: Final = (
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
)
"""A stack in one of these is what its template says, and can be updated."""

_DELETE: Final = "delete it with `aws cloudformation delete-stack --stack-name {name}`"
REMEDIES: Final[Mapping[str, str]] = {
    "UPDATE_ROLLBACK_FAILED": "mend what its events name, and go on with "
    "`aws cloudformation continue-update-rollback --stack-name {name}`",
    "UPDATE_FAILED": "roll it back with `aws cloudformation rollback-stack --stack-name {name}`",
    "DELETE_FAILED": _DELETE,
}
"""What to do about a stack that cannot be updated. One that was never made as a whole: `ops.first_attempts`."""

EXPORTS: Final = re.compile(r"\bexport\b.*\b(in use|found|exist)|imported by", re.IGNORECASE)
"""CloudFormation's reason if a stack waits for another: it would remove what that one imports, or import what that one
does not export yet."""

LOOKED_UP: Final = "AWS::SSM::Parameter::Value<"
"""The type of a template's parameter whose value CloudFormation reads from Parameter Store at every update."""

CANCELLED: Final = re.compile(r"Resource \w+ cancell?ed")
"""CloudFormation's reason for a resource that failed only because another one had."""

# What the CDK CLI acknowledges too.
CAPABILITIES: Final[tuple[CapabilityType, ...]] = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")

Say = Callable[[str], None]
Wait = Callable[[], None]
"""Lets a moment pass before CloudFormation is asked again."""

five_seconds: Final[Wait] = partial(time.sleep, 5)


class SavedStack(BaseModel):
    """One stack as it was."""

    model_config = ConfigDict(frozen=True)

    name: str
    template: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    role: str | None


class Saved(BaseModel):
    """What was deployed in an environment: its stacks, in the order of deployment; none before the first one."""

    model_config = ConfigDict(frozen=True)

    environment: str
    stacks: tuple[SavedStack, ...]

    @property
    def names(self) -> frozenset[str]:
        """Of the stacks."""
        return frozenset(stack.name for stack in self.stacks)

    @classmethod
    def read(cls, folder: Path, environment: str) -> Saved:
        """What `write` has kept.

        Raises
        ------
        OpsError
            The folder has nothing that was saved, or what was saved of another environment.
        """
        remedy = f"give the folder of `python -m ops.release check --env {environment} --before …`."
        try:
            saved = cls.model_validate_json((folder / FILE).read_text())
        except (OSError, ValueError, ValidationError):
            raise OpsError(f"{folder} does not have what was deployed before: {remedy}") from None
        if saved.environment != environment:
            raise OpsError(f"{folder} has what was deployed in {saved.environment}, not in {environment}: {remedy}")
        return saved

    def write(self, folder: Path) -> None:
        """Keep it in the folder, for its owner alone."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / FILE
        file.touch(mode=0o600)
        file.chmod(0o600)
        file.write_text(self.model_dump_json(indent=1))


@dataclass(frozen=True)
class PutBack:
    """What came of putting back: names of stacks, and for each that failed CloudFormation's reason."""

    restored: tuple[str, ...]
    failed: Mapping[str, str]
    new: tuple[str, ...]  # not there before: they stay

    @property
    def nothing(self) -> bool:
        """Whether nothing differed from what was deployed before."""
        return not (self.restored or self.failed)

    def text(self) -> str:
        """One line each."""
        lines = [f"  {name}: put back" for name in self.restored]
        lines += [f"  {name}: not put back: {reason}" for name, reason in self.failed.items()]
        lines += [f"  {name}: stays, though it is new" for name in self.new]
        return "\n".join(lines) or "  Nothing differs from what was deployed before."


def described(access: Access) -> dict[str, StackTypeDef]:
    """The environment's stacks by name, those that no release has any more too."""
    return stacks_of(access.acting_as("lookup").client("cloudformation"), access.environment)


def save(access: Access, assembly: Assembly, but: Collection[str] = ()) -> Saved:
    """What is deployed in the environment now: the stacks of the assembly in its order, then those that it has not.

    `but` are names of stacks that count as none, whatever state they are in.

    Raises
    ------
    OpsError
        Another deployment is running, or a stack is in a state in which it cannot be updated.
    """
    found = described(access)
    released = {stack.name: stack for stack in assembly.stacks(access.environment.name)}
    refuse_busy(found)
    for name in (released.keys() & found.keys()) - set(but):
        _refuse_broken(name, found[name]["StackStatus"])
    session = access.acting_as("lookup")
    stacks = []
    for name in (*released, *(found.keys() - released.keys())):
        if name not in found or found[name]["StackStatus"] not in STEADY:
            continue
        template = deployed_template(session, name)
        if template is None:  # gone meanwhile
            continue
        role = found[name].get("RoleARN") or (released[name].execution_role if name in released else None)
        stacks.append(
            SavedStack(
                name=name, template=template, parameters=_parameters(found[name]), tags=_tags(found[name]), role=role
            )
        )
    return Saved(environment=access.environment.name, stacks=tuple(stacks))


def busy(found: Mapping[str, StackTypeDef]) -> dict[str, str]:
    """The states of those stacks that CloudFormation is at work on, by name."""
    states = {name: stack["StackStatus"] for name, stack in found.items()}
    return {
        name: state
        for name, state in states.items()
        if state.endswith("_IN_PROGRESS") and state != "REVIEW_IN_PROGRESS"
    }


def refuse_busy(found: Mapping[str, StackTypeDef]) -> None:
    """Refuse to meddle with another deployment.

    Raises
    ------
    OpsError
        CloudFormation is at work on one of the stacks.
    """
    for name, state in busy(found).items():
        raise OpsError(f"another deployment is at work on {name} ({state}): wait until it has ended, and run it again.")


def _refuse_broken(name: str, state: str) -> None:
    if remedy := REMEDIES.get(state):
        raise OpsError(f"{name} cannot be updated ({state}): {remedy.format(name=name)}, and run this again.")


TRACE: Final = re.compile(r"^Error: |\n\s*(Logs: |at ).*", re.DOTALL)
"""What the framework of custom resources, in JavaScript, puts around a function's sentence."""


def failure(cloudformation: CloudFormationClient, name: str) -> str:
    """Why the latest operation on a stack failed: the resource that failed first, and its reason."""
    first = whole = ""
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=name):
        for event in page["StackEvents"]:  # the newest first
            state, reason = event.get("ResourceStatus", ""), event.get("ResourceStatusReason", "")
            if event.get("LogicalResourceId") == name and event.get("ResourceType") == "AWS::CloudFormation::Stack":
                if state in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):  # where it began
                    return first or whole
                whole = reason or whole
            elif state.endswith("_FAILED") and not CANCELLED.match(reason):
                first = f"{event.get('LogicalResourceId')}: {TRACE.sub('', reason)}"
    return first or whole


def put_back(access: Access, saved: Saved, *, say: Say = print, wait: Wait = five_seconds) -> PutBack:
    """Update each stack that differs from what was saved back to it.

    The last one deployed goes first: it may use what an earlier one got by the same release. Where it is the other way
    round CloudFormation refuses, and the stack is tried again after the others. A stack that looks up values of others,
    and so holds none of them, comes after them, and is updated even if it is what it was: they may have been replaced.
    """
    return _Rollback(access, say, wait).of(saved)


@dataclass(frozen=True)
class _Rollback:
    access: Access
    say: Say
    wait: Wait

    def of(self, saved: Saved) -> PutBack:
        found = described(self.access)
        refused = dict.fromkeys(saved.names - found.keys(), "it is gone: deploy the release that had it")
        there = [stack for stack in reversed(saved.stacks) if stack.name in found]
        todo = [stack for stack in there if self._differs(stack)]
        waiting = [stack for stack in todo if not _looks_up(stack)]
        while waiting:
            for stack in waiting:
                refused[stack.name] = self._update(stack)
            again = [stack for stack in waiting if EXPORTS.search(refused[stack.name])]
            if len(again) == len(waiting):
                break
            waiting = again
        for stack in waiting:  # what stays, a new stack, uses an export of it
            refused[stack.name] = self._update(stack, keep_exports=True)
        if todo:
            refused |= {stack.name: self._update(stack) for stack in there if _looks_up(stack)}
        failed = {name: reason for name, reason in refused.items() if reason}
        return PutBack(
            restored=tuple(stack.name for stack in todo if stack.name not in failed),
            failed=failed,
            new=tuple(
                name
                for name, stack in found.items()
                if name not in saved.names and stack["StackStatus"] not in NOT_THERE
            ),
        )

    def _differs(self, stack: SavedStack) -> bool:
        """Whether it is not what was saved, once CloudFormation has left it alone."""
        self._settled(stack.name)
        now = self._described(stack.name)
        return (
            _document(self._template(stack.name)) != _document(stack.template)
            or _parameters(now) != stack.parameters
            or _tags(now) != stack.tags
        )

    def _update(self, stack: SavedStack, *, keep_exports: bool = False) -> str:
        """Why it could not be put back; empty if it was."""
        now = self._described(stack.name)
        if remedy := REMEDIES.get(now["StackStatus"]):
            return f"{now['StackStatus']}: {remedy.format(name=stack.name)}"
        parameters = _given(stack.parameters, _parameters(now))
        if isinstance(parameters, str):
            return parameters
        template = _with_exports(stack.template, self._template(stack.name)) if keep_exports else stack.template
        request: UpdateStackInputTypeDef = {
            "StackName": stack.name,
            "TemplateURL": self._stored(template),
            "Parameters": parameters,
            "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
            "Capabilities": CAPABILITIES,
        }
        if stack.role:
            request["RoleARN"] = stack.role
        try:
            self.access.acting_as("deploy").client("cloudformation").update_stack(**request)
        except aws.ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            reason = error.response["Error"]["Message"]
            return "" if "No updates are to be performed" in reason else reason
        state = self._settled(stack.name)
        if state == "UPDATE_COMPLETE":
            return ""
        # A client of its own: a role's credentials are good for an hour, and the wait may have been longer.
        reason = failure(self.access.acting_as("deploy").client("cloudformation"), stack.name) or state
        return f"{reason} ({state})" if state in REMEDIES else reason

    def _settled(self, name: str) -> str:
        """The stack's state when CloudFormation has done with it; each one on the way is said."""
        before = ""
        while (state := self._described(name)["StackStatus"]).endswith("_IN_PROGRESS"):
            if state != before:
                self.say(f"  {name}: {state}")
            before = state
            self.wait()
        if before:
            self.say(f"  {name}: {state}")
        return state

    def _described(self, name: str) -> StackTypeDef:
        cloudformation = self.access.acting_as("lookup").client("cloudformation")
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]

    def _template(self, name: str) -> str:
        return deployed_template(self.access.acting_as("lookup"), name) or ""

    def _stored(self, template: str) -> str:
        """The URL of the template in the bootstrap's bucket, named by its content as the CDK CLI does it."""
        account, region = self.access.environment.account, self.access.environment.region
        bucket, body = f"cdk-{QUALIFIER}-assets-{account}-{region}", template.encode()
        key = f"{hashlib.sha256(body).hexdigest()}.json"
        s3 = self.access.acting_as("file-publishing").client("s3")
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", ExpectedBucketOwner=account)
        return f"{s3.meta.endpoint_url}/{bucket}/{key}"


def _parameters(stack: StackTypeDef) -> dict[str, str]:
    """A parameter that is read from Parameter Store has its name there, not what was read."""
    return {p["ParameterKey"]: p.get("ParameterValue", "") for p in stack.get("Parameters", [])}


def _tags(stack: StackTypeDef) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}


def _given(wanted: Mapping[str, str], now: Mapping[str, str]) -> list[ParameterTypeDef] | str:
    """What UpdateStack takes for these parameters, or why that cannot be told."""
    given: list[ParameterTypeDef] = []
    for key, value in wanted.items():
        if now.get(key) == value:  # masked or not
            given.append({"ParameterKey": key, "UsePreviousValue": True})
        elif re.fullmatch(r"\*+", value):
            return f"the value of its parameter {key} is hidden (NoEcho), and the release has no such parameter"
        else:
            given.append({"ParameterKey": key, "ParameterValue": value})
    return given


def _looks_up(stack: SavedStack) -> bool:
    """Whether values of the other stacks are looked up whenever it is updated.

    From Parameter Store, but for the bootstrap's version, which is in every template and marked as nothing that changes
    (`SSMPARAM_NO_INVALIDATE` of the CDK CLI); releases before this had them from the other stacks' outputs.
    """
    document = _document(stack.template)
    parameters = document.get("Parameters", {}).values() if isinstance(document, dict) else ()
    return '"Fn::GetStackOutput"' in stack.template or any(
        str(parameter.get("Type")).startswith(LOOKED_UP) and "[cdk:skip]" not in parameter.get("Description", "")
        for parameter in parameters
    )


def _document(template: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(template)
    except ValueError:  # YAML, which only people write: compared as text
        return template


def _with_exports(template: str, now: str) -> str:
    """The template with those exports of the one deployed now that its own resources can give."""
    wanted, deployed = _document(template), _document(now)
    if not (isinstance(wanted, dict) and isinstance(deployed, dict)):
        return template
    gone = [json.dumps(name) for name in deployed["Resources"].keys() - wanted["Resources"].keys()]
    outputs = wanted.get("Outputs", {})
    kept = {
        key: output
        for key, output in deployed.get("Outputs", {}).items()
        if "Export" in output and key not in outputs and not any(name in json.dumps(output) for name in gone)
    }
    return json.dumps(wanted | {"Outputs": outputs | kept}, indent=1)
