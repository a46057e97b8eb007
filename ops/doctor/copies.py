"""Whether the second region is ready for the day on which the first is gone: a young copy, and every secret.

Integrates with AWS Backup and Systems Manager.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from botocore import exceptions as aws

from ops.doctor.account import Account, error_code
from ops.doctor.finding import Finding, Mark, problem, well
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
    if account.emulated:
        yield Finding(WHAT, Mark.ABSENT, "AWS Backup is not emulated")
        return
    name = environment.name
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
            f"look at AWS Backup's jobs in {environment.region}, and whether its opt-in for Aurora is on there "
            "(docs/operations/region-gone.md); the first one comes within a day of the deployment.",
        )
    else:
        yield well(WHAT, f"{settings.region} has a copy of {newest:%Y-%m-%d %H:%M} UTC")
    names = required_secrets(environment)
    if lacking := missing(Store(environment, account.client("ssm", settings.region)), names):
        remedy = f"run `make restore ENV={name} ARGS=--prepare`."
        yield problem(WHAT, f"secrets missing in {settings.region}: {', '.join(lacking)}", remedy)
