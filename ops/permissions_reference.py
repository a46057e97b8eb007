"""`docs/permissions.md`: every IAM role and user of the example's `prod`, from its templates. `make docs` writes it.

Who may become it, and what it may do on which resources, in the templates' own words. A name in angle brackets is a
resource of the environment, by its logical id without the CDK's digits behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ops.templates import Facts, plain
from stacks import CHECKOUT

PAGE: Final = CHECKOUT / "docs" / "permissions.md"
ENVIRONMENT: Final = "prod"
_PAGE: Final = f"""\
# Permissions

Every IAM role and user of the example's environment `{ENVIRONMENT}`, by stack: who may become it, and what it may do \
on which resources. `make docs` writes this page from the templates; `make synth` writes those of your own \
environments to `cdk.out`.

- A name in angle brackets, as in `<Requests>`, is a resource of the environment, by its logical id.
- A policy that begins with `AWS` is one of AWS's own. The CDK attaches it to let a function write its log and have a \
network interface in the VPC.
- `*` is on everything, for actions that know no resources; at the end of a name it is on what belongs to that one \
resource. `tests/company/invariants.py` lists both with their reasons, and a test refuses any other. cdk-nag asks for \
a reason once more, which stands beside the construct in `stacks/`.
- Roles with `framework` or `waiterstatemachine` in their names are of the CDK's provider framework, which runs a \
custom resource's function.
- What people may do is not here: their roles are the company's. What `cdk bootstrap` makes for deployments is in \
[First deployment](operations/first-deployment.md#once-per-account).
"""


def document(facts: Facts) -> str:
    """The page."""
    return _PAGE + "".join(f"\n{part}" for part in _stacks(facts))


def _stacks(facts: Facts) -> Iterator[str]:
    for stack, template in facts.templates.items():
        resources: Mapping[str, Any] = template["Resources"]
        holders = {name: one for name, one in resources.items() if one["Type"] in ("AWS::IAM::Role", "AWS::IAM::User")}
        if holders:
            yield f"## {stack}\n"
            for name in sorted(holders):
                yield "\n".join(_holder(name, holders[name], resources))


def _holder(name: str, holder: Mapping[str, Any], resources: Mapping[str, Any]) -> Iterator[str]:
    """One role or user: who may become it, AWS's policies, and a row for each statement."""
    properties = holder["Properties"]
    yield f"### {plain(name)}\n"
    if holder["Type"] == "AWS::IAM::User":
        yield "A user, with an access key.\n"
    for statement in properties.get("AssumeRolePolicyDocument", {}).get("Statement", ()):
        condition = _condition(statement)
        yield f"Assumed by {_who(statement['Principal'])}{f', only if {condition}' if condition else ''}.\n"
    managed = [text(arn) for arn in properties.get("ManagedPolicyArns", ())]
    own = {found for found in resources if f"<{plain(found)}>" in managed}
    if named := [arn.rpartition("/")[2] for arn in managed if not arn.startswith("<")]:
        yield f"Policies: {', '.join(f'`{each}`' for each in named)}.\n"
    rows = list(_rows(_documents(name, properties, resources, own)))
    if rows:
        yield "| Actions | Resources | Only if |\n| --- | --- | --- |"
        yield "\n".join(rows) + "\n"
    elif not named:
        yield "It may do nothing.\n"


def _documents(
    name: str, properties: Mapping[str, Any], resources: Mapping[str, Any], own: Iterable[str]
) -> Iterator[Mapping[str, Any]]:
    """The policies of a role or user: within it, attached to it, and its own managed ones."""
    yield from (policy["PolicyDocument"] for policy in properties.get("Policies", ()))
    for other in resources.values():
        if other["Type"] == "AWS::IAM::Policy":
            attached = (*other["Properties"].get("Roles", ()), *other["Properties"].get("Users", ()))
            if {"Ref": name} in attached:
                yield other["Properties"]["PolicyDocument"]
    yield from (resources[each]["Properties"]["PolicyDocument"] for each in own)


def _rows(documents: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for document in documents:
        for statement in document["Statement"]:
            refused = "**not** " if statement["Effect"] == "Deny" else ""
            actions, resources = (_cell(statement.get(key, ())) for key in ("Action", "Resource"))
            yield f"| {refused}{actions} | {resources} | {_condition(statement)} |"


def _cell(values: object) -> str:
    found = values if isinstance(values, list) else [values]
    return "<br>".join(f"`{each}`" for each in sorted({text(value) for value in found}))


def _who(principal: Mapping[str, Any] | str) -> str:
    if isinstance(principal, str):
        return f"`{principal}`"
    found = (value for values in principal.values() for value in (values if isinstance(values, list) else [values]))
    return ", ".join(f"`{text(value)}`" for value in found)


def _condition(statement: Mapping[str, Any]) -> str:
    return "<br>".join(
        f"{operator} `{key}` {_cell(values)}"
        for operator, pairs in statement.get("Condition", {}).items()
        for key, values in pairs.items()
    )


def text(value: Any) -> str:  # noqa: ANN401 - a template is JSON
    """A value of a template in one line: references as names in angle brackets."""
    match value:
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Ref": str(name)}:
            return f"<{plain(name)}>"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"<{plain(name)}>" if attribute == "Arn" else f"<{plain(name)}.{attribute}>"
        case {"Fn::ImportValue": str(name)}:
            return f"<{_exported(name)}>"
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(map(text, parts))
        case {"Fn::Sub": str(pattern)}:
            return pattern.replace("${AWS::Partition}", "aws")
        case dict():
            return str(value)
    return str(value)


def _exported(name: str) -> str:
    """The resource behind the name of an export: `stack:ExportsOutputFnGetAttTopic0123ABCDArn4567…`."""
    _, _, found = name.rpartition(":")
    found = found.removeprefix("ExportsOutput").removeprefix("Ref").removeprefix("FnGetAtt")
    return plain(plain(found).removesuffix("Arn"))
