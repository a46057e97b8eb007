"""What a valid file says, as the stacks ask it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from stacks.litellm_config.bedrock import BEDROCK_ACTIONS, COUNT_ACTION, GUARDRAIL_ACTION, MANTLE_COUNT_ACTION
from stacks.litellm_config.model import Model
from stacks.litellm_config.prices import notices
from stacks.litellm_config.roles import AssumedRole, Guardrail, assumed_roles
from stacks.litellm_config.variables import ALERTING, CALLBACKS


@dataclass(frozen=True)
class LiteLlmConfig:
    """What a valid `config.yaml` says that the rest of the code base needs. Made by `load_config`."""

    path: Path
    models: tuple[Model, ...]
    secrets: tuple[str, ...]  # sorted; environment variables that come from SSM SecureStrings
    variables: tuple[str, ...]  # sorted; plain environment variables beyond TASK_VARIABLES
    callbacks: tuple[str, ...]
    licensed_callbacks: tuple[str, ...]
    alerting: tuple[str, ...]
    database_pool_limit: int  # connections to the database of one worker
    request_timeout: int  # seconds
    guardrails: tuple[Guardrail, ...]  # of Bedrock, that calls are checked by
    warnings: tuple[str, ...]

    @property
    def bedrock_regions(self) -> tuple[str, ...]:
        """The regions that the task calls Bedrock in, sorted."""
        return tuple(sorted({model.region for model in self.models if model.region}))

    @property
    def bedrock_actions(self) -> tuple[str, ...]:
        """The actions that the task role needs on `bedrock_resources`; none if it calls no Bedrock model."""
        return BEDROCK_ACTIONS if any(model.by_role for model in self.models) else ()

    @property
    def access_groups(self) -> frozenset[str]:
        """The names under which a key or a team may use several models at once."""
        return frozenset(group for model in self.models for group in model.info.get("access_groups") or ())

    def bedrock_resources(self, *, partition: str, account: str) -> tuple[str, ...]:
        """ARNs of the listed models and inference profiles, sorted, none with a wildcard.

        `partition` and `account` may be CDK tokens.
        """
        arns = (model.bedrock_resources(partition=partition, account=account) for model in self.models if model.by_role)
        return tuple(sorted({arn for each in arns for arn in each}))

    def counting_resources(self, *, partition: str, account: str) -> dict[str, tuple[str, ...]]:
        """The actions that counting tokens takes, each with the sorted ARNs it is needed on; empty without such models.

        `partition` and `account` may be CDK tokens.
        """
        counted = {model.counted for model in self.models if model.counted}
        if not counted:
            return {}
        models = {f"arn:{partition}:bedrock:{region}::foundation-model/{model}" for model, region in counted}
        projects = {f"arn:{partition}:bedrock-mantle:{region}:{account}:project/default" for _, region in counted}
        return {COUNT_ACTION: tuple(sorted(models)), MANTLE_COUNT_ACTION: tuple(sorted(projects))}

    def guardrail_resources(self, *, partition: str, account: str) -> dict[str, tuple[str, ...]]:
        """The action that guardrails of Bedrock take, with their sorted ARNs; empty without one.

        `partition` and `account` may be CDK tokens.
        """
        arns = {guardrail.arn(partition, account) for guardrail in self.guardrails if not guardrail.role}
        return {GUARDRAIL_ACTION: tuple(sorted(arns))} if arns else {}

    @property
    def assumed_roles(self) -> tuple[AssumedRole, ...]:
        """The roles that the task's role assumes, sorted by ARN."""
        return assumed_roles(self.models, self.guardrails)

    @property
    def assuming_resources(self) -> dict[str, tuple[str, ...]]:
        """The actions that assuming them takes, each with the roles' sorted ARNs; empty without one."""
        roles = self.assumed_roles
        actions = sorted({action for role in roles for action in role.actions})
        return {action: tuple(role.arn for role in roles if action in role.actions) for action in actions}

    def hosts(self, variables: Mapping[str, str]) -> tuple[str, ...]:
        """Host names that the task calls, sorted, given the values of `self.variables`."""
        hosts = {host for model in self.models for host in model.hosts(variables)}
        hosts |= {f"bedrock-runtime.{guardrail.region}.amazonaws.com" for guardrail in self.guardrails}
        needs = (*(CALLBACKS[name] for name in self.callbacks), *(ALERTING[name] for name in self.alerting))
        hosts |= {host.format_map(variables) for need in needs for host in need.hosts}
        return tuple(sorted(hosts))

    def price_notices(self, today: date) -> tuple[str, ...]:
        """What is to be known of prices on a day: which change soon, and which are missing or in vain."""
        found = dict.fromkeys(text for model in self.models for text in notices(model, today))
        return tuple(f"{self.path}: {text}" for text in found)
