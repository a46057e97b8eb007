"""What a valid file says, as the stacks ask it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from stacks.litellm_config import features, routes
from stacks.litellm_config.features import McpServer, PassThrough
from stacks.litellm_config.model import Model
from stacks.litellm_config.prices import notices
from stacks.litellm_config.provider import Address, address
from stacks.litellm_config.roles import AssumedRole, assumed_roles
from stacks.litellm_config.routes import Account, Guardrail, Permission
from stacks.litellm_config.variables import ALERTING, CALLBACKS
from stacks.litellm_config.waiting import Silence


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
    guardrails: tuple[Guardrail, ...]
    mcp_servers: tuple[McpServer, ...]
    pass_through: tuple[PassThrough, ...]
    warnings: tuple[str, ...]
    silences: Mapping[str, Silence]  # by a model's name, how long a call can be silent at the most

    @property
    def bedrock_regions(self) -> tuple[str, ...]:
        """The regions that the task calls Bedrock in, sorted."""
        return tuple(sorted({model.region for model in self.models if model.region}))

    @property
    def access_groups(self) -> frozenset[str]:
        """The names under which a key or a team may use several models at once."""
        return frozenset(group for model in self.models for group in model.info.get("access_groups") or ())

    @property
    def llm_routes(self) -> tuple[str, ...]:
        """The routes that callers may ask, as patterns of the path: those that one of the models may serve."""
        return routes.patterns(routes.opened(self.models))

    def permissions(self, *, partition: str, account: str) -> tuple[Permission, ...]:
        """What the task's role is to be permitted, a statement each; `partition` and `account` may be CDK tokens."""
        return routes.permissions(self.models, self.guardrails, Account(partition, account))

    def addresses(self, variables: Mapping[str, str]) -> tuple[Address, ...]:
        """Where the task calls models and whoever gets records and alerts, sorted; `variables` are the values of
        `self.variables`.
        """
        found = {each for model in self.models for each in model.addresses(variables)}
        found |= routes.addresses(self.models, self.guardrails)
        others = (*(server.url for server in self.mcp_servers), *(each.target for each in self.pass_through))
        found |= {each for other in others for each in address(other, variables)}
        needs = (*(CALLBACKS[name] for name in self.callbacks), *(ALERTING[name] for name in self.alerting))
        hosts = (host.format_map(variables) for need in needs for host in need.hosts)
        found |= {each for host in hosts for each in address(f"https://{host}", variables)}
        return tuple(sorted(found))

    @property
    def assumed_roles(self) -> tuple[AssumedRole, ...]:
        """The roles that the task's role assumes, sorted by ARN."""
        return assumed_roles(self.models, self.guardrails)

    def hosts(self, variables: Mapping[str, str]) -> tuple[str, ...]:
        """The names of the hosts of `addresses`."""
        return tuple(dict.fromkeys(each.host for each in self.addresses(variables)))

    def opened_routes(self, opened: Collection[str]) -> list[str]:
        """The routes of these features, beyond those of models, as regular expressions."""
        return features.routes(opened, self.mcp_servers, self.pass_through)

    def price_notices(self, today: date) -> tuple[str, ...]:
        """What is to be known of prices on a day: which change soon, and which are missing or in vain."""
        found = dict.fromkeys(text for model in self.models for text in notices(model, today))
        return tuple(f"{self.path}: {text}" for text in found)
