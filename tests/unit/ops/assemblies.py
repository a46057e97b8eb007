"""Assemblies on disk, as the CDK writes them, of the recorded templates; and an account that has some deployed."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ops.assembly import Assembly
from stacks.company import company

Templates = dict[str, dict[str, Any]]
DEPENDENCIES: dict[str, list[str]] = {
    "Network": [],
    "Database": ["Network"],
    "Email": [],
    "Gateway": ["Network", "Email", "Database"],
}


@cache
def _recorded(environment: str) -> Templates:
    files = {path.stem: path for path in (company().snapshots / environment).glob("*.json")}
    order = [*DEPENDENCIES, *sorted(files.keys() - DEPENDENCIES)]
    return {stack: json.loads(files[stack].read_text()) for stack in order}


def recorded(environment: str = "dev") -> Templates:
    """The environment's templates by stack; the names of packages are `ASSET.zip`."""
    return copy.deepcopy(_recorded(environment))


def logical_id(template: dict[str, Any], kind: str, begin: str = "") -> str:
    """The id of the first resource of a type whose id begins so."""
    resources: dict[str, Any] = template["Resources"]
    return next(key for key, item in resources.items() if item["Type"] == kind and key.startswith(begin))


def resource(template: dict[str, Any], kind: str, begin: str = "") -> Any:  # noqa: ANN401 - a template is JSON
    """That resource."""
    return template["Resources"][logical_id(template, kind, begin)]


def rename(template: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The template as if a construct had another id: the resource, and all that refers to it."""
    text = json.dumps(template)
    return dict(json.loads(text.replace(f'"{old}"', f'"{new}"')))


def write(
    folder: Path, templates: dict[str, Templates], *, account: str = "111111111111", protected: tuple[str, ...] = ()
) -> Assembly:
    """An assembly of environments and their stacks; `protected` are those with termination protection."""
    folder.mkdir(parents=True)
    stages = {}
    for environment, stacks in templates.items():
        stage = folder / f"assembly-{environment}"
        stage.mkdir()
        artifacts: dict[str, Any] = {}
        for stack, template in stacks.items():
            file = f"{environment}{stack}.template.json"
            (stage / file).write_text(json.dumps(template))
            name = f"{environment}{stack}"
            artifacts[f"{name}.assets"] = {"type": "cdk:asset-manifest", "properties": {"file": f"{name}.assets.json"}}
            artifacts[name] = {
                "type": "aws:cloudformation:stack",
                "environment": f"aws://{account}/ap-northeast-1",
                "properties": {
                    "templateFile": file,
                    "terminationProtection": stack in protected,
                    "tags": {"service": "litellm-gateway", "environment": environment},
                    "cloudFormationExecutionRoleArn": "arn:${AWS::Partition}:iam::" + f"{account}:role/cfn-exec",
                    "stackName": f"litellm-{environment}-{stack.lower()}",
                },
                "dependencies": [
                    *(f"{environment}{other}" for other in DEPENDENCIES.get(stack, ["Gateway"]) if other in stacks),
                    f"{name}.assets",
                ],
                "displayName": f"{environment}/{stack}",
            }
        (stage / "manifest.json").write_text(json.dumps({"version": "55.0.0", "artifacts": artifacts}))
        stages[stage.name] = {
            "type": "cdk:cloud-assembly",
            "properties": {"directoryName": stage.name, "displayName": environment},
        }
    (folder / "manifest.json").write_text(json.dumps({"version": "55.0.0", "artifacts": stages}))
    return Assembly.load(folder)


class Deployed:
    """CloudFormation and STS in memory: stacks by name, which are described three a page. It stands for a session."""

    def __init__(self, account: str = "111111111111") -> None:
        self.account = account
        self.templates: dict[str, dict[str, Any] | str] = {}
        self.states: dict[str, str] = {}
        self.protected: set[str] = set()

    def deploy(self, assembly: Assembly) -> "Deployed":
        """Have all of the assembly's stacks; what is not ASCII is given back as `?`."""
        for stack in assembly.artifacts:
            text = json.dumps(stack.template(), ensure_ascii=False)
            self.templates[stack.name] = json.loads("".join(c if ord(c) < 128 else "?" for c in text))
            if stack.termination_protection:
                self.protected.add(stack.name)
        return self

    def client(self, service: str) -> "Deployed":
        assert service in ("cloudformation", "sts")
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": self.account}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        if StackName not in self.templates:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        return {"Stacks": [self._described(StackName)]}

    def get_paginator(self, operation: str) -> "Deployed":
        assert operation == "describe_stacks"
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        names = list(self.templates)
        for start in range(0, len(names) + 1, 3):
            yield {"Stacks": [self._described(name) for name in names[start : start + 3]]}

    def get_template(self, StackName: str, TemplateStage: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        assert TemplateStage == "Original"
        return {"TemplateBody": self.templates[StackName]}

    def _described(self, name: str) -> dict[str, Any]:
        return {
            "StackName": name,
            "StackStatus": self.states.get(name, "UPDATE_COMPLETE"),
            "EnableTerminationProtection": name in self.protected,
        }
