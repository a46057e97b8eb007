"""The file is read: every rule looks at it, and all that they find is told at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from stacks.litellm_config.config import LiteLlmConfig
from stacks.litellm_config.file import StrictLoader, read
from stacks.litellm_config.findings import Findings
from stacks.litellm_config.made import NOTHING_MADE, Made
from stacks.litellm_config.provider import Address
from stacks.litellm_config.rules import (
    budgets,
    callbacks,
    closed,
    conversations,
    credentials,
    errors,
    faults,
    guardrails,
    keys,
    mcp,
    models,
    modules,
    pass_through,
    policies,
    redis,
    references,
    router,
    settings,
)
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.variables import CACHE_PASSWORD, CALLBACKS
from stacks.litellm_config.waiting import silences

__all__ = ["StrictLoader", "load_config"]


def load_config(
    path: Path,
    *,
    provided: Collection[str] = (),
    licensed: bool = False,
    region: str | None = None,
    opened: Collection[str] = (),
    servers: Mapping[Address, bool] = MappingProxyType({}),
    made: Made = NOTHING_MADE,
    cached: bool = False,
) -> LiteLlmConfig:
    """Read and check the file.

    Parameters
    ----------
    path
        LiteLLM's config.yaml.
    provided
        Names of the plain variables that the environment's settings give to the task, beyond TASK_VARIABLES; if it is
        a mapping, with their values, and what follows from those is checked too.
    licensed
        Whether the company holds a LiteLLM licence, which some callbacks need in production.
    region
        The environment's.
    opened
        The features beyond models whose routes everybody may call whom the load balancer lets in.
    servers
        Those of the environment that are on a port of their own, and whether the way to each is private.
    made
        What the deployment makes of Bedrock for the file to refer to.
    cached
        Whether it makes a Valkey that the tasks share, for which they have a password.

    Raises
    ------
    ConfigError
        For every mistake, a line each, in the order of the file.

    """
    findings = Findings(read(path))
    variables = dict(provided) if isinstance(provided, Mapping) else dict.fromkeys(provided)
    reading = Reading(findings, variables, licensed, region, servers, opened, made)
    keys.check_sections(reading)
    credentials.check(reading)
    found = models.models(reading)
    router.check(reading, models.names(reading))
    modules.check(reading)
    redis.check(reading)
    closed.check(reading)
    tools, endpoints = mcp.check(reading), pass_through.check(reading)
    asked = guardrails.check(reading, found)
    policies.check(reading)
    named, alerting, needs = callbacks.check(reading)
    models.check_charged(reading, found)
    pool_limit, request_timeout = settings.check(reading)
    needs = {**needs, **models.needs(found)}
    secrets, plain = references.secrets_and_variables(reading, needs)  # last: it leaves out what is refused already
    secrets = tuple(sorted({*secrets, CACHE_PASSWORD})) if cached else secrets
    findings.check()
    references.unused(reading, plain)
    models.notices(reading, found)
    closed.check_modes(reading, found)
    conversations.check(reading, found)
    budgets.check(reading, named)
    faults.check(reading, named)
    errors.check(reading, named)
    return LiteLlmConfig(
        path=path,
        models=found,
        secrets=secrets,
        variables=plain,
        callbacks=named,
        licensed_callbacks=tuple(name for name in named if CALLBACKS[name].licensed),
        alerting=alerting,
        database_pool_limit=pool_limit,
        request_timeout=request_timeout,
        guardrails=asked,
        mcp_servers=tools,
        pass_through=endpoints,
        warnings=findings.warnings(),
        silences=silences(
            found, reading.section("router_settings"), reading.section("litellm_settings"), request_timeout
        ),
    )
