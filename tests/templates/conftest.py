"""Every environment, synthesized once a run: `templates[environment][stack]` is a CloudFormation template."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import cx_api

import app
from stacks.environments import environments

# The package of the functions is not put together: its hash, and so the template, is the same.
WITHOUT_BUNDLING = {"aws:cdk:bundling-stacks": list[str]()}
CHECKOUT = Path(__file__).parents[2]
STACKS = ("Network", "Database", "Email", "Gateway", "Smoke", "Onboarding", "Datadog", "Usage", "Observability")
Template = dict[str, Any]


def context() -> dict[str, Any]:
    """The context of cdk.json, without putting the functions' package together."""
    given: dict[str, Any] = json.loads((CHECKOUT / "cdk.json").read_text())["context"]
    return given | WITHOUT_BUNDLING


def by_stack(assembly: cx_api.CloudAssembly) -> dict[str, Template]:
    """The assembly's templates, by the last part of the stack's id."""
    return {stack.hierarchical_id.rsplit("/", 1)[-1]: stack.template for stack in assembly.stacks}


def synthesized(outdir: Path | None = None) -> dict[str, dict[str, Template]]:
    """The templates of every environment, the local one included, by environment and stack."""
    cdk_app = cdk.App(
        outdir=str(outdir) if outdir else None, context=context() | {"environments": ",".join(environments())}
    )
    app.build(cdk_app)
    assembly = cdk_app.synth()
    return {name: by_stack(assembly.get_nested_assembly(f"assembly-{name}")) for name in environments()}


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Template]]:
    """`synthesized`, once a run."""
    return synthesized(tmp_path_factory.mktemp("cdk.out"))


def resources(template: Template, kind: str) -> dict[str, Any]:
    """The properties of the template's resources of one type, by logical id."""
    return {
        logical_id: resource.get("Properties", {})
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def only(template: Template, kind: str) -> Any:  # noqa: ANN401 - a template is JSON
    """The properties of the one resource of this type."""
    (properties,) = resources(template, kind).values()
    return properties


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of an IAM policy in the template, with the logical id of its resource."""
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for logical_id, properties in resources(template, kind).items():
            for statement in properties["PolicyDocument"]["Statement"]:
                yield logical_id, statement
    for logical_id, properties in resources(template, "AWS::IAM::Role").items():
        for policy in properties.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield logical_id, statement
