"""Every check of `make doctor`, and how they are made: side by side, and none hides another."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from botocore import exceptions as aws

from ops.access import OpsError, explain
from ops.doctor.account import WORKERS, Account, Check
from ops.doctor.bootstrap import LINKED_ROLES, bootstrap, trust
from ops.doctor.copies import There, copies
from ops.doctor.domain import certificate, hosted_zone
from ops.doctor.finding import Finding, Mark
from ops.doctor.messages import mail, slack_workspace
from ops.doctor.models import model_access
from ops.doctor.network import endpoints_of_existing_vpc, existing_vpc, zones
from ops.doctor.quotas import QUOTAS, functions_at_once
from ops.doctor.region import credentials, region, services
from ops.doctor.roles import assumed_roles
from ops.doctor.secrets import secrets
from stacks.litellm_config import ConfigError
from stacks.settings import SettingsError

QUOTA_CHECKS: Final[Mapping[str, Check]] = {
    **{f"quota: {quota.what}": quota for quota in QUOTAS},
    "quota: Lambda concurrency": functions_at_once,
}
OF_A_REGION: Final[Mapping[str, Check]] = {
    "region": region,
    "services": services,
    "bootstrap": bootstrap,
    "bootstrap's trust": trust,
    "mail": mail,
    **QUOTA_CHECKS,
    "Bedrock": model_access,
}
"""What is asked for or made in each region by itself, and takes days where AWS is to permit it."""

CHECKS: Final[Mapping[str, Check]] = {
    "credentials": credentials,
    "region": region,
    "services": services,
    "zones": zones,
    "bootstrap": bootstrap,
    "bootstrap's trust": trust,
    **{role.what: role for role in LINKED_ROLES},
    "secrets": secrets,
    "second region": copies,
    "hosted zone": hosted_zone,
    "certificate": certificate,
    "mail": mail,
    "Slack workspace": slack_workspace,
    "VPC": existing_vpc,
    "endpoints": endpoints_of_existing_vpc,
    **QUOTA_CHECKS,
    "Bedrock": model_access,
    "roles": assumed_roles,
    **{f"second region, {what}": There(check) for what, check in OF_A_REGION.items()},
}
"""Every check by what it looks at, in the order of the lines."""


def examine(account: Account, checks: Mapping[str, Check] = CHECKS) -> list[Finding]:
    """What the checks find, in their order. One that fails is a finding too."""

    def examined(item: tuple[str, Check]) -> list[Finding]:
        what, check = item
        found: list[Finding] = []
        try:
            found.extend(check(account))
        except (OpsError, SettingsError, ConfigError) as error:
            found.append(Finding(what, Mark.UNKNOWN, str(error)))
        except (aws.BotoCoreError, aws.ClientError) as error:
            found.append(Finding(what, Mark.UNKNOWN, explain(error)))
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        return [finding for found in pool.map(examined, checks.items()) for finding in found]
