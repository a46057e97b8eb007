"""Whether the second region is ready for the day on which the first is gone: a young copy, every secret, and all that
the first one was asked for.

Integrates with AWS Backup and Systems Manager.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from botocore import exceptions as aws

from ops.access import Access
from ops.doctor.account import Account, Check, error_code
from ops.doctor.finding import Finding, problem, well
from ops.restoring.elsewhere import missing, whole_copies
from ops.secrets import Store, required_secrets
from stacks.settings.gateway import COPY_BEGINS_WITHIN, COPY_ENDS_WITHIN

WHAT = "second region"


def copies(account: Account) -> Iterator[Finding]:
    """What `database.copies` asks for is there."""
    environment = account.environment
    settings = environment.database.copies
    if not settings:
        return
    name = environment.name
    if not _opted_in(account):
        remedy = "run `aws backup update-region-settings --resource-type-opt-in-preference Aurora=true`."
        yield problem(WHAT, f"AWS Backup does not take part in Aurora in {environment.region}", remedy)
    oldest = datetime.now(UTC) - timedelta(hours=settings.every_hours + COPY_BEGINS_WITHIN + COPY_ENDS_WITHIN)
    try:
        whole = whole_copies(account.client("backup", settings.region), environment)
    except aws.ClientError as error:
        if error_code(error) not in ("ResourceNotFoundException", "AccessDeniedException"):
            raise
        detail = f"{settings.region} has no vault {environment.copies_vault}, or it may not be looked into"
        yield problem(WHAT, detail, f"run `make copies ENV={name}`.")
        return
    newest = max((each.taken for each in whole), default=None)
    if newest is None or newest < oldest:
        what = f"the newest copy is of {newest:%Y-%m-%d %H:%M} UTC" if newest else "there is no copy"
        yield problem(
            WHAT,
            f"{what}, and one is made every {settings.every_hours} hours",
            f"look at AWS Backup's jobs in {environment.region} (docs/operations/region-gone.md); the first one "
            "comes within a day of the deployment.",
        )
    else:
        yield well(WHAT, f"{settings.region} has a copy of {newest:%Y-%m-%d %H:%M} UTC")
    names = required_secrets(environment)
    if lacking := missing(Store(environment, account.client("ssm", settings.region)), names):
        remedy = f"run `make restore ENV={name} ARGS=--prepare`."
        yield problem(WHAT, f"secrets missing in {settings.region}: {', '.join(lacking)}", remedy)


def _opted_in(account: Account) -> bool:
    """Whether plans of AWS Backup are followed for Aurora: without it they do nothing, and nothing fails.

    https://docs.aws.amazon.com/aws-backup/latest/devguide/service-opt-in.html
    """
    settings = account.client("backup").describe_region_settings()
    return bool(settings.get("ResourceTypeOptInPreference", {}).get("Aurora", True))


@dataclass(frozen=True)
class There:
    """A check as of the second region, on what the environment would need of it."""

    check: Check

    def __call__(self, account: Account) -> Iterator[Finding]:
        """What it finds there; nothing without a second region."""
        settings = account.environment.database.copies
        if settings:
            moved = account.environment.model_copy(update={"region": settings.region})
            there = replace(account, access=Access(moved, account.session))  # with its lock: it is the same session
            for finding in self.check(there):
                yield replace(finding, what=f"{WHAT}, {finding.what}")
