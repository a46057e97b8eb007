"""Reads LiteLLM's own config.yaml, refuses what would only fail at run time, and derives from it.

The file is the one list of models. The stacks ask of it: the Bedrock actions and resources of the task role, the names
of the task's secrets and plain variables, the database connections of one worker, the longest request, the hosts.
Nothing here needs the network or an installed LiteLLM.
"""

from stacks.litellm_config.bedrock import GEOGRAPHIES
from stacks.litellm_config.catalog import CATALOG, ConfigError, image_version, priced_models
from stacks.litellm_config.config import LiteLlmConfig
from stacks.litellm_config.features import FEATURES
from stacks.litellm_config.findings import Refusal, RefusedError
from stacks.litellm_config.model import PRICES_FROM, Model
from stacks.litellm_config.prices import COMING, day_of, in_force
from stacks.litellm_config.provider import Address, Provider
from stacks.litellm_config.providers import BILLS, PROVIDER_SETTINGS, PROVIDERS, ROWS
from stacks.litellm_config.reading import StrictLoader, load_config
from stacks.litellm_config.roles import AssumedRole
from stacks.litellm_config.variables import (
    ALERTING,
    CACHE_PASSWORD,
    CACHE_VARIABLES,
    CORE_SECRETS,
    MAX_IN_FLIGHT,
    OVERWRITTEN,
    SECRET_SUFFIXES,
    SECRET_VALUE,
    SERVED_AS,
    TASK_VARIABLES,
)

__all__ = [
    "ALERTING",
    "BILLS",
    "CACHE_PASSWORD",
    "CACHE_VARIABLES",
    "CATALOG",
    "COMING",
    "CORE_SECRETS",
    "FEATURES",
    "GEOGRAPHIES",
    "MAX_IN_FLIGHT",
    "OVERWRITTEN",
    "PRICES_FROM",
    "PROVIDERS",
    "PROVIDER_SETTINGS",
    "ROWS",
    "SECRET_SUFFIXES",
    "SECRET_VALUE",
    "SERVED_AS",
    "TASK_VARIABLES",
    "Address",
    "AssumedRole",
    "ConfigError",
    "LiteLlmConfig",
    "Model",
    "Provider",
    "Refusal",
    "RefusedError",
    "StrictLoader",
    "day_of",
    "image_version",
    "in_force",
    "load_config",
    "priced_models",
]
