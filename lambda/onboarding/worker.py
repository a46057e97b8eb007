"""Does what the receiver has queued: makes accounts, hears approvers, closes the accounts of people who left.

The function behind the FIFO queue, one message at a time for each person, reporting failed ones (partial batch
response). A failure that may pass is tried again after 30 s, 60 s, … at most 15 minutes, MAX_ATTEMPTS times in all;
then what the request has made is taken back and SQS moves the message to the dead-letter queue. Sent again from there,
it starts afresh.

Integrates with SQS (ChangeMessageVisibility), DynamoDB, SESv2 (SendEmail), Parameter Store, LiteLLM and Slack
(users.info, usergroups.users.list, for an organisation auth.teams.list, chat.postMessage, chat.postEphemeral,
chat.update, functions.completeSuccess, functions.completeError).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from aws_lambda_powertools.utilities.idempotency.persistence.base import BasePersistenceLayer
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from onboarding.accounts import Accounts, Outcome, is_closed
from onboarding.answers import Answers
from onboarding.environment import Settings, places, settings
from onboarding.errors import RefusedError, UnavailableError, place_of
from onboarding.invitation import MailRefusedError
from onboarding.litellm import LiteLlm
from onboarding.once import Once
from onboarding.people import People, Person, client
from onboarding.requests import Close, Create, Decide, Request, from_json, step_of
from onboarding.texts import mention

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

FIRST_WAIT, LONGEST_WAIT = 30, 900  # seconds

logger = Logger()


@cache
def store() -> BasePersistenceLayer:
    """Return the table of what has been done."""
    return DynamoDBPersistenceLayer(table_name=places().table_name)


@cache
def litellm() -> LiteLlm:
    """Return LiteLLM, with connections that outlive one message."""
    return LiteLlm(places().litellm_url)


@cache
def sqs() -> SQSClient:
    """Return the queue's client."""
    return boto3.client("sqs")


@logger.inject_lambda_context(log_event=False, clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do the requests in order. After one that failed the others wait with it: a FIFO queue keeps its order."""
    records = event["Records"]
    for position, record in enumerate(records):
        if not _done(record, context):
            return {"batchItemFailures": [{"itemIdentifier": left["messageId"]} for left in records[position:]]}
    return {"batchItemFailures": []}


def wait_after(attempt: int) -> int:
    """Return the seconds until the next attempt, after the first, second, … one."""
    return int(min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT))


def _done(record: dict[str, Any], context: LambdaContext) -> bool:
    attempt = int(record["attributes"]["ApproximateReceiveCount"])
    logger.append_keys(message=record["messageId"], attempt=attempt)
    try:
        request = from_json(record["body"])
    except ValueError as error:
        # No later attempt reads it better: at once again, until it is in the dead-letter queue for a person to see.
        logger.error("malformed message", reason=str(error))
        _wait(record, 0)
        return False
    logger.append_keys(kind=type(request).__name__.lower(), request=request.id, who=request.who)
    try:
        last = attempt >= int(os.environ["MAX_ATTEMPTS"])
        status = Work(Once(store(), context)).do(request, last=last)
        logger.info("done", status=status)
    except (UnavailableError, RefusedError) as error:
        logger.warning("not done", reason=str(error))
    except Exception as error:  # it stays in the queue, whatever happened
        logger.error("failed", error=type(error).__name__, place=place_of(error))
    else:
        return True
    _wait(record, wait_after(attempt))
    return False


def _wait(record: dict[str, Any], seconds: int) -> None:
    try:
        sqs().change_message_visibility(
            QueueUrl=places().queue_url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds
        )
    except (BotoCoreError, ClientError) as error:
        logger.warning("the queue's own visibility timeout counts", error=type(error).__name__)


@dataclass(frozen=True)
class Parts:
    """What the work is done with."""

    people: People
    accounts: Accounts
    answers: Answers

    @classmethod
    def of(cls, once: Once, *, waits: int = 1) -> Parts:
        """Make them from the function's environment. `waits` as in `people.client`."""
        slack = client(waits)
        return cls(
            people=People(slack, settings()),
            accounts=Accounts(litellm=litellm(), settings=settings(), places=places(), once=once),
            answers=Answers(slack=slack, settings=settings(), places=places(), once=once),
        )


class Work:
    """One attempt at one request."""

    def __init__(self, once: Once) -> None:
        self._once = once
        self._parts = Parts.of(once)

    def do(self, request: Request, *, last: bool) -> str:
        """Do a request, unless it has been done; return its status.

        Raises
        ------
        UnavailableError, RefusedError
            It has not been done; it may be in another attempt, unless this is the last.
        """
        return self._once(step_of(request), lambda: self._attempt(request, last))

    def _attempt(self, request: Request, last: bool) -> str:
        if isinstance(request, Close):
            return close_person(request, self._parts, last=last)
        asked, by = (request.request, request.by) if isinstance(request, Decide) else (request, "")
        try:
            return self._decide(request, last) if isinstance(request, Decide) else self._create(asked, by, last)
        except RefusedError as refused:
            self._log_refusal(refused)
            return self._fail(asked, by, "failed_mail" if isinstance(refused, MailRefusedError) else "failed")
        except Exception:
            # Whatever else goes wrong now, the reason for the failure is the one to report.
            with suppress(Exception):
                if last:
                    self._fail(asked, by, "failed")
                else:
                    self._parts.answers.kept(asked, self._person(asked.requester))
            raise

    def _create(self, request: Create, by: str, last: bool) -> str:
        person = self._parts.people.person(request.who)
        requester = person if request.requester == request.who else self._parts.people.person(request.requester)
        outcome = (
            self._parts.accounts.create(request, person, last=last)
            if person
            else Outcome(status="refused", text="refused_unknown")
        )
        if outcome.status == "pending":
            self._parts.answers.ask_approvers(request)
        self._parts.answers.outcome(request, outcome, requester or _nobody(request.requester), decided_by=by)
        return outcome.status

    def _decide(self, decision: Decide, last: bool) -> str:
        """Hear an approver. Who asks, and whom the account is for, does not decide: two pairs of eyes."""
        request, answers = decision.request, self._parts.answers
        clicker = self._parts.people.person(decision.by)
        if clicker is None or not self._parts.people.may_approve(clicker):
            answers.whisper(decision, "no_approver", clicker)
            return "no_approver"
        if decision.by in (request.requester, request.who):
            answers.whisper(decision, "own_request", clicker)
            return "own_request"
        mine = {"by": decision.by, "verdict": "approve" if decision.approve else "deny"}
        first = self._once(f"{decision.id}#decision", lambda: mine, noticed=False)
        if first != mine:
            answers.whisper(decision, "decided", clicker, by=first["by"])
            return "decided"
        answers.show_decision(decision)
        if decision.approve:
            return self._create(replace(request, approved_by=decision.by), decision.by, last)
        denied = Outcome(status="refused", text="denied")
        answers.outcome(request, denied, self._person(request.requester), decided_by=decision.by)
        return denied.status

    def _fail(self, request: Create, by: str, text: str) -> str:
        """Take back what the request made, and say so. A request whose mail is out has not failed, only its end has."""
        if self._parts.accounts.undo(request):
            outcome = Outcome(status="failed", text=text)
            self._parts.answers.outcome(request, outcome, self._person(request.requester), decided_by=by)
        return "failed"

    def _person(self, user: str) -> Person:
        return self._parts.people.person(user) or _nobody(user)

    def _log_refusal(self, refused: RefusedError) -> None:
        logger.error("refused", reason=str(refused))


def close_person(request: Close, parts: Parts, *, last: bool) -> str:
    """Close the account of a person who has left Slack, and tell the audit channel."""
    try:
        person = parts.people.person(request.who)
        if person is None or not person.deleted or person.stranger:
            return "active"
        account = parts.accounts.of(person)
        if account is None:
            return "no account"
        status = close_account(account, request, parts, settings())
    except Exception:
        if last:
            with suppress(Exception):
                parts.answers.audit(
                    f"{request.id}#failed",
                    f"`failed` {mention(request.who)} has left, but the LLM gateway account could not be closed: the "
                    f"request `{request.id}` is in the dead-letter queue. Send it again once LiteLLM answers, or close "
                    "the account in LiteLLM's admin UI now.",
                )
        raise
    return status


def close_account(account: dict[str, Any], request: Close, parts: Parts, rules: Settings) -> str:
    """Close an account, or only tell that it would be closed, as the settings say."""
    who = mention(request.who)
    if parts.accounts.is_protected(account):
        status, line = "protected", f"{who} has left; the LLM gateway account stays open, as the settings protect it."
    elif rules.dry_run:
        if is_closed(account):
            return "closed already"
        status, line = "dry run", f"{who} has left; the LLM gateway account would be closed now, were it not a dry run."
    elif parts.accounts.close(account["user_id"], request.id):
        status, line = "closed", f"LLM gateway account of {who} closed: they have left, and every key is blocked."
    else:
        return "closed already"
    parts.answers.audit(f"{request.id}#closed", f"`{status}` {line}")
    return status


def _nobody(user: str) -> Person:
    """A requester whom Slack does not show: answered in English."""
    return Person(id=user, email="")
