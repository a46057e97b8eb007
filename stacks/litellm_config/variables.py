"""The variables of the task, secret and plain, and which callbacks and alerts read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

REFERENCE: Final = "os.environ/"
"""How a value of the file begins that LiteLLM takes from a variable."""

CORE_SECRETS: Final = ("DATABASE_PASSWORD", "LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "UI_PASSWORD")
"""Secrets of every environment, whatever the file says."""

CACHE_VARIABLES: Final = "REDIS_"
"""How the variables begin by which LiteLLM finds a Redis (`_get_redis_env_kwarg_mapping` in its `_redis.py`)."""

CACHE_PASSWORD: Final = "REDIS_PASSWORD"  # noqa: S105 - the name of it
"""The secret of every environment that has a `cache`: what the tasks sign in to it with."""

MAX_IN_FLIGHT: Final = "MAX_IN_FLIGHT_REQUESTS"
"""The variable with `gateway.max_in_flight_requests`, to which the file's limit of requests in flight refers."""

TASK_VARIABLES: Final = frozenset(
    {"AWS_REGION", "DATABASE_HOST", "DATABASE_NAME", "DATABASE_PORT", "DATABASE_USERNAME", "NUM_WORKERS", "PORT"}
    | {MAX_IN_FLIGHT, "PROXY_BASE_URL", "UI_USERNAME"}
)
"""Plain variables that the task definition always has, so the file may refer to them."""

SERVED_AS: Final = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    # Prices and the like from the image: LiteLLM would otherwise download them from GitHub at start.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    # A NAT gateway forgets a flow that was silent for 350 s, without a word to either end, and an answer may take
    # longer: TCP asks every provider for a sign of life before. (Amazon VPC user guide, NAT gateways, "Internet
    # connection drops after 350 seconds".) It is on for every call: LiteLLM makes all its asynchronous clients, the
    # OpenAI SDK's too, on aiohttp.
    "AIOHTTP_SO_KEEPALIVE": "True",
    "AIOHTTP_TCP_KEEPIDLE": "60",  # seconds
    # Seconds that a request waits for what the database knows of its key, before it gets 503; by itself 10. A database
    # that takes 2 s for a statement is waited for.
    "PROXY_DB_LOOKUP_DEADLINE_SECONDS": "5",
    # In each worker: how many requests it has in hand, and refuses, once a minute in the log (container/capacity.py),
    # what is answered of a failure, on every route (container/answers.py), and whose it is (container/faults.py).
    "LITELLM_WORKER_STARTUP_HOOKS": "capacity:begin,answers:begin,faults:begin",
}
"""What every task tells LiteLLM, whatever the settings and the file say."""

OVERWRITTEN: Final = frozenset({"AZURE_API_VERSION"})
"""Variables that LiteLLM's command line sets itself (seen in 1.106.12): an entry that refers to one changes its
identity while LiteLLM runs, and is dropped."""

ADMIN_KEYS: Final = frozenset({"ANTHROPIC_ADMIN_KEY", "OPENAI_ADMIN_KEY"})
"""Secrets with which the comparison reads the bills, that call no models, and that no task is to have."""

AWS_VARIABLES: Final = "AWS_"
AWS_REGIONS: Final = frozenset({"AWS_DEFAULT_REGION", "AWS_REGION", "AWS_REGION_NAME"})
"""How variables begin that AWS's SDK reads, or LiteLLM for every entry, as AWS_ROLE_NAME (`get_credentials` in its
llms/bedrock/base_aws_llm.py): by all but those of a region, which every entry has, calls would go elsewhere or be
signed by somebody else than the task's role.
https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html"""

SECRET_SUFFIXES: Final = ("_KEY", "_TOKEN", "_PASSWORD", "_SECRET", "_CREDENTIALS", "_LICENSE", "_WEBHOOK_URL")
"""A variable whose name ends like this is a secret; every other one is plain."""


class Needs(NamedTuple):
    """What a callback or a kind of alerting reads from the environment by itself, and whom it calls."""

    secrets: tuple[str, ...]
    variables: tuple[str, ...]
    hosts: tuple[str, ...]  # with {VARIABLE} in them, and with their port if it is another than that of HTTPS
    licensed: bool = False


_SMTP: Final = Needs(
    ("SMTP_PASSWORD", "SMTP_USERNAME"),
    ("SMTP_HOST", "SMTP_PORT", "SMTP_SENDER_EMAIL", "SMTP_TLS"),
    ("{SMTP_HOST}:{SMTP_PORT}",),
)
CALLBACKS: Final = {
    # container/affinity.py: a conversation stays in the region whose prompt cache has it.
    "affinity.conversations": Needs((), (), ()),
    # container/masking.py; LiteLLM's own `datadog` would send error texts, which can quote a prompt.
    "masking.datadog": Needs(
        ("DD_API_KEY",), ("DD_ENV", "DD_SERVICE", "DD_SITE", "DD_SOURCE"), ("http-intake.logs.{DD_SITE}",)
    ),
    # container/budgets.py: what is said to whom a budget refuses.
    "budgets.refusals": Needs((), (), ()),
    # container/errors.py: what a caller is told of a failure.
    "errors.told": Needs((), (), ()),
    # container/faults.py: what leaves a deployment out, and what no other model is asked for.
    "faults.attributed": Needs((), (), ()),
    # container/prices.py: the prices that an entry has in model_info.prices_from, from their days on.
    "prices.dated": Needs((), (), ()),
    # Lives in litellm-enterprise, whose licence allows production use to subscribers only.
    "smtp_email": Needs((*_SMTP.secrets, "LITELLM_LICENSE"), _SMTP.variables, _SMTP.hosts, licensed=True),
}
"""The callbacks that this gateway can feed. Another one is a row here, with the variables that LiteLLM reads for it."""

ALERTING: Final = {
    "slack": Needs(("SLACK_WEBHOOK_URL",), (), ("hooks.slack.com",)),
    "email": _SMTP,
}

SECRET_VALUE: Final = re.compile(
    r"^(sk-|AKIA|ASIA|AIza|AQ\.|xox[a-z]-)\w|^-----BEGIN|^https://hooks\.slack\.com/|\"private_key\"|://[^/\s:@]*:[^/\s@]+@"
    r"|^(?i:bearer|basic) \S{16,}$"
)
"""What a secret looks like, wherever it stands: a key by its beginning, a URL with a password, a header's value."""


def resolve(value: str, variables: Mapping[str, str]) -> str:
    """The value itself, or that of the variable which it refers to; "" if that is a secret, which nobody knows here."""
    return variables.get(value.removeprefix(REFERENCE), "") if value.startswith(REFERENCE) else value


def is_for_all_of_aws(name: str) -> bool:
    """Whether a variable of this name would change every call of AWS."""
    return name.startswith(AWS_VARIABLES) and name not in AWS_REGIONS
