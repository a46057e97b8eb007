"""Every environment of the example company, synthesized once a run: `templates[environment][stack]`."""

from collections.abc import Iterator
from typing import Any

import pytest

from ops.assembly import Template
from stacks import CHECKOUT
from stacks.company import company
from stacks.settings import Environment
from tests.company.synthesis import WITHOUT_BUNDLING, Templates
from tests.company.synthesis import synthesized as synthesized_of

__all__ = ["CHECKOUT", "STACKS", "WITHOUT_BUNDLING", "Template", "only", "resources", "stacks_of", "statements"]

STACKS = ("Network", "Database", "Email", "Gateway", "Smoke", "Onboarding", "Datadog", "Usage", "Observability")
"""Those of every environment of the example company."""


def stacks_of(environment: Environment) -> set[str]:
    """Those of one of them: a cache is in some."""
    return {*STACKS, *(["Cache"] if environment.cache else [])}


@pytest.fixture(scope="session")
def templates() -> Templates:
    """The templates of every environment of the example company, the local one included, once a run."""
    return synthesized_of(company())


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
