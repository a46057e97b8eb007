"""CloudFormation in memory: stacks that are updated step by step, and refused for the reasons that AWS refuses them.

It keeps the rules about exports: what another stack imports cannot be removed, and what nobody exports cannot be
imported. A template's parameter of Parameter Store is looked up at every update, and is there if a stack has a resource
of its name. An update goes on with each `tick`, which a test gives to what waits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import boto3
from botocore import exceptions as aws

from ops.access import Access
from stacks.company import environments

DEV = environments()["dev"]
BUCKET = f"cdk-hnb659fds-assets-{DEV.account}-{DEV.region}"
ENDPOINT = f"https://s3.{DEV.region}.amazonaws.com"


@dataclass
class Stack:
    """One stack, with its events, the oldest first."""

    name: str
    template: dict[str, Any]
    status: str = "CREATE_COMPLETE"
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    role: str = ""
    updated: int = 0
    events: list[dict[str, str]] = field(default_factory=list)
    looked_up: dict[str, str] = field(default_factory=dict)  # the values of its template's parameters
    steps: list[str] = field(default_factory=list)  # states to come

    def description(self) -> dict[str, Any]:
        """As DescribeStacks has it."""
        return {
            "StackName": self.name,
            "StackId": f"arn:{self.name}",
            "StackStatus": self.status,
            "LastUpdatedTime": self.updated,
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()],
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
        } | ({"RoleARN": self.role} if self.role else {})

    def event(self, status: str, reason: str = "", resource: str = "") -> None:
        """Of a resource, or of the stack itself."""
        self.events.append(
            {
                "LogicalResourceId": resource or self.name,
                "ResourceType": "AWS::Some::Thing" if resource else "AWS::CloudFormation::Stack",
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
        )

    def update(self, template: dict[str, Any], *, failing: str = "", resource: str = "") -> None:
        """Begin an update, which fails for the reason `failing`."""
        self.updated += 1
        self.status = "UPDATE_IN_PROGRESS"
        self.event(self.status, "User Initiated")
        if failing:
            if resource:
                self.event("UPDATE_FAILED", failing, resource)
                self.event("UPDATE_FAILED", "Resource update cancelled", f"After{resource}")
            self.event("UPDATE_ROLLBACK_IN_PROGRESS", "" if resource else failing)
            self.steps = ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"]
        else:
            self.template = template
            self.steps = ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"]


class FakeAws:
    """A session of dev's account, with CloudFormation and the bootstrap's bucket."""

    def __init__(self) -> None:
        self.stacks: dict[str, Stack] = {}
        self.objects: dict[str, bytes] = {}
        self.updates: list[dict[str, Any]] = []  # requests, in their order
        self.failures: dict[str, tuple[str, str]] = {}  # stack: resource and reason
        self.meta = self
        self.endpoint_url = ENDPOINT

    def access(self) -> Access:
        """The way into dev's account."""
        return Access(DEV, cast("boto3.Session", self))

    def deploy(self, name: str, template: dict[str, Any], **more: Any) -> Stack:  # noqa: ANN401 - fields of Stack
        """Have a stack deployed already."""
        stack = self.stacks[name] = Stack(name, template, **more)
        stack.looked_up = self._looked_up(template)
        return stack

    def tick(self) -> None:
        """Let every update go on by a step."""
        for stack in self.stacks.values():
            if stack.steps:
                stack.status = stack.steps.pop(0)
                stack.event(stack.status)

    def templates(self) -> dict[str, dict[str, Any]]:
        """Of each stack."""
        return {name: stack.template for name, stack in self.stacks.items()}

    # --- boto3's ---

    def client(self, service: str) -> FakeAws:
        assert service in ("cloudformation", "s3", "sts", "ssm")
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": DEV.account}

    def get_paginator(self, operation: str) -> _Paginator:
        return _Paginator(self, operation)

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        return {"Stacks": [self._stack(StackName).description()]}

    def get_template(self, StackName: str, TemplateStage: str) -> dict[str, Any]:  # noqa: N803
        assert TemplateStage == "Original"
        return {"TemplateBody": self._stack(StackName).template}

    def put_object(self, **request: Any) -> None:  # noqa: ANN401
        assert (request["Bucket"], request["ExpectedBucketOwner"]) == (BUCKET, DEV.account)
        assert request["Key"] == f"{hashlib.sha256(request['Body']).hexdigest()}.json"
        self.objects[f"{ENDPOINT}/{BUCKET}/{request['Key']}"] = request["Body"]

    def update_stack(self, **request: Any) -> None:  # noqa: ANN401
        stack, template = self._stack(request["StackName"]), json.loads(self.objects[request["TemplateURL"]])
        self.updates.append(request)
        assert {"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"} == set(request["Capabilities"])
        if not stack.status.endswith("_COMPLETE"):
            raise refused(f"Stack [{stack.name}] is in {stack.status} state and can not be updated.")
        if unknown := set(imports(template)) - {e for s in self.stacks.values() for e in exports(s.template)}:
            raise refused(f"No export named {unknown.pop()} found.")
        parameters = {
            p["ParameterKey"]: stack.parameters[p["ParameterKey"]] if p.get("UsePreviousValue") else p["ParameterValue"]
            for p in request["Parameters"]
        }
        tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        looked_up = self._looked_up(template)
        was = (stack.template, stack.parameters, stack.tags, stack.looked_up)
        if (template, parameters, tags, looked_up) == was:
            raise refused("No updates are to be performed.")
        resource, reason = self.failures.get(stack.name, ("", self._in_use(stack, template)))
        stack.update(template, failing=reason, resource=resource)
        if not reason:
            stack.parameters, stack.tags, stack.looked_up = parameters, tags, looked_up

    def _looked_up(self, template: Mapping[str, Any]) -> dict[str, str]:
        """The values of a template's parameters: of the resources, in any stack, that they are named after."""
        templates = [stack.template for stack in self.stacks.values()]
        resources = {name: each for one in templates for name, each in one.get("Resources", {}).items()}
        names = [parameter["Default"] for parameter in template.get("Parameters", {}).values()]
        if missing := [name for name in names if name not in resources]:
            raise refused(f"Unable to fetch parameters [{','.join(missing)}] from parameter store for this account.")
        return {name: resources[name]["Properties"]["Is"] for name in names}

    def _in_use(self, stack: Stack, template: dict[str, Any]) -> str:
        removed = set(exports(stack.template)) - set(exports(template))
        for other in self.stacks.values():
            if used := removed & set(imports(other.template)):
                return f"Export {used.pop()} cannot be deleted as it is in use by {other.name}"
        return ""

    def _stack(self, name: str) -> Stack:
        if name not in self.stacks:
            raise refused(f"Stack with id {name} does not exist")
        return self.stacks[name]


@dataclass
class _Paginator:
    aws: FakeAws
    operation: str

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
        if self.operation == "describe_stacks":
            for stack in self.aws.stacks.values():
                yield {"Stacks": [stack.description()]}
        elif self.operation == "describe_stack_events":
            for event in reversed(self.aws.stacks[request["StackName"]].events):
                yield {"StackEvents": [event]}
        else:
            raise AssertionError(self.operation)


def refused(message: str, code: str = "ValidationError", operation: str = "UpdateStack") -> aws.ClientError:
    """What CloudFormation answers if it does not do something."""
    return aws.ClientError({"Error": {"Code": code, "Message": message}}, operation)


def template(
    *, exports: Iterable[str] = (), imports: Iterable[str] = (), looks_up: Iterable[str] = (), **resources: str
) -> dict[str, Any]:
    """A template whose resources have one property; each export, and each look-up, is of the resource of its name."""
    looked_up = {name: {"Type": "AWS::SSM::Parameter::Value<String>", "Default": name} for name in looks_up}
    return {
        **({"Parameters": looked_up} if looked_up else {}),
        "Resources": {
            **{name: {"Type": "AWS::Some::Thing", "Properties": {"Is": value}} for name, value in resources.items()},
            **{name: {"Type": "AWS::Some::Thing"} for name in exports if name not in resources},
            **{
                f"Uses{name}": {"Type": "AWS::Some::Thing", "Properties": {"Of": {"Fn::ImportValue": name}}}
                for name in imports
            },
        },
        "Outputs": {f"Export{name}": {"Value": {"Ref": name}, "Export": {"Name": name}} for name in exports},
    }


def exports(template: Mapping[str, Any]) -> list[str]:
    """Names of what a template exports."""
    return [output["Export"]["Name"] for output in template.get("Outputs", {}).values()]


def imports(template: Mapping[str, Any]) -> list[str]:
    """Names of what a template imports."""
    properties = (resource.get("Properties", {}) for resource in template["Resources"].values())
    return [p["Of"]["Fn::ImportValue"] for p in properties if "Of" in p]


def assembly(folder: Path, *names: str, role: str = "") -> Path:
    """A folder that `Assembly.load` reads, with dev's stacks of these names, each depending on the one before."""
    nested = folder / "assembly-dev"
    nested.mkdir(parents=True)
    stage = {"type": "cdk:cloud-assembly", "properties": {"directoryName": nested.name}}
    _manifest(folder, {nested.name: stage})
    artifacts = {}
    for before, name in zip(("", *names), names, strict=False):
        (nested / f"{name}.template.json").write_text(json.dumps(template()))
        properties = {"templateFile": f"{name}.template.json", "stackName": f"litellm-dev-{name.lower()}"}
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{DEV.account}/{DEV.region}",
            "displayName": f"dev/{name}",
            "properties": properties | ({"cloudFormationExecutionRoleArn": role} if role else {}),
            "dependencies": [before] if before else [],
        }
    _manifest(nested, dict(reversed(artifacts.items())))
    return folder


def _manifest(folder: Path, artifacts: Mapping[str, Any]) -> None:
    (folder / "manifest.json").write_text(json.dumps({"version": "55.0.0", "artifacts": artifacts}))
