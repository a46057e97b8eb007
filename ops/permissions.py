"""The changes that let someone do or reach more than before, in sentences.

The CDK's library finds added IAM statements, managed policies and rules of security groups; what of these only takes
the place of something wider is left out here. What the library does not look at is added: the web ACL, and properties
that open a resource to the world.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from ops.diff import Difference, ResourceChange

MAXIMUM_NAMES: Final = 4  # in one list: the whole text of the difference has all


@dataclass(frozen=True)
class Opening:
    """A property whose value opens a resource; where it is unset, AWS takes `unset`."""

    type: str
    path: tuple[str, ...]
    opened: object
    says: str
    unset: object = None


# AWS CloudFormation's resource and property reference.
OPENINGS: Final = (
    Opening(
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        ("Scheme",),
        "internet-facing",
        "can be reached from the internet",
        unset="internet-facing",
    ),
    Opening(
        "AWS::ECS::Service",
        ("NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp"),
        "ENABLED",
        "gives its tasks public addresses",
    ),
    Opening("AWS::ECS::Service", ("EnableExecuteCommand",), True, "lets operators open shells in its containers"),
    Opening("AWS::EC2::Subnet", ("MapPublicIpOnLaunch",), True, "gives public addresses to what is in it"),
    Opening("AWS::RDS::DBCluster", ("PubliclyAccessible",), True, "gets a public address"),
    Opening("AWS::RDS::DBInstance", ("PubliclyAccessible",), True, "gets a public address"),
    Opening("AWS::Lambda::Url", ("AuthType",), "NONE", "can be called by everyone"),
    Opening("AWS::ApiGatewayV2::Route", ("AuthorizationType",), "NONE", "answers without authorization", unset="NONE"),
    *(
        Opening(
            "AWS::S3::Bucket",
            ("PublicAccessBlockConfiguration", name),
            False,
            f"could be made public, without {name}",
            unset=False,
        )
        for name in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    ),
)


def broadenings(difference: Difference) -> tuple[str, ...]:
    """What a stack's changes let someone do or reach that nobody could before."""
    sentences = [
        *_statements(difference.permissions),
        *_managed_policies(difference.permissions),
        *_security_groups(difference.permissions),
        *(sentence for change in difference.resources for sentence in _resource(change)),
    ]
    return tuple(f"{difference.stack}: {sentence}." for sentence in dict.fromkeys(sentences))


def count(difference: Difference) -> tuple[int, int]:
    """How many IAM statements (and managed policies), and rules of security groups, a stack adds."""
    permissions = difference.permissions
    return (
        len(permissions["statements"]["added"]) + len(permissions["managed"]["added"]),
        len(permissions["rules"]["added"]),
    )


# --- IAM ------------------------------------------------------------------------------------------------------------

Grants = dict[tuple[str, str], set[tuple[str, str]]]
"""Of actions on resources, by principal and condition."""


def _statements(permissions: Mapping[str, Any]) -> Iterator[str]:
    added, removed = permissions["statements"]["added"], permissions["statements"]["removed"]
    for statement in added:
        if statement["whole"]:
            yield f"a policy gets a statement that only a deployment can tell, {_short(statement['whole'])}"
    if permissions["sign_on"]:
        yield "IAM Identity Center gives more permissions"
    for (principal, condition), grants in _more(_grants(added, "Allow"), _grants(removed, "Allow")).items():
        for actions, resources in _by_resources(grants):
            also = " under a condition" if condition else ""
            yield f"{_who(principal)} may now {_list(actions)} on {_list(resources)}{also}"
    for (principal, condition), grants in _more(_grants(removed, "Deny"), _grants(added, "Deny")).items():
        for actions, resources in _by_resources(grants):
            also = ", where a condition held" if condition else ""
            yield f"{_who(principal)} is no longer denied {_list(actions)} on {_list(resources)}{also}"


def _grants(statements: Iterable[Mapping[str, Any]], effect: str) -> Grants:
    found: Grants = defaultdict(set)
    for statement in statements:
        # What is neither (an intrinsic decides) counts as a permission.
        if statement["whole"] or (statement["effect"] == "Deny") != (effect == "Deny"):
            continue
        condition = json.dumps(statement["condition"], sort_keys=True) if statement["condition"] else ""
        for principal in _targets(statement["principals"]):
            found[principal, condition] |= {
                (action, resource)
                for action in _targets(statement["actions"])
                for resource in _targets(statement["resources"])
            }
    return found


def _targets(given: Mapping[str, Any]) -> list[str]:
    values: list[str] = given["values"]
    return [f"everything but {_list(values)}"] if given["not"] else values


def _more(grants: Grants, others: Grants) -> Grants:
    """The grants that no other grant of the same principal and condition covers."""
    more = {
        key: {
            (action, resource)
            for action, resource in pairs
            if not any(
                fnmatchcase(action.lower(), wider.lower()) and fnmatchcase(resource, place)
                for wider, place in others.get(key, ())
            )
        }
        for key, pairs in grants.items()
    }
    return {key: pairs for key, pairs in more.items() if pairs}


def _by_resources(grants: Iterable[tuple[str, str]]) -> Iterator[tuple[list[str], list[str]]]:
    """Actions that are granted on the same resources, together."""
    resources: dict[str, list[str]] = defaultdict(list)
    for action, resource in sorted(grants):
        resources[action].append(resource)
    actions: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for action, places in resources.items():
        actions[tuple(places)].append(action)
    for together_on, together in actions.items():
        yield together, list(together_on)


def _managed_policies(permissions: Mapping[str, Any]) -> Iterator[str]:
    for attachment in permissions["managed"]["added"]:
        yield f"{_name(attachment['identity'])} gets the managed policy {_name(attachment['policy'])}"


# --- Networks -------------------------------------------------------------------------------------------------------


def _security_groups(permissions: Mapping[str, Any]) -> Iterator[str]:
    removed = permissions["rules"]["removed"]
    for rule in permissions["rules"]["added"]:
        alike = [old for old in removed if all(old[key] == rule[key] for key in ("direction", "group", "protocol"))]
        if any(_within(rule["cidr"], old["cidr"]) for old in alike):
            continue
        how = "lets in" if rule["direction"] == "ingress" else "lets out"
        where = "from" if rule["direction"] == "ingress" else "to"
        peer = _name(rule["cidr"] or rule["peer"])
        yield f"the security group {_name(rule['group'])} {how} {rule['protocol']} {where} {peer}"


def _within(cidr: str | None, other: str | None) -> bool:
    """Whether a range lies in another one."""
    try:
        one, wider = ipaddress.ip_network(cidr or ""), ipaddress.ip_network(other or "")
    except ValueError:  # none, or what only a deployment knows
        return False
    return one.version == wider.version and one.subnet_of(wider)  # type: ignore[arg-type]


# --- Resources ------------------------------------------------------------------------------------------------------


def _resource(change: ResourceChange) -> Iterator[str]:
    """What one resource's changes open, that is no matter of IAM or security groups."""
    for opening in OPENINGS:
        if change.type == opening.type and change.new is not None:
            before, after = (_or(at(*opening.path), opening.unset) for at in (change.before, change.after))
            if after == opening.opened and (change.old is None or before != opening.opened):
                yield f"{_readable(change)} {opening.says}"
    if change.type == "AWS::WAFv2::WebACL":
        yield from _web_acl(change)
    if change.type == "AWS::WAFv2::WebACLAssociation" and change.new is None:
        yield f"{_readable(change)} is removed, and with it the web ACL in front of what it protected"
    if change.type in WAF_LISTS and change.old is not None and change.new is not None:
        yield from _web_acl_list(change, WAF_LISTS[change.type])
    if change.new is not None:
        for kind, name, says in LIMITS:
            if change.type.startswith(kind) and change.before(name) and change.before(name) != change.after(name):
                yield f"{_readable(change)} {says}"


LIMITS: Final = (
    ("AWS::IAM::", "PermissionsBoundary", "gets another permissions boundary, or none"),
    ("AWS::EC2::VPCEndpoint", "PolicyDocument", "gets another policy, or none, which lets everything through"),
)
"""Types (or how they begin) and a property that limits them."""
WAF_LISTS: Final = {"AWS::WAFv2::IPSet": "Addresses", "AWS::WAFv2::RegexPatternSet": "RegularExpressionList"}


def _web_acl_list(change: ResourceChange, name: str) -> Iterator[str]:
    """Whether more on a list opens or closes depends on the rules that use it: each change is told."""
    before, after = change.before(name) or [], change.after(name) or []
    parts = [
        f"{verb} {_list(items)}"
        for verb, items in (
            ("gets", [item for item in after if item not in before]),
            ("loses", [item for item in before if item not in after]),
        )
        if items
    ]
    if parts:
        yield f"{_readable(change)}, which rules of the web ACL go by, {' and '.join(parts)}"


def _web_acl(change: ResourceChange) -> Iterator[str]:
    if change.new is None:
        yield f"{_readable(change)} is removed, with all its rules"
        return
    if change.old is None:
        return
    if "Block" in (change.before("DefaultAction") or {}) and "Block" not in (change.after("DefaultAction") or {}):
        yield f"{_readable(change)} lets in what no rule blocks"
    before, after = (
        {str(rule.get("Name")): rule for rule in at("Rules") or [] if isinstance(rule, dict)}
        for at in (change.before, change.after)
    )
    for name, rule in before.items():
        if name not in after:
            yield f"{_readable(change)} loses its rule {name}"
        elif changed := [
            key for key in rule | after[name] if key not in HARMLESS and rule.get(key) != after[name].get(key)
        ]:
            yield f"{_readable(change)} has another rule {name} ({', '.join(changed)})"
    for name, rule in after.items():
        if name not in before and "Allow" in rule.get("Action", {}):
            yield f"{_readable(change)} gets a rule that lets in, {name}"


HARMLESS: Final = ("Priority", "VisibilityConfig")
"""Parts of a rule: a new rule moves the others' priorities."""


# --- Words ----------------------------------------------------------------------------------------------------------


def _readable(change: ResourceChange) -> str:
    return f"{change.type} {change.logical_id}"


def _who(principal: str) -> str:
    if principal in ("*", "AWS:*"):
        return "everyone"
    kind, _, name = principal.partition(":")
    return f"the service {name}" if kind == "Service" else _name(name if kind == "AWS" else principal)


def _name(text: str) -> str:
    """Without the marks of CloudFormation around a logical id."""
    return re.sub(r"\$\{(?!AWS::)([^}]+?)(\.(Arn|GroupId))?\}", r"\1", str(text))


def _list(items: Iterable[object]) -> str:
    names = [_name(_short(str(item))) for item in items]
    if len(names) > MAXIMUM_NAMES:
        return f"{', '.join(names[: MAXIMUM_NAMES - 1])} and {len(names) - MAXIMUM_NAMES + 1} more"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _short(text: str, length: int = 120) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _or(value: object, unset: object) -> object:
    return unset if value is None else value
