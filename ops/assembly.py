"""The synthesized assembly (`cdk.out`): which stacks a release has, in the order of deployment, and what is deployed.

Integrates with the CDK's cloud assembly on disk, the CDK CLI, and AWS CloudFormation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore import exceptions as aws

from ops.access import OpsError
from stacks import CHECKOUT
from stacks.endpoints import partition_of
from stacks.settings import Environment

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackResourceSummaryTypeDef, StackTypeDef

ASSEMBLY: Final = CHECKOUT / "cdk.out"

NOT_THERE: Final = ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_COMPLETE")
"""States of a stack without resources: never deployed, failed when it was made (to be removed and made anew), gone."""

NEVER_MADE: Final = ("CREATE_FAILED", "ROLLBACK_FAILED")
"""States of a stack whose creation failed, and of which something is left."""

Template = dict[str, Any]


@dataclass(frozen=True)
class StackArtifact:
    """One stack of the assembly, and how it is deployed."""

    id: str
    """With its stage, as `cdk deploy` takes it: `dev/Network`."""
    name: str
    """CloudFormation's: `litellm-dev-network`."""
    account: str
    region: str
    template_file: Path
    execution_role: str | None
    """The ARN of the role that CloudFormation works with."""
    termination_protection: bool
    tags: Mapping[str, str]
    depends_on: tuple[str, ...]
    """Names of the stacks that must be deployed before it."""

    def template(self) -> Template:
        """The template.

        Raises
        ------
        OpsError
            Its file is not there, or is no JSON.
        """
        return _json(self.template_file)


@dataclass(frozen=True)
class Assembly:
    """A cloud assembly: all that a release deploys, of every environment that it was synthesized for."""

    folder: Path
    artifacts: tuple[StackArtifact, ...]

    @classmethod
    def load(cls, folder: Path) -> Assembly:
        """The assembly in the folder.

        Raises
        ------
        OpsError
            There is none.
        """
        folder = folder.resolve()
        if not (folder / "manifest.json").is_file():
            raise OpsError(
                f"{folder} is not a synthesized assembly: run make synth, or name the folder of one (--app)."
            )
        return cls(folder, tuple(_artifacts(folder)))

    @classmethod
    def synthesize(cls, environments: Sequence[str], folder: Path = ASSEMBLY) -> Assembly:
        """Synthesize the environments' stacks into the folder.

        Raises
        ------
        OpsError
            The synthesis failed; the sentence is the one that it ended with.
        """
        node, cdk = Path(sys.executable).with_name("node"), CHECKOUT / "node_modules" / "aws-cdk" / "bin" / "cdk"
        if not node.exists() or not cdk.exists():
            raise OpsError("the CDK CLI is not installed: run make setup.")
        command = [str(node), str(cdk), "synth", "--quiet", "--output", str(folder)]
        run = subprocess.run(  # noqa: S603 - the environments' names are one argument
            [*command, "-c", f"environments={','.join(environments)}"],
            cwd=CHECKOUT,
            # The app's own `node`, for jsii, must be the one of .venv too.
            env=os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise OpsError(f"the synthesis failed: {_last_words(run.stderr)}")
        return cls.load(folder)

    def stacks(self, environment: str) -> tuple[StackArtifact, ...]:
        """The environment's stacks, each behind those that it depends on.

        Raises
        ------
        OpsError
            The assembly has none.
        """
        mine = {stack.name: stack for stack in self.artifacts if stack.id.startswith(f"{environment}/")}
        if not mine:
            raise OpsError(
                f"the assembly in {self.folder} has no stacks of {environment}: "
                f"synthesize it with -c environments={environment}, or without that for all."
            )
        order: dict[str, StackArtifact] = {}

        def visit(stack: StackArtifact) -> None:
            for name in stack.depends_on:
                if name in mine and name not in order:
                    visit(mine[name])
            order[stack.name] = stack

        for stack in mine.values():
            if stack.name not in order:
                visit(stack)
        return tuple(order.values())

    def environments(self) -> tuple[str, ...]:
        """Names of the environments that it has stacks of."""
        return tuple(dict.fromkeys(stack.id.split("/")[0] for stack in self.artifacts if "/" in stack.id))


def deployed_stack(session: boto3.Session, stack_name: str) -> StackTypeDef | None:
    """What CloudFormation says of a stack, or None if there is no such stack, or none with resources."""
    try:
        (stack,) = session.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    except aws.ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    return None if stack["StackStatus"] in NOT_THERE else stack


def stacks_of(cloudformation: CloudFormationClient, environment: Environment) -> dict[str, StackTypeDef]:
    """The environment's stacks as CloudFormation has them, in whatever state, by name and in the order of names.

    Those, too, that no release has any more: they are told by their names, `litellm-<environment>-…`.
    """
    pages = cloudformation.get_paginator("describe_stacks").paginate()
    found = {stack["StackName"]: stack for page in pages for stack in page["Stacks"] if "ParentId" not in stack}
    return {name: found[name] for name in sorted(found) if name.startswith(f"litellm-{environment.name}-")}


def resources_of(cloudformation: CloudFormationClient, stack_name: str) -> Iterator[StackResourceSummaryTypeDef]:
    """The resources of a stack as CloudFormation has them, in whatever state; of one that is gone, by its id."""
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_name):
        yield from page["StackResourceSummaries"]


def deployed_template(session: boto3.Session, stack_name: str) -> str | None:
    """The template that a stack was deployed with, as text, or None if there is no such stack, or none with resources.

    CloudFormation gives back `?` for every character that is not ASCII.
    """
    if deployed_stack(session, stack_name) is None:
        return None
    body: str | Mapping[str, Any] = session.client("cloudformation").get_template(
        StackName=stack_name, TemplateStage="Original"
    )["TemplateBody"]
    # boto3 has read what is JSON; the CDK indents by one.
    return body if isinstance(body, str) else json.dumps(body, indent=1)


def _artifacts(folder: Path) -> Iterator[StackArtifact]:
    """The stacks of one manifest, and of the assemblies nested in it."""
    manifest = _json(folder / "manifest.json").get("artifacts", {})
    stacks = {
        key: artifact["properties"] | {"stackName": artifact["properties"].get("stackName", key)}
        for key, artifact in manifest.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    for key, artifact in manifest.items():
        if artifact["type"] == "cdk:cloud-assembly":
            yield from _artifacts(folder / artifact["properties"]["directoryName"])
        elif key in stacks:
            properties = stacks[key]
            account, region = artifact["environment"].removeprefix("aws://").split("/")
            role = properties.get("cloudFormationExecutionRoleArn")
            yield StackArtifact(
                id=artifact.get("displayName", key),
                name=properties["stackName"],
                account=account,
                region=region,
                template_file=folder / properties["templateFile"],
                execution_role=role and role.replace("${AWS::Partition}", partition_of(region)),
                termination_protection=properties.get("terminationProtection", False),
                tags=properties.get("tags", {}),
                depends_on=tuple(
                    stacks[name]["stackName"] for name in artifact.get("dependencies", ()) if name in stacks
                ),
            )


def _json(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        raise OpsError(f"{file} cannot be read as JSON: synthesize again (make synth).") from None
    return content


def _last_words(output: str) -> str:
    """The sentence of app.py, which the CLI's own follows, or else the last line."""
    lines = output.strip().splitlines() or ["it said nothing; run make synth to see why."]
    begin = next((index for index, line in enumerate(lines) if line.startswith("error: ")), None)
    if begin is None:
        return lines[-1]
    said = [line for line in lines[begin:] if "Subprocess exited" not in line]
    return "\n".join(said).removeprefix("error: ")
