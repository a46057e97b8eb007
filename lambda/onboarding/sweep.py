"""Closes every day the accounts of people who have left, for events of Slack's that never came.

Integrates with DynamoDB, Parameter Store, LiteLLM (/user/list, /user/info, /user/update, /key/block) and Slack
(users.list, for an organisation auth.teams.list, chat.postMessage).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.accounts import Account, email_of, is_closed, state_of
from onboarding.environment import settings
from onboarding.once import Once
from onboarding.people import Person
from onboarding.requests import Close
from onboarding.texts import mention
from onboarding.worker import Parts, close_account, store

# How often one call of users.list waits out Slack's rate limit, which allows some 20 calls a minute.
WAITS = 10
NAMED = 50  # people whom a line in the channel names; more are counted

logger = Logger()


@dataclass(frozen=True)
class Findings:
    """Accounts whose people have left, with their Slack ids, and how many belong to nobody whom Slack knows."""

    leaving: dict[str, str]  # the account's id: the Slack user
    unknown: int


@logger.inject_lambda_context(log_event=False, clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Compare LiteLLM's users with Slack's, and close what should be closed; return how many there were.

    Raises
    ------
    UnavailableError, RefusedError
        LiteLLM or Slack did not answer, or refused: the scheduler tries again, and what was closed stays closed.
    """
    rules, day = settings(), datetime.now(UTC).date().isoformat()
    parts = Parts.of(Once(store(), context), waits=WAITS)
    accounts = {
        account["user_id"]: _slim(account)
        for account in parts.accounts.all()
        if _concerns(account, day) and not parts.accounts.is_protected(account)
    }
    found = compare(accounts.values(), parts.people.everyone())
    counts = {"accounts": len(accounts), "leaving": len(found.leaving), "unknown": found.unknown, "closed": 0}
    if len(found.leaving) > rules.close_limit:
        parts.answers.audit(f"sweep-{day}#limit", _too_many(len(found.leaving), rules.close_limit))
    elif found.leaving and rules.dry_run:
        parts.answers.audit(f"sweep-{day}#dry-run", _dry_run(list(found.leaving.values())))
    else:
        for user_id, slack_user in found.leaving.items():
            request = Close(id=f"sweep-{day}-{slack_user}", who=slack_user)
            status = close_account(accounts[user_id], request, parts, rules)
            counts["closed"] += status == "closed"
    logger.info("swept", extra=counts)
    return counts


def compare(accounts: Iterable[Account], people: Iterable[Person]) -> Findings:
    """Find the accounts of people who have left.

    An account belongs to the Slack user noted in it, or else to the one with its mail address. It stays open while
    anybody who is active has the address: Slack gives a person who comes back a new id.
    """
    ours = {account["user_id"]: account for account in accounts}
    by_slack_user = {state_of(account).get("slack_user"): user_id for user_id, account in ours.items()}
    by_email = {email_of(account): user_id for user_id, account in ours.items()}
    known: set[str] = set()
    active: set[str] = set()
    left: dict[str, str] = {}
    for person in people:
        if person.stranger:
            continue
        theirs = by_slack_user.get(person.id)
        at_address = by_email.get(person.email) if person.email else None
        known.update(user_id for user_id in (theirs, at_address) if user_id)
        if not person.deleted:
            active.update(user_id for user_id in (theirs, at_address) if user_id)
        elif theirs:
            left[theirs] = person.id
        elif at_address and not state_of(ours[at_address]).get("slack_user"):
            left[at_address] = person.id
    leaving = {user_id: slack_user for user_id, slack_user in left.items() if user_id not in active}
    return Findings(leaving=leaving, unknown=len(ours) - len(known))


def _concerns(account: Account, day: str) -> bool:
    """Whether an account is open, or was closed by today's sweep, which may have died before it was through with it."""
    return not is_closed(account) or str(state_of(account).get("closed_by")).startswith(f"sweep-{day}-")


def _slim(account: Account) -> Account:
    """Keep of 10,000 accounts only what is compared."""
    noted = {"slack_user": state_of(account).get("slack_user")}
    return {"user_id": account["user_id"], "user_email": email_of(account), "metadata": {"onboarding": noted}}


def _too_many(count: int, limit: int) -> str:
    return (
        f"`stopped` The daily sweep found {count} LLM gateway accounts whose people are deactivated in Slack, more "
        f"than the limit of {limit}, so it has closed none: something looks wrong. Look into Slack's member list; if "
        f"they have really left, set onboarding.close_limit to {count} or more in company/environments.py and deploy."
    )


def _dry_run(slack_users: list[str]) -> str:
    named = ", ".join(mention(user) for user in slack_users[:NAMED])
    more = f" and {len(slack_users) - NAMED} more" if len(slack_users) > NAMED else ""
    return f"`dry run` The daily sweep would close the LLM gateway accounts of {named}{more}: they have left."
