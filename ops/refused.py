"""What CloudFormation would refuse of a deployment, found in the templates before it is tried.

CloudFormation makes the new before it removes the old, stack after stack. So it cannot make a second resource of a name
that the first one has yet, a subnet in a range that another still takes, or a load balancer for targets that belong to
another one; and it cannot remove or change what a stack exports while a later stack imports it. The deployment fails
then, and is rolled back; nothing is lost but time.

Which properties replace a resource, and which are its name, is what the resource schemas of CloudFormation say
(createOnlyProperties, primaryIdentifier), through `ops/diff.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any, Final, Literal

from ops.assembly import Template
from ops.diff import Difference, Pair, ResourceChange, models

BALANCER: Final = "AWS::ElasticLoadBalancingV2::LoadBalancer"
SUBNET: Final = "AWS::EC2::Subnet"
TASK: Final = "AWS::ECS::TaskDefinition"
NAMES: Final = {
    BALANCER: ("Name",),
    "AWS::Chatbot::SlackChannelConfiguration": ("ConfigurationName",),
    "AWS::ElasticLoadBalancingV2::TargetGroup": ("Name",),
}
"""The name of types whose primaryIdentifier is an ARN: an account has it once, too."""
IMPORT: Final = re.compile(r'"Fn::ImportValue": "([^"]+)"')


def refusals(
    pairs: Sequence[Pair], differences: Sequence[Difference], left: Mapping[str, Template] | None = None
) -> tuple[str, ...]:
    """What is refused, a sentence each.

    `pairs` and `differences` are of all stacks of an environment, in the order of deployment; `left` are the templates
    of stacks that are deployed and in this release no more, by name.

    Raises
    ------
    OpsError
        Node is not there, or failed.
    """
    found: list[str] = []
    for pair, difference in zip(pairs, differences, strict=True):
        if pair.old is None:
            continue
        found += _names(difference)
        found += _ranges(pair, difference)
        found += _targets(pair, difference)
        found += _exports(pair, difference, pairs, left or {})
    return tuple(found)


def protected(differences: Iterable[Difference]) -> tuple[str, ...]:
    """What goes from a stack and stays in the account, since nobody took its deletion protection off."""
    on = {"Key": "deletion_protection.enabled", "Value": "true"}
    return tuple(
        f"{difference.stack}: the load balancer {change.logical_id} is protected from deletion: it stays in the "
        "account, without listeners and in no stack, and costs what it did. Take its deletion_protection.enabled off "
        "and delete it, once the new one answers."
        for difference in differences
        for change in difference.resources
        if change.type == BALANCER
        and change.impact in ("WILL_DESTROY", "WILL_REPLACE")
        and on in (change.before("LoadBalancerAttributes") or ())
    )


Effect = Literal["in place", "new tasks", "replaces", "refused"]


def effect(differences: Sequence[Difference], refused: Sequence[str]) -> Effect:
    """The most that a change does to what is deployed."""
    changes = [change for difference in differences for change in difference.resources]
    replaced = {change.type for change in changes if change.impact in ("WILL_REPLACE", "MAY_REPLACE")}
    moved = any(change.type == BALANCER and change.impact == "WILL_DESTROY" for change in changes)  # to another one
    if refused:
        return "refused"
    if replaced - {TASK} or moved:
        return "replaces"
    return "new tasks" if replaced else "in place"


def _replaced(difference: Difference) -> dict[str, ResourceChange]:
    return {change.logical_id: change for change in difference.resources if change.impact == "WILL_REPLACE"}


# --- Names ----------------------------------------------------------------------------------------------------------


def _names(difference: Difference) -> Iterator[str]:
    """A second resource of a name that the first one still has: replaced, or under another logical id."""
    changes = [change for change in difference.resources if change.impact in ("WILL_REPLACE", "WILL_CREATE")]
    known = models(frozenset(change.type for change in changes)) if changes else {}
    gone = [change for change in difference.resources if change.impact == "WILL_DESTROY"]
    for change in changes:
        properties = NAMES.get(change.type, known[change.type].name)
        name = _name(change.new, properties)
        if not name:
            continue
        olds = [change] if change.impact == "WILL_REPLACE" else [old for old in gone if old.type == change.type]
        if any(_name(old.old, properties) == name for old in olds):
            what = ", ".join(name)
            yield (
                f"{difference.stack}: {change.type} {change.logical_id} would be made anew as {what} while the old one "
                "has that name: leave it as it is, or have the new one called otherwise."
            )


def _name(resource: Mapping[str, Any] | None, properties: Sequence[str]) -> tuple[str, ...]:
    values = [(resource or {}).get("Properties", {}).get(each) for each in properties]
    return tuple(values) if values and all(isinstance(value, str) for value in values) else ()


# --- Ranges of subnets ----------------------------------------------------------------------------------------------


def _ranges(pair: Pair, difference: Difference) -> Iterator[str]:
    """A subnet in a range that another has until the end of the update."""
    if any(change.type == "AWS::EC2::VPC" for change in _replaced(difference).values()):
        return  # they are in the new one
    olds = {
        logical_id: IPv4Network(resource["Properties"]["CidrBlock"])
        for logical_id, resource in (pair.old or {}).get("Resources", {}).items()
        if resource["Type"] == SUBNET and isinstance(resource["Properties"].get("CidrBlock"), str)
    }
    conflicts = []
    for change in difference.resources:
        if change.type == SUBNET and change.impact in ("WILL_CREATE", "WILL_REPLACE"):
            wanted = IPv4Network(change.after("CidrBlock"))
            if any(own.overlaps(wanted) for own in olds.values()):
                conflicts.append(f"{change.logical_id} ({wanted})")
    if conflicts:
        yield (
            f"{difference.stack}: subnets would get ranges that others have yet ({', '.join(conflicts)}): add zones at "
            "the end of network.zones, up to network.room_for_zones, and leave the order and that number as they are."
        )


# --- Targets of a load balancer -------------------------------------------------------------------------------------


def _targets(pair: Pair, difference: Difference) -> Iterator[str]:
    """Targets that would belong to two load balancers."""
    before, after = _balancers(pair.old or {}), _balancers(pair.new or {})
    replaced = _replaced(difference)
    for targets in before.keys() & after.keys() - replaced.keys():
        if before[targets] != after[targets] or after[targets] in replaced:
            yield (
                f"{difference.stack}: the targets {targets} would belong to a new load balancer while they are the old "
                "one's: have the new one its own targets, under another logical id."
            )


def _balancers(template: Template) -> dict[str, str]:
    """The load balancer of each group of targets that a rule forwards to."""
    resources = template.get("Resources", {})
    found = {}
    for resource in resources.values():
        if resource["Type"] != "AWS::ElasticLoadBalancingV2::ListenerRule":
            continue
        listener = resources.get(_reference(resource["Properties"]["ListenerArn"]), {})
        balancer = _reference(listener.get("Properties", {}).get("LoadBalancerArn"))
        for action in resource["Properties"]["Actions"]:
            if (targets := _reference(action.get("TargetGroupArn"))) and balancer:
                found[targets] = balancer
    return found


def _reference(value: Any) -> str:  # noqa: ANN401 - a template is JSON
    return str(value["Ref"]) if isinstance(value, dict) and "Ref" in value else ""


# --- Exports --------------------------------------------------------------------------------------------------------


def _exports(pair: Pair, difference: Difference, pairs: Sequence[Pair], left: Mapping[str, Template]) -> Iterator[str]:
    """An export that goes, or has another value, while another stack imports it."""
    before, after = _exported(pair.old or {}), _exported(pair.new or {})
    replaced = _replaced(difference)
    changed = {name for name in before if name not in after or _differs(before[name], after[name], replaced)}
    users = {user.stack: changed & _imported(user.old or {}) for user in pairs}
    if used := {name for names in users.values() for name in names}:
        importing = ", ".join(stack for stack, names in users.items() if names)
        yield (
            f"{pair.stack}: what it exports would change ({min(used)}{', …' if len(used) > 1 else ''}) while "
            f"{importing}, updated only afterwards, import it: leave what it is of as it is; an export that only goes "
            "can be kept for one more release, by `export_value`."
        )
    for name, template in left.items():
        if used := changed & _imported(template):
            yield (
                f"{pair.stack}: the export {min(used)} would change while {name}, which is in this release no more, "
                f"imports it: remove that first, by `aws cloudformation delete-stack --stack-name {name}`."
            )


def _differs(before: object, after: object, replaced: Mapping[str, ResourceChange]) -> bool:
    return before != after or any(f'"{logical_id}"' in json.dumps(after) for logical_id in replaced)


def _exported(template: Template) -> dict[str, object]:
    """What is exported, by name."""
    outputs = template.get("Outputs", {}).values()
    return {str(output["Export"]["Name"]): output["Value"] for output in outputs if output.get("Export")}


def _imported(template: Template) -> set[str]:
    return set(IMPORT.findall(json.dumps(template)))
