"""What Slack is told: the requester, the workflow's step, the approvers, and the audit channel."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from aws_lambda_powertools import Logger
from shared.slack import part, slack_errors
from slack_sdk import WebClient

from onboarding.accounts import Outcome
from onboarding.environment import Places, Settings
from onboarding.errors import RefusedError
from onboarding.form import PURPOSE_LENGTH, highest_budget
from onboarding.once import Once
from onboarding.people import Person
from onboarding.requests import Create, Decide
from onboarding.texts import mention, plain, say, say_both, say_short

logger = Logger(child=True)


class Answers:
    """Says each thing once. `UnavailableError` is raised; what Slack refuses is logged, and the work goes on, unless
    nobody could then answer.
    """

    def __init__(self, *, slack: WebClient, settings: Settings, places: Places, once: Once) -> None:
        self._slack, self._settings, self._places, self._once = slack, settings, places, once

    def outcome(self, request: Create, outcome: Outcome, requester: Person, *, decided_by: str = "") -> None:
        """Tell the requester by direct message, end the workflow's step with its outputs, and add the audit line."""
        message = self._sentence(request, outcome, requester, decided_by)
        step = f"{request.id}#{'decided' if decided_by else 'asked'}#{outcome.status}"
        self._do(f"{step}#told", "chat.postMessage", channel=request.requester, text=message)
        # A step that waited for an approval has ended with `pending`.
        if request.execution and not decided_by:
            self._end_step(step, request.execution, outcome.status, message)
        self.audit(
            f"{step}#audit",
            f"`{outcome.status}` LLM gateway account of {mention(request.who)}, team `{request.team}`, asked for by "
            f"{mention(request.requester)}"
            + (f", decided by {mention(decided_by)}" if decided_by else "")
            + f" (`{outcome.text}`, request `{request.id}`)",
        )

    def kept(self, request: Create, requester: Person) -> None:
        """Tell the requester that the request waits."""
        text = say("kept", requester.language)
        self._do(f"{request.id}#kept", "chat.postMessage", channel=request.requester, text=text)

    def ask_approvers(self, request: Create) -> None:
        """Put the request before the approvers: a message with two buttons, each with the request in its value."""
        text = say_both("approval", group=f"<!subteam^{self._settings.approver_group}>", **self._facts(request))
        purpose = say_both("purpose", purpose=plain(request.purpose))
        # Not escaped to \\uXXXX, the longest fits into the 2,000 characters of a value.
        value = json.dumps(asdict(request), ensure_ascii=False, separators=(",", ":"))
        buttons = [_button(name, style, value) for name, style in (("approve", "primary"), ("deny", "danger"))]
        blocks = [_section(text), _section(purpose), {"type": "actions", "elements": buttons}]
        channel = self._settings.audit_channel
        if not self._do(f"{request.id}#approval", "chat.postMessage", channel=channel, text=text, blocks=blocks):
            raise RefusedError("Slack did not take the question to the approvers: nobody would ever decide")

    def show_decision(self, decision: Decide) -> None:
        """Take the buttons away and write who has decided."""
        key = "approved" if decision.approve else "not_approved"
        text = say_both(key, by=mention(decision.by), **self._facts(decision.request))
        purpose = say_both("purpose", purpose=plain(decision.request.purpose))
        self._do(
            f"{decision.id}#shown",
            "chat.update",
            channel=decision.channel,
            ts=decision.message,
            text=text,
            blocks=[_section(text), _section(purpose)],
        )

    def whisper(self, decision: Decide, key: str, reader: Person | None, by: str = "") -> None:
        """Tell one who clicked, and nobody else in the channel, why that decided nothing."""
        text = say(key, reader.language if reader else "en", by=mention(by))
        step = f"{decision.id}#{decision.by}#{key}"
        self._do(step, "chat.postEphemeral", channel=decision.channel, user=decision.by, text=text)

    def audit(self, step: str, line: str) -> None:
        """Add a line to the audit channel."""
        self._do(step, "chat.postMessage", channel=self._settings.audit_channel, text=line)

    def _end_step(self, step: str, execution: str, status: str, message: str) -> None:
        if status == "failed":
            self._do(f"{step}#ended", "functions.completeError", function_execution_id=execution, error=message)
        else:
            outputs = {"status": status, "message": message}
            self._do(f"{step}#ended", "functions.completeSuccess", function_execution_id=execution, outputs=outputs)

    def _sentence(self, request: Create, outcome: Outcome, reader: Person, decided_by: str) -> str:
        values: dict[str, object] = {
            **self._facts(request),
            "by": mention(decided_by),
            "id": request.id,
            "url": self._places.gateway_url,
            "domains": ", ".join(self._settings.mail_domains),
            "teams": ", ".join(self._settings.teams),
            "limit": PURPOSE_LENGTH,
            "ceiling": dollars(highest_budget(self._settings)),
            **{name: reader.local(it) if isinstance(it, datetime) else it for name, it in outcome.values.items()},
        }
        return say(outcome.text, reader.language, **values)

    def _facts(self, request: Create) -> dict[str, object]:
        return {
            "who": mention(request.who),
            "requester": mention(request.requester),
            "team": request.team,
            "budget": dollars(request.max_budget or self._settings.max_budget),
            "default": dollars(self._settings.max_budget),
        }

    def _do(self, step: str, method: str, **arguments: Any) -> bool:  # noqa: ANN401 - Slack's arguments
        """Say it once; tell whether Slack took it."""

        def call() -> str:
            try:
                with slack_errors(method):
                    answer = self._slack.api_call(method, json=arguments)
            except RefusedError as refused:
                logger.error("Slack took no answer", method=method, reason=refused.reason)
                return "refused"
            if method in ("chat.postMessage", "chat.update"):
                part(answer, "ts", method)
            return "done"

        return self._once(step, call) == "done"


def dollars(amount: float) -> str:
    """Write an amount of US dollars without needless decimals."""
    return f"{amount:,.2f}".removesuffix(".00")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _button(name: str, style: str, value: str) -> dict[str, Any]:
    label = {"type": "plain_text", "text": say_short(name)}
    return {"type": "button", "action_id": f"{name}_account", "style": style, "text": label, "value": value}
