"""Roles of other accounts, which the task's role assumes to call Bedrock there: what both sides have to permit.

LiteLLM asks STS for a session of `aws_role_name` with the credentials of the task, and calls with that: the task's role
needs sts:AssumeRole on exactly that role, and nothing on the models behind it. Read in LiteLLM 1.106.12:
`get_credentials` and `_auth_with_aws_role` of its llms/bedrock/base_aws_llm.py. Before it asks who it is itself
(sts:GetCallerIdentity), which takes no permission.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from stacks.litellm_config.bedrock import BEDROCK_ACTIONS, COUNT_ACTION, GUARDRAIL_ACTION, MANTLE_COUNT_ACTION
from stacks.litellm_config.model import Model

ASSUME_ACTION: Final = "sts:AssumeRole"

TAG_ACTION: Final = "sts:TagSession"
"""Needed beside the other where `aws_session_tags` are handed over, of who assumes and in the role's trust.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_permissions-required"""

ROLE_ARN: Final = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/[\w+=,.@/-]+")

Document = dict[str, Any]
"""A policy as IAM reads it."""


class Guardrail(NamedTuple):
    """A guardrail of Bedrock that calls are checked by: its id or ARN, its region, and the role that may ask it."""

    name: str
    region: str
    role: str | None = None  # None: the task's own
    external_id: str | None = None

    def arn(self, partition: str, account: str) -> str:
        """Its ARN, in an account."""
        if self.name.startswith("arn:"):
            return self.name
        return f"arn:{partition}:bedrock:{self.region}:{account}:guardrail/{self.name}"


@dataclass(frozen=True)
class AssumedRole:
    """A role that the task's role assumes."""

    arn: str
    external_ids: tuple[str, ...]  # sorted; none if an entry comes without
    tagged: bool  # whether an entry hands tags over
    permissions: Mapping[str, tuple[str, ...]]  # the actions that it needs itself, each with its sorted resources

    @property
    def account(self) -> str:
        """The account that it is of."""
        return self.arn.split(":")[4]

    @property
    def actions(self) -> tuple[str, ...]:
        """What the task's role, and the trust of this one, have to permit."""
        return (ASSUME_ACTION, TAG_ACTION) if self.tagged else (ASSUME_ACTION,)

    def policy(self) -> Document:
        """The policy that the role needs."""
        by_resources: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for action, resources in self.permissions.items():
            by_resources[resources].append(action)
        return _document(
            {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
            for resources, actions in by_resources.items()
        )

    def trust(self, account: str, task_role: str) -> Document:
        """The trust policy that the role needs, for the task's role of an environment's account.

        `task_role` is its name, or how that begins and a star: a role that is named as the principal itself is no
        longer trusted once it was made anew.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
        """
        partition = self.arn.split(":")[1]
        condition: Document = {"ArnLike": {"aws:PrincipalArn": f"arn:{partition}:iam::{account}:role/{task_role}"}}
        asked = {"StringEquals": {"sts:ExternalId": list(self.external_ids)}} if self.external_ids else {}
        principal = {"AWS": f"arn:{partition}:iam::{account}:root"}
        statements = [
            {"Effect": "Allow", "Principal": principal, "Action": ASSUME_ACTION, "Condition": condition | asked}
        ]
        if self.tagged:  # whose request says no external id
            statements.append({"Effect": "Allow", "Principal": principal, "Action": TAG_ACTION, "Condition": condition})
        return _document(statements)


def _document(statements: Iterable[Document]) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def assumed_roles(models: Iterable[Model], guardrails: Iterable[Guardrail]) -> tuple[AssumedRole, ...]:
    """The roles that the entries of a file name, sorted by ARN, each with what it needs."""
    needed: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    external: dict[str, set[str | None]] = defaultdict(set)
    tagged: set[str] = set()
    for model in models:
        if not (role := model.role):
            continue
        _, partition, _, _, account, _ = role.split(":", 5)
        for action, resources in _of_model(model, partition, account).items():
            needed[role][action] |= resources
        external[role].add(model.external_id)
        if model.parameters.get("aws_session_tags"):
            tagged.add(role)
    for guardrail in guardrails:
        if role := guardrail.role:
            _, partition, _, _, account, _ = role.split(":", 5)
            needed[role][GUARDRAIL_ACTION].add(guardrail.arn(partition, account))
            external[role].add(guardrail.external_id)
    return tuple(
        AssumedRole(
            role,
            () if None in external[role] else tuple(sorted(filter(None, external[role]))),
            role in tagged,
            {action: tuple(sorted(resources)) for action, resources in sorted(needed[role].items())},
        )
        for role in sorted(needed)
    )


def _of_model(model: Model, partition: str, account: str) -> dict[str, set[str]]:
    called = set(model.bedrock_resources(partition=partition, account=account))
    needed = dict.fromkeys(BEDROCK_ACTIONS, called)
    if counted := model.counts_with:
        needed[COUNT_ACTION] = {f"arn:{partition}:bedrock:{counted.region}::foundation-model/{counted.model}"}
        needed[MANTLE_COUNT_ACTION] = {f"arn:{partition}:bedrock-mantle:{counted.region}:{account}:project/default"}
    return needed
