"""Documents of a config.yaml to try: the smallest one, and changes of it."""

import copy
from collections.abc import Callable
from typing import Any

from stacks.litellm_config import Address, LiteLlmConfig

VARIABLES = {
    "AZURE_API_BASE": "https://acme.openai.azure.com/",
    "DD_ENV": "dev",
    "DD_SERVICE": "litellm-gateway",
    "DD_SITE": "ap1.datadoghq.com",
    "DD_SOURCE": "litellm",
    "SMTP_HOST": "email-smtp.ap-northeast-1.amazonaws.com",
    "SMTP_PORT": "587",
    "SMTP_SENDER_EMAIL": "gateway@example.com",
    "SMTP_TLS": "True",
    "TRUSTED_PROXY_RANGES": "10.0.0.0/16",
    "VERTEXAI_LOCATION": "global",
    "VERTEXAI_PROJECT": "example-1234",
}

# Those that an environment with every provider has.
ALL_VARIABLES = VARIABLES | {"AZURE_AI_API_BASE": "https://acme.services.ai.azure.com"}

# By host and port, whether the way there is private.
SERVERS = {
    Address("vllm.acme.internal", 8000): True,
    Address("ollama.acme.internal", 11434): True,
    Address("vllm.rented.example", 8000): False,
}

CLAUDE = "bedrock/us.anthropic.claude-sonnet-5-5"
SMALLEST: dict[str, Any] = {
    "model_list": [
        {"model_name": "claude", "litellm_params": {"model": CLAUDE, "aws_region_name": "us-west-2"}},
        {
            "model_name": "gpt",
            "litellm_params": {
                "model": "azure/gpt-6-luna",
                "api_base": "os.environ/AZURE_API_BASE",
                "api_key": "os.environ/AZURE_API_KEY",
            },
        },
    ],
    "litellm_settings": {
        "request_timeout": 600,
        "budget_exceeded_status_code": 400,
        "callbacks": ["budgets.refusals"],
    },
    "general_settings": {
        "database_connection_pool_limit": 10,
        "disable_budget_reservation": True,
        "apply_user_budget_to_team_keys": True,
        "max_in_flight_requests_per_worker": "os.environ/MAX_IN_FLIGHT_REQUESTS",
    },
}

Load = Callable[..., LiteLlmConfig]


def changed(**changes: object) -> dict[str, Any]:
    """The smallest document with changes, each named by its path: section__key, or claude__key in that entry."""
    document = copy.deepcopy(SMALLEST)
    for path, value in changes.items():
        *parents, last = path.split("__")
        target: Any = document
        for parent in parents:
            entries = {entry["model_name"]: entry for entry in document["model_list"]}
            target = entries[parent] if parent in entries else target.setdefault(parent, {})
        if value is None:
            del target[last]
        else:
            target[last] = value
    return document


def bedrock(model: str, region: str, **entry: object) -> dict[str, Any]:
    """The smallest document with only this Bedrock model."""
    parameters = {"model": model, "aws_region_name": region}
    return changed(model_list=[{"model_name": "m", "litellm_params": parameters, **entry}])


def permitted(config: LiteLlmConfig) -> dict[str, tuple[str, ...]]:
    """What the task's role may do, by action, and on what."""
    statements = config.permissions(partition="aws", account="111122223333")
    return {action: resources for actions, resources in statements for action in actions}
