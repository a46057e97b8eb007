"""What becomes of a variable that LiteLLM has elsewhere, by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ops.importing.secret import is_secret_name
from stacks.litellm_config import MAX_IN_FLIGHT, SERVED_AS, TASK_VARIABLES
from stacks.litellm_config.variables import AWS_VARIABLES, is_for_all_of_aws

STATIC: Final = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
"""Parameters that are keys of AWS."""

REGIONS: Final = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Where LiteLLM, and AWS's own libraries, look for the region of an entry without one, in this order."""

RENAMED: Final[Mapping[str, str]] = {
    "GOOGLE_APPLICATION_CREDENTIALS": "VERTEX_CREDENTIALS",
    "VERTEXAI_CREDENTIALS": "VERTEX_CREDENTIALS",
    "VERTEX_PROJECT": "VERTEXAI_PROJECT",
    "GOOGLE_CLOUD_PROJECT": "VERTEXAI_PROJECT",
    "VERTEX_LOCATION": "VERTEXAI_LOCATION",
    "PROXY_MASTER_KEY": "LITELLM_MASTER_KEY",
    "MASTER_KEY": "LITELLM_MASTER_KEY",
}
"""Variables that have another name here."""

_MADE: Final = "the deployment makes a database, and container/entrypoint.sh composes its address"
_REDIS: Final = "what tasks share is in a Valkey of the gateway's own, where the environment's settings have cache"
_OURS: Final = "this gateway sets it itself"
_MAIL: Final = "mail goes by Amazon SES, whose access the deployment makes"

_DROPPED: Final = (
    (re.compile(r"DATABASE_\w+|DIRECT_URL|(POSTGRES|PG|DB)_?\w+"), _MADE),
    (re.compile(r"REDIS_\w+"), _REDIS),
    (re.compile(r"SMTP_\w+"), _MAIL),
    (re.compile(r"DD_(ENV|SERVICE|SOURCE|VERSION|AGENT_HOST|TRACE_\w+)|LITELLM_DD_\w+"), _OURS),
    (
        re.compile(r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|BEARER_TOKEN_BEDROCK|PROFILE|ROLE\w*|WEB_\w+)"),
        "the role of the task calls Bedrock",
    ),
    (
        re.compile(r"SET_VERBOSE|(DETAILED_)?DEBUG|LITELLM_(MODE|LOG|DEBUG)|JSON_LOGS|(DISABLE|USE)_\w+|NO_DOCS|HOST"),
        _OURS,
    ),
    (re.compile(r"PYTHON\w+|PATH|HOME|TZ|LANG|LC_\w+|PRISMA_\w+|XDG_\w+|OTEL_\w+"), _OURS),
    (re.compile(r"(HTTPS?|NO|ALL)_PROXY"), "a task reaches providers by the NAT gateways of its VPC"),
)
"""What has no place here, by its name, and why."""

_OWN: Final[Mapping[str, str]] = {
    "LITELLM_MASTER_KEY": "a new one is made by make secrets",
    "LITELLM_SALT_KEY": "a new one is made by make secrets: it encrypts what is in the database, which is new",
    "UI_PASSWORD": "a new one is made by make secrets",
    "UI_USERNAME": _OURS,
    "PROXY_BASE_URL": "it follows from the domain of the environment",
    "CONFIG_FILE_PATH": "the image has the one file",
    "LITELLM_CONFIG": "the image has the one file",
    "STORE_MODEL_IN_DB": "general_settings.store_model_in_db has it",
    MAX_IN_FLIGHT: _OURS,
}

WORKERS: Final = ("NUM_WORKERS", "WEB_CONCURRENCY")

STORED: Final = "make secrets stores"
"""How a report says that a person has to give the value of a secret."""


@dataclass
class Variables:
    """The variables that LiteLLM has elsewhere: the plain ones with their values, of secrets the names alone."""

    plain: dict[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)  # named, with a value that is not in the files

    def value(self, *names: str) -> str | None:
        """The value of the first plain one that is known."""
        return next((self.plain[name] for name in names if name in self.plain), None)

    def region(self) -> str | None:
        """The region of an entry that names none."""
        return self.value(*REGIONS)


def called(name: str) -> str:
    """What a variable is called here."""
    other = f"OTHER_{name.removeprefix(AWS_VARIABLES)}" if is_for_all_of_aws(name) else name
    return RENAMED.get(name, other)


def without_place(name: str) -> str | None:
    """Why a variable of this name is not brought over, whatever its value; None if it may be."""
    if name in _OWN:
        return _OWN[name]
    if name in SERVED_AS or (name in TASK_VARIABLES and name not in REGIONS and name not in WORKERS):
        return _OURS
    return next((why for pattern, why in _DROPPED if pattern.fullmatch(name)), None)


def is_secret(name: str) -> bool:
    """Whether the value of a variable is one."""
    return is_secret_name(name)
