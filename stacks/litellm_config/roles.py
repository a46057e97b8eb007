"""Roles of other accounts, which the task's role assumes to call Bedrock there: what both sides have to permit.

The task's role needs sts:AssumeRole on exactly that role, and nothing on the models behind it (`permissions` in
stacks/litellm_config/routes.py). Before LiteLLM assumes it, it asks who it is itself (sts:GetCallerIdentity), which
takes no permission. Read in LiteLLM 1.106.12: `_auth_with_aws_role` of its llms/bedrock/base_aws_llm.py.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from stacks.litellm_config import routes
from stacks.litellm_config.bedrock import ASSUME_ACTION, TAG_ACTION
from stacks.litellm_config.model import Model
from stacks.litellm_config.routes import Account, Guardrail, Permission

ROLE_ARN: Final = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/[\w+=,.@/-]+")

Document = dict[str, Any]
"""A policy as IAM reads it."""


@dataclass(frozen=True)
class AssumedRole:
    """A role that the task's role assumes."""

    arn: str
    external_ids: tuple[str, ...]  # sorted; none if an entry comes without
    tagged: bool  # whether an entry hands tags over
    permissions: tuple[Permission, ...]  # what it has to be permitted itself

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
        return _document(
            {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
            for actions, resources in self.permissions
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
    """The roles that the entries and guardrails of a file name, sorted by ARN, each with what it needs."""
    by_role: dict[str, tuple[list[Model], list[Guardrail]]] = defaultdict(lambda: ([], []))
    for model in models:
        if model.role:
            by_role[model.role][0].append(model)
    for guardrail in guardrails:
        if guardrail.role:
            by_role[guardrail.role][1].append(guardrail)
    return tuple(_role(arn, *by_role[arn]) for arn in sorted(by_role))


def _role(arn: str, models: list[Model], guardrails: list[Guardrail]) -> AssumedRole:
    _, partition, _, _, account, _ = arn.split(":", 5)
    external = {*(each.external_id for each in models), *(each.external_id for each in guardrails)}
    own = (each._replace(role=None, external_id=None) for each in guardrails)
    return AssumedRole(
        arn,
        () if None in external else tuple(sorted(filter(None, external))),
        any(model.parameters.get("aws_session_tags") for model in models),
        routes.permissions([model.of_its_account() for model in models], own, Account(partition, account)),
    )
