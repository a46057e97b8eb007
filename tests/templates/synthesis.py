"""An environment of settings that no real one uses, and how to read one stack's references to another."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import cx_api

from ops import remembered
from stacks.company import company, config_file, environments
from stacks.environment_stage import EnvironmentStage
from stacks.settings import Environment, ExistingVpc, Gateway, Ingress, Network
from tests.company.synthesis import as_release, context, image_of
from tests.templates.conftest import Template

IMAGE = image_of(company())
"""A release's, as a build hands it to the synthesis."""
ZONES = ("ap-northeast-1a", "ap-northeast-1c")
VARIANT = Environment(
    **dict(environments()["prod"])
    | {
        "name": "variant",
        "domain": "llm-variant.example.com",
        "certificate_arn": "arn:aws:acm:ap-northeast-1:333333333333:certificate/11111111-2222-3333-4444-555555555555",
        "network": Network(
            zones=ZONES,
            cidr="10.50.0.0/16",
            vpc=ExistingVpc(
                id="vpc-0123456789abcdef0",
                public_subnet_ids=("subnet-0a0a0a0a1", "subnet-0a0a0a0a2"),
                private_subnet_ids=("subnet-0b0b0b0b1", "subnet-0b0b0b0b2"),
                isolated_subnet_ids=("subnet-0c0c0c0c1", "subnet-0c0c0c0c2"),
            ),
        ),
        "ingress": Ingress(public=False, cidrs=("10.0.0.0/8",), management_cidrs=("10.9.0.0/16",)),
        "gateway": Gateway(spot=True),
        "tags": {"service": "litellm-gateway", "environment": "variant"},
    }
)
"""An internal gateway in a VPC that is there already, with a given certificate, on Spot."""


@cache
def artifacts() -> dict[str, dict[str, cx_api.CloudFormationStackArtifact]]:
    """What the CLI gets of dev and of `VARIANT`, by environment and stack: the template and how to deploy it."""
    chosen = (environments()["dev"], VARIANT)

    def make(outdir: Path) -> None:
        cdk_app = cdk.App(context=context(), outdir=str(outdir))
        for environment in chosen:
            EnvironmentStage(cdk_app, environment=environment, config_file=config_file())
        cdk_app.synth()

    key = remembered.digest(company(), *(each.model_dump_json() for each in chosen), json.dumps(context()))
    assembly = cx_api.CloudAssembly(str(remembered.folder("artifacts", key, make)))
    return {
        environment.name: {
            stack.hierarchical_id.rsplit("/", 1)[-1]: stack
            for stack in assembly.get_nested_assembly(f"assembly-{environment.name}").stacks
        }
        for environment in chosen
    }


@cache
def release() -> cx_api.CloudAssembly:
    """What a build of the pipeline synthesizes: every environment with the image `IMAGE`, and what promotes it."""
    return cx_api.CloudAssembly(str(as_release(company())))


def variant() -> dict[str, Template]:
    """The templates of `VARIANT` by stack."""
    return {name: stack.template for name, stack in artifacts()[VARIANT.name].items()}


def resolved(stacks: dict[str, Template], value: Any) -> Any:  # noqa: ANN401 - a template is JSON
    """The value with every import from another stack replaced by what that stack exports."""
    exports = {
        output["Export"]["Name"]: output["Value"]
        for template in stacks.values()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    }
    match value:
        case {"Fn::ImportValue": name}:
            return exports[name]
        case dict():
            return {key: resolved(stacks, item) for key, item in value.items()}
        case list():
            return [resolved(stacks, item) for item in value]
    return value


def text(value: Any) -> str:  # noqa: ANN401 - a template is JSON
    """A value in one line: references as `<LogicalId>` or `<LogicalId.Attribute>`, without the ids' hashes."""
    match value:
        case {"Ref": name}:
            return f"<{name if name.startswith('AWS::') else plain(name)}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{plain(name)}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(text, parts))
        case {"Fn::Sub": pattern}:
            return str(pattern)
    return str(value)


def plain(logical_id: str) -> str:
    """A logical id without the eight hexadecimal digits that the CDK puts behind most."""
    name, digits = logical_id[:-8], logical_id[-8:]
    return name if name and all(digit in "0123456789ABCDEF" for digit in digits) else logical_id
