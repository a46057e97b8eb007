"""The environment's AWS account, as the checks ask it: clients of its services, and what is the same for many checks.

Integrates with AWS through boto3: its endpoints, and CloudFormation's stacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore import exceptions as aws
from botocore.config import Config

from ops.access import Access
from ops.doctor.finding import Finding
from stacks.settings import Environment

WORKERS: Final = 12
# One slow service must not hold up the others for long.
PATIENCE: Final = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})


@dataclass
class Account:
    """The environment's account, to be asked from several threads."""

    access: Access
    session: boto3.Session
    _lock: Lock = field(default_factory=Lock)

    @property
    def environment(self) -> Environment:
        """Its settings."""
        return self.access.environment

    def client(self, service: str, region: str | None = None) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """A client of a service, in the environment's region unless another is named."""
        with self._lock:  # a session makes one client at a time
            return self.session.client(  # type: ignore[call-overload]
                service, region_name=region or self.environment.region, config=PATIENCE
            )

    @property
    def emulated(self) -> bool:
        """Whether AWS is a program of this machine."""
        return urlsplit(self.client("sts").meta.endpoint_url).hostname in ("127.0.0.1", "::1", "localhost")

    def has_stack(self, name: str) -> bool:
        """Whether the environment's stack of this name is deployed."""
        try:
            self.client("cloudformation").describe_stacks(StackName=f"litellm-{self.environment.name}-{name}")
        except aws.ClientError as error:
            if error_code(error) == "ValidationError":  # how CloudFormation says that it does not exist
                return False
            raise
        return True


Check = Callable[[Account], Iterable[Finding]]
"""Looks at one thing of an account."""


def error_code(error: aws.ClientError) -> str:
    """The code of an error that AWS answers with, by which a check knows what is just not there."""
    return str(error.response.get("Error", {}).get("Code", ""))
