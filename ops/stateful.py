"""What holds data, and the changes that lose it: the one place for both.

The summary of a deployment (`ops/changes.py`) asks for approval of them, and `tests/templates/test_stateful.py` stops
a pull request that brings one.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from ops.assembly import Template
from ops.diff import Difference, ResourceChange, TypeModel, models
from ops.numbers import written

HOLDS: Final[Mapping[str, str]] = {
    "AWS::RDS::DBCluster": "It holds all that LiteLLM knows: users, teams, keys, budgets and spend.",
    "AWS::RDS::DBInstance": "It answers the gateway's queries; the data is the cluster's.",
    "AWS::Backup::BackupVault": "It holds the copies of the database for the day on which its region is gone.",
    "AWS::KMS::Key": "Nothing that was encrypted with it can be read without it, snapshots neither.",
    "AWS::Logs::LogGroup": "It holds logs that are nowhere else.",
    "AWS::S3::Bucket": "It holds objects that are nowhere else.",
    "AWS::DynamoDB::Table": "It holds items that are nowhere else.",
    "AWS::SQS::Queue": "It holds the messages that were not worked on yet.",
    "AWS::ECR::Repository": "It holds the images of the releases, which running tasks and a rollback need.",
    "AWS::EC2::EIP": "It is an address that others see the gateway come from, and may have allowed by it.",
    "AWS::Route53::HostedZone": "It holds the domain's records, and a new one has other name servers.",
    "AWS::SES::EmailIdentity": "It is the verified domain of the mails: none is sent until a new one is verified.",
}
"""What is lost with a resource of a type."""

ADDITIONAL: Final = frozenset(
    {"AWS::EC2::EIP", "AWS::ECR::Repository", "AWS::Route53::HostedZone", "AWS::SES::EmailIdentity"}
)
"""Types that cfn-lint does not count as stateful, and that cannot be had again as they were."""

EMPTY: Final = frozenset({"AWS::ElastiCache::ReplicationGroup"})
"""Types that cfn-lint counts as stateful, and that hold nothing here: the cache's counts begin anew at any time."""


@cache
def stateful_types() -> frozenset[str]:
    """The resource types that hold data: cfn-lint's own list (its rule I3011), and ours, without what is empty."""
    # Found and not imported: cfn-lint takes seconds to import.
    package = importlib.util.find_spec("cfnlint")
    (folder,) = (package and package.submodule_search_locations) or [""]
    content = json.loads((Path(folder) / "data" / "AdditionalSpecs" / "StatefulResources.json").read_text())
    return (frozenset(content["ResourceTypes"]) | ADDITIONAL) - EMPTY


# --- What protects data ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Guard:
    """A property that protects data: a flag that is on, or for how long something is kept; by what it is unset."""

    path: tuple[str, ...]
    unset: bool | float = False

    def strength(self, resource: Mapping[str, Any]) -> float:
        """How well it protects: 0 or 1 for a flag, or a length of time. NaN for what only a deployment knows."""
        value: Any = resource.get("Properties", {})
        for name in self.path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            value = self.unset
        if value in (True, "true", "Enabled", "ACTIVE"):
            return 1
        if value in (False, "false", "Suspended", "INACTIVE"):
            return 0
        try:
            return float(value)
        except (TypeError, ValueError):
            return math.nan


# What a property is by when it is unset: AWS CloudFormation's resource and property reference.
GUARDS: Final = (
    Guard(("DeletionProtection",)),
    Guard(("DeletionProtectionEnabled",)),
    Guard(("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled")),
    Guard(("VersioningConfiguration", "Status")),
    Guard(("Enabled",), unset=True),  # a key
    Guard(("BackupRetentionPeriod",), unset=1),  # days
    Guard(("RetentionInDays",), unset=math.inf),  # logs are kept for ever
    Guard(("MessageRetentionPeriod",), unset=4 * 24 * 60 * 60),  # seconds
    Guard(("PendingWindowInDays",), unset=30),  # a key that is to be deleted
)
POLICIES: Final = ("DeletionPolicy", "UpdateReplacePolicy")
STRENGTH: Final = {"Delete": 0, "Snapshot": 1, "RetainExceptOnCreate": 2, "Retain": 2}
EXPIRY: Final = ("LifecycleConfiguration", "LifecyclePolicy")
"""Properties by which objects and images are deleted in time."""


def policy(resource: Mapping[str, Any], name: str) -> str:
    """A resource's DeletionPolicy or UpdateReplacePolicy, or what CloudFormation takes without one."""
    if name in resource:
        return str(resource[name])
    kind, in_a_cluster = resource["Type"], "DBClusterIdentifier" in resource.get("Properties", {})
    keeps_a_snapshot = kind == "AWS::RDS::DBCluster" or (kind == "AWS::RDS::DBInstance" and not in_a_cluster)
    return "Snapshot" if name == "DeletionPolicy" and keeps_a_snapshot else "Delete"


def kept(template: Template, known: Mapping[str, TypeModel]) -> dict[str, dict[str, Any]]:
    """The resources that hold data, by logical id, without all that cannot lose it.

    Of each there is left what CloudFormation can replace it for and what protects it; and of the resources that it
    refers to there, what replaces them. `known` are the models of all types in the template.
    """
    resources = template.get("Resources", {})
    found: dict[str, dict[str, Any]] = {}

    def keep(logical_id: str, *, protection: Iterable[str] = ()) -> None:
        if logical_id in found or logical_id not in resources:
            return
        resource = resources[logical_id]
        model = known[resource["Type"]]
        wanted = {*model.replacing, *model.may_replace, *protection}
        properties = {key: value for key, value in resource.get("Properties", {}).items() if key in wanted}
        policies = {name: policy(resource, name) for name in POLICIES} if protection else {}
        found[logical_id] = {"Type": resource["Type"], **policies, "Properties": properties}
        for name in _references(properties):
            keep(name)

    protecting = {guard.path[0] for guard in GUARDS} | set(EXPIRY)
    for logical_id, resource in resources.items():
        if resource["Type"] in stateful_types():
            found.pop(logical_id, None)  # referred to before
            keep(logical_id, protection=protecting)
    return {name: found[name] for name in resources if name in found}


def _references(value: Any) -> Iterator[str]:  # noqa: ANN401 - a template is JSON
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), _]}:
            yield name
        case dict():
            for item in value.values():
                yield from _references(item)
        case list():
            for item in value:
                yield from _references(item)


# --- Losses ---------------------------------------------------------------------------------------------------------

Kind = Literal["replaced", "deleted", "orphaned", "left", "unprotected"]


@dataclass(frozen=True)
class Loss:
    """A change that loses data, or what protects it."""

    kind: Kind
    stack: str
    type: str
    logical_id: str
    happens: str
    """What CloudFormation does, after the resource's name."""
    instead: str
    """What to do so that nothing is lost."""

    def __str__(self) -> str:
        """One or two sentences: what happens, and to which data."""
        resource = f"{self.stack}: {self.type} {self.logical_id}".rstrip()
        holds = HOLDS.get(self.type, "It holds data that is nowhere else.")
        return f"{resource} {self.happens}." + ("" if self.type == "the stack" else f" {holds}")


def losses(differences: Sequence[Difference]) -> tuple[Loss, ...]:
    """The changes that lose data or its protection, in the order of the stacks.

    `differences` are of all stacks of an environment, so that a resource is found again that has moved.

    Raises
    ------
    OpsError
        Node is not there, or failed.
    """
    created = [
        (difference.stack, change)
        for difference in differences
        for change in difference.resources
        if change.impact == "WILL_CREATE"
    ]
    found: list[Loss] = []
    for difference in differences:
        if difference.unprotected:
            put_back = "put termination_protection=True back"
            happens = "loses its termination protection: one command can delete it with all that is in it"
            found.append(Loss("unprotected", difference.stack, "the stack", "", happens, put_back))
        for change in difference.resources:
            if change.old is not None and change.type in stateful_types():
                found += _of_resource(difference, change, created)
    return tuple(found)


def _of_resource(
    difference: Difference,
    change: ResourceChange,
    created: Iterable[tuple[str, ResourceChange]],
) -> list[Loss]:
    stack, old = difference.stack, change.old or {}

    def loss(kind: Kind, happens: str, instead: str) -> Loss:
        return Loss(kind, stack, change.type, change.logical_id, happens, instead)

    if difference.removed_stack:
        happens = "stays deployed with its stack, which is in no release any more and is to be deleted by hand"
        return [loss("left", happens, f"keep the stack {stack}, or save the data before the stack is deleted")]
    if change.new is None:
        retained = policy(old, "DeletionPolicy").startswith("Retain")
        successor = _successor(stack, change, created)
        happens = REMOVED[policy(old, "DeletionPolicy")]
        if successor:
            place = "" if successor[0] == stack else f" in {successor[0]}"
            happens += f", and a new one is made: {successor[1].logical_id}{place}"
        return [loss("orphaned" if retained else "deleted", happens, _instead_of_removal(stack, change, successor))]
    if change.impact in ("WILL_REPLACE", "MAY_REPLACE"):
        return [loss("replaced", _replacement(change), _instead_of_replacement(change))]
    weaker = _weaker(old, change.new)
    return (
        [loss("unprotected", f"loses protection: {', '.join(weaker.values())}", f"put {_and(weaker)} back")]
        if weaker
        else []
    )


REMOVED: Final = {
    "Delete": "is deleted",
    "Snapshot": "is deleted, after a last snapshot",
    "Retain": "is orphaned: it stays in the account, but in no stack",
    "RetainExceptOnCreate": "is orphaned: it stays in the account, but in no stack",
}
REPLACED: Final = {
    "Delete": "the old one is deleted",
    "Snapshot": "the old one is deleted, after a last snapshot",
    "Retain": "the old one stays in the account, but in no stack",
    "RetainExceptOnCreate": "the old one stays in the account, but in no stack",
}


def _replacement(change: ResourceChange) -> str:
    old, new = change.old or {}, change.new or {}
    # CloudFormation goes by the policy of one of the two: expect the worse.
    worse = min((policy(resource, "UpdateReplacePolicy") for resource in (old, new)), key=lambda name: STRENGTH[name])
    may = "may be" if change.impact == "MAY_REPLACE" else "is"
    changes = f"{_and(change.replacing)} change" if len(change.replacing) > 1 else f"{_cause(change)} changes"
    happens = f"{may} replaced by a new one, because {changes}: {REPLACED[worse]}"
    if name := _fixed_name(change):
        happens += f"; or rather the deployment fails, since no second one can be called {name}"
    return happens


def _fixed_name(change: ResourceChange) -> str:
    """The name that the new one would have as well as the old one, if the template fixes it."""
    names = models(stateful_types())[change.type].name
    before, after = ([at(name) for name in names] for at in (change.before, change.after))
    return _and(before) if before == after and all(isinstance(name, str) for name in before) else ""


def _instead_of_replacement(change: ResourceChange) -> str:
    if any(change.before(name) == change.after(name) for name in change.replacing):
        return "leave what it refers to as it is; or copy the data first"
    return f"put {_cause(change)} back; or copy the data first"


def _cause(change: ResourceChange) -> str:
    return _and(change.replacing) or "its type"


def _instead_of_removal(stack: str, change: ResourceChange, successor: tuple[str, ResourceChange] | None) -> str:
    if successor and successor[0] == stack:
        return (
            f'keep the logical id, with `.node.default_child.override_logical_id("{change.logical_id}")` on the new '
            "construct; or rename the deployed one with `cdk refactor --unstable=refactor`, before all else"
        )
    if successor:
        return f"move the deployed one to {successor[0]} with `cdk refactor --unstable=refactor`, before all else"
    if policy(change.old or {}, "DeletionPolicy").startswith("Retain"):
        return "keep it in the stack; or save the data, and delete it by hand when nothing needs it any more"
    return (
        "keep it in the stack; or save the data first; or deploy it with RemovalPolicy.RETAIN, and remove it only "
        "then: it stays in the account, and `cdk import` can take it back"
    )


def _successor(
    stack: str, change: ResourceChange, created: Iterable[tuple[str, ResourceChange]]
) -> tuple[str, ResourceChange] | None:
    """The new resource that looks like the removed one under another id or in another stack, if one does."""
    alike = [(place, new) for place, new in created if new.type == change.type]
    same_id = [(place, new) for place, new in alike if new.logical_id == change.logical_id]
    in_place = [(place, new) for place, new in alike if place == stack]
    for candidates in (same_id, in_place, alike):
        if len(candidates) == 1:
            return candidates[0]
    return None


def _weaker(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """What protects less than before: by the property's name, from what to what."""
    found = {
        name: f"{name} {policy(old, name)} becomes {policy(new, name)}"
        for name in POLICIES
        if STRENGTH[policy(new, name)] < STRENGTH[policy(old, name)]
    }
    for guard in GUARDS:
        before, after = guard.strength(old), guard.strength(new)
        if not after >= before and not (math.isnan(before) and math.isnan(after)):
            name = ".".join(guard.path)
            found[name] = f"{name} {_shown(before, guard)} becomes {_shown(after, guard)}"
    for name in EXPIRY:
        before_rules, after_rules = (resource.get("Properties", {}).get(name) for resource in (old, new))
        if after_rules is not None and not _no_sooner(before_rules, after_rules):
            found[name] = f"{name} changes, so that some may be deleted sooner"
    return found


def _no_sooner(before: Any, after: Any) -> bool:  # noqa: ANN401 - a template is JSON
    """Whether the rules are the same but for longer times."""
    match before, after:
        case dict(), dict():
            return before.keys() == after.keys() and all(_no_sooner(before[key], after[key]) for key in before)
        case list(), list():
            return len(before) == len(after) and all(map(_no_sooner, before, after))
        case int(), int():
            return after >= before
    return bool(before == after)


def _shown(strength: float, guard: Guard) -> str:
    if isinstance(guard.unset, bool):
        return "on" if strength else "off"
    return "unlimited" if math.isinf(strength) else "unknown" if math.isnan(strength) else written(strength)


def _and(names: Iterable[str]) -> str:
    *others, last = [*names] or [""]
    return f"{', '.join(others)} and {last}" if others else last
