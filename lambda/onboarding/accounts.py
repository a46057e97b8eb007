"""Accounts in LiteLLM: made, invited, given a larger budget, closed and opened again.

An account is a LiteLLM user whose id is its mail address. What is known beside LiteLLM's own fields is in the user's
metadata under `onboarding`:

========== =============================================================================================
slack_user the Slack user that it belongs to
request    the request that made it
team       the team and the purpose that the request named
purpose
invitation the last invitation's id
invited    the request that this invitation was made for
mailed_at  when it was mailed; null before
closed_at  when the account was closed here, and the request that did it
closed_by
reopened   the request that opened it again
========== =============================================================================================

Each step looks at what is there before it does anything, so that a request that is done again goes on where it stopped.
The mail is the one step that cannot be looked up: `Once` remembers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from onboarding import form, invitation
from onboarding.environment import Places, Settings
from onboarding.errors import RefusedError, UnavailableError
from onboarding.litellm import LiteLlm
from onboarding.once import Once
from onboarding.people import Person, refusal
from onboarding.requests import Create

MAIL_PAUSE = timedelta(minutes=15)  # between two invitations to one account
_FORM_PROBLEMS = {
    "who": "refused_unknown",
    "team": "refused_team",
    "purpose": "refused_purpose",
    "max_budget": "refused_budget",
}

logger = Logger(child=True)
Account = dict[str, Any]  # LiteLLM's user


class Mailer(Protocol):
    """What sends an invitation: `invitation.send`."""

    def __call__(self, places: Places, person: Person, invitation_id: str, expires_at: datetime) -> None:
        """Send it, or raise `RefusedError` or `UnavailableError`."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a request: a status, and a sentence of texts.py with what it needs to know."""

    status: str  # created, exists, pending, refused or failed
    text: str
    values: dict[str, object] = field(default_factory=dict)  # moments are shown by the reader's clock


class Accounts:
    """The accounts of one environment. Every method raises `UnavailableError` or `RefusedError`."""

    def __init__(
        self,
        *,
        litellm: LiteLlm,
        settings: Settings,
        places: Places,
        once: Once,
        send: Mailer = invitation.send,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._litellm, self._settings, self._places = litellm, settings, places
        self._once, self._send, self._now = once, send, now

    def create(self, request: Create, person: Person, *, last: bool = False) -> Outcome:
        """Give a person the account that is asked for, or tell why not.

        An account that is there gets a fresh link if its invitation was never used, the approved budget if that is
        larger, and is opened again if it was closed here. `last` tells that there is no other attempt.
        """
        problem = self._problem(request) or refusal(person, self._settings)
        if problem:
            return Outcome(status="refused", text=problem)
        account = self._find(person)
        if not self._approved(request, account):
            if self._settings.approver_group:
                return Outcome(status="pending", text="pending")
            return Outcome(status="refused", text="refused_approval")
        if account is None:
            account = self._make(request, person)
        state = state_of(account)
        if state.get("request") == request.id:
            return self._invited("created", "created", request, person, account, last)
        if is_closed(account) or state.get("reopened") == request.id:
            return self._reopen(request, person, account, last)
        return self._existing(request, person, account, last)

    def undo(self, request: Create) -> bool:
        """Take back what a request has made, if its mail is not out; tell whether nothing of it is left."""
        for account in self.all():
            state = state_of(account)
            if request.id not in (state.get("request"), state.get("reopened")):
                continue
            if state.get("invited") == request.id and self._once.done(_mail_step(request, state["invitation"])):
                return False
            if state.get("request") == request.id:
                self._litellm.delete_user(account["user_id"])
            else:
                self._note(
                    account["user_id"], active=False, closed_at=self._stamp(), closed_by=request.id, reopened=None
                )
            logger.info("undone", request=request.id)
        return True

    def of(self, person: Person) -> Account | None:
        """Return the account that belongs to a Slack user: by the id noted in it, or by the mail address."""
        account = self._find(person) if person.email else None
        if account and state_of(account).get("slack_user") in (None, person.id):
            return account
        # The address may have changed since.
        user_id = next((one["user_id"] for one in self.all() if state_of(one).get("slack_user") == person.id), None)
        return self._litellm.user(user_id) if user_id else None

    def close(self, user_id: str, closed_by: str) -> bool:
        """Shut a person out: the user and every key. The spend history stays. Tell whether there was anything to do.

        LiteLLM refuses every key of a user with `scim_active: false`, those of its UI sessions too. The keys are
        blocked as well, so that they stay so if the account is opened again.
        """
        account = self._litellm.user(user_id)
        if account is None:
            return False
        was_closed = is_closed(account)
        if not was_closed:
            account = self._note(user_id, active=False, closed_at=self._stamp(), closed_by=closed_by, reopened=None)
        blocked = self._block_keys(account)
        return not was_closed or blocked or bool(state_of(account).get("closed_by") == closed_by)

    def is_protected(self, account: Account) -> bool:
        """Tell whether the settings keep the account from closing."""
        return email_of(account) in self._settings.protected

    def all(self) -> Iterator[Account]:
        """Return every account of the settings' mail domains, without its keys."""
        seen: set[str] = set()
        for domain in self._settings.mail_domains:
            for account in self._litellm.users(f"@{domain}"):
                # LiteLLM finds parts: @example.com is also in @example.com.au. Pages may overlap while users are made.
                if email_of(account).endswith(f"@{domain}") and account["user_id"] not in seen:
                    seen.add(account["user_id"])
                    yield account

    def _problem(self, request: Create) -> str | None:
        """What the receiver has checked; the settings may have changed while the request waited."""
        try:
            form.read(asdict(request), self._settings)
        except form.FormError as error:
            first = next(iter(error.problems))
            if first == "max_budget" and not self._settings.approver_group:
                return "refused_approval"
            return _FORM_PROBLEMS[first]
        return None

    def _approved(self, request: Create, account: Account | None) -> bool:
        """Whether the budget needs nobody's yes, or has it, or is there already."""
        wanted = request.max_budget or self._settings.max_budget
        if wanted <= self._settings.max_budget or request.approved_by:
            return True
        return account is not None and not is_closed(account) and not _below(account, wanted)

    def _find(self, person: Person) -> Account | None:
        account = self._litellm.user(person.email)
        if account:
            return account
        # One made by hand may have another id.
        for other in self._litellm.users(person.email):
            if email_of(other) == person.email:
                return self._litellm.user(other["user_id"])
        return None

    def _make(self, request: Create, person: Person) -> Account:
        self._litellm.ensure_team(request.team)
        self._litellm.new_user(
            {
                "user_id": person.email,
                "user_email": person.email,
                "user_role": "internal_user",
                "max_budget": request.max_budget or self._settings.max_budget,
                "budget_duration": self._settings.budget_duration,
                "models": list(self._settings.models),
                "tpm_limit": self._settings.tpm_limit,
                "rpm_limit": self._settings.rpm_limit,
                "metadata": {
                    "onboarding": {
                        "slack_user": person.id,
                        "request": request.id,
                        "team": request.team,
                        "purpose": request.purpose,
                        "approved_by": request.approved_by,
                        "invitation": None,
                        "mailed_at": None,
                    }
                },
            }
        )
        # Whether it was made now or just before: what counts is what is there, and whose.
        account = self._find(person)
        if account is None:
            raise UnavailableError("LiteLLM does not show the user that it has just made")
        return account

    def _reopen(self, request: Create, person: Person, account: Account, last: bool) -> Outcome:
        state = state_of(account)
        if state.get("reopened") != request.id:
            if not state.get("closed_at"):  # whoever did it had a reason that is not known here
                return Outcome(status="refused", text="refused_closed")
            self._block_keys(account)  # in case the closing has not come so far
            account = self._note(account["user_id"], active=True, closed_at=None, closed_by=None, reopened=request.id)
        self._raise_budget(request, account)
        return self._invited("created", "reopened", request, person, account, last)

    def _existing(self, request: Create, person: Person, account: Account, last: bool) -> Outcome:
        raised = self._raise_budget(request, account)
        text = "exists_budget" if raised else "exists"
        state = state_of(account)
        if not (state.get("request") or state.get("invitation")):  # made by hand: whoever did it invited them
            return Outcome(status="exists", text=text)
        if state.get("invited") != request.id:
            found = self._litellm.invitation(state["invitation"]) if state.get("invitation") else None
            if found and found["is_accepted"]:
                return Outcome(status="exists", text=text)
            mailed_at = moment(state["mailed_at"]) if state.get("mailed_at") else None
            if mailed_at and self._now() - mailed_at < MAIL_PAUSE:
                text = text if raised else "exists_recent"
                return Outcome(status="exists", text=text, values={"at": mailed_at})
        return self._invited("exists", "exists_budget" if raised else "exists_mailed", request, person, account, last)

    def _raise_budget(self, request: Create, account: Account) -> bool:
        """Give an account the approved budget, if that is more than it has; tell whether this request got it."""
        if not (request.approved_by and request.max_budget):
            return False
        if _below(account, request.max_budget):
            self._litellm.update_user(account["user_id"], max_budget=request.max_budget)
            return True
        return bool(account.get("max_budget") == request.max_budget)

    def _invited(
        self, status: str, text: str, request: Create, person: Person, account: Account, last: bool
    ) -> Outcome:
        """See to the membership, the invitation and its mail, whichever of them is not there yet."""
        user_id = account["user_id"]
        if status == "created":
            self._litellm.ensure_team(request.team)
            self._litellm.add_member(request.team, user_id)
        state = state_of(account)
        found = self._litellm.invitation(state["invitation"]) if state.get("invited") == request.id else None
        # The note counts beside the table, whose row may not have been written: that is no reason to mail again.
        noted = state.get("mailed_at") if found else None
        if found is None:
            # If the function dies before it is noted, the next attempt makes another: this one is known to nobody.
            found = self._litellm.new_invitation(user_id)
            self._note(user_id, slack_user=person.id, invitation=found["id"], invited=request.id, mailed_at=None)
        until = moment(found["expires_at"])
        mailed_at = noted or self._once(
            _mail_step(request, found["id"]), lambda: self._mail(person, found["id"], until)
        )
        if state.get("invited") != request.id or state.get("mailed_at") != mailed_at:
            self._mark_mailed(user_id, mailed_at, last)
        return Outcome(status=status, text=text, values={"until": until})

    def _mail(self, person: Person, invitation_id: str, until: datetime) -> str:
        self._send(self._places, person, invitation_id, until)
        return self._stamp()

    def _mark_mailed(self, user_id: str, mailed_at: str, last: bool) -> None:
        """Note the mail. It is out: where no attempt is left, the account is good without the note."""
        try:
            self._note(user_id, mailed_at=mailed_at)
        except (UnavailableError, RefusedError) as error:
            if isinstance(error, UnavailableError) and not last:
                raise
            logger.warning("the mail is out, but could not be noted in the account", reason=str(error))

    def _block_keys(self, account: Account) -> bool:
        """Block every key that is not; tell whether there was one."""
        tokens = [key["token"] for key in account["keys"] if not key.get("blocked")]
        for token in tokens:
            self._litellm.block_key(token)
        return bool(tokens)

    def _note(self, user_id: str, *, active: bool | None = None, **notes: str | None) -> Account:
        """Change the notes in a user's metadata; None takes one out. All else in it stays as it is."""
        account = self._litellm.user(user_id)
        if account is None:
            raise UnavailableError("the LiteLLM user is gone in the midst of the work")
        metadata = dict(account.get("metadata") or {})
        state = {**state_of(account), **notes}
        metadata["onboarding"] = {
            name: value for name, value in state.items() if value is not None or name == "mailed_at"
        }
        if active is not None:
            metadata["scim_active"] = active
        self._litellm.update_user(user_id, metadata=metadata)
        return {**account, "metadata": metadata}

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="seconds")


def state_of(account: Account) -> dict[str, Any]:
    """Return what is noted in an account; nothing in one made by hand."""
    state = (account.get("metadata") or {}).get("onboarding")
    return state if isinstance(state, dict) else {}


def is_closed(account: Account) -> bool:
    """Tell whether LiteLLM shuts the user out."""
    return (account.get("metadata") or {}).get("scim_active") is False


def email_of(account: Account) -> str:
    """Return the mail address, lower-case; "" if there is none."""
    return str(account.get("user_email") or "").lower()


def moment(text: str) -> datetime:
    """Read a time as LiteLLM and the notes write it."""
    return datetime.fromisoformat(text)


def _below(account: Account, budget: float) -> bool:
    return account.get("max_budget") is not None and account["max_budget"] < budget  # None is no limit


def _mail_step(request: Create, invitation_id: str) -> str:
    return f"{request.id}#mail#{invitation_id}"
