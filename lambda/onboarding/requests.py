"""What the receiver asks the worker to do: the messages in the queue between them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Create:
    """An account is asked for."""

    id: str  # of the workflow step's execution, or of the submitted modal: the same for Slack's retries
    who: str  # the Slack user that it is for
    requester: str  # the Slack user who asks, and is answered
    team: str
    purpose: str
    max_budget: float | None = None  # US dollars; None for the default
    execution: str | None = None  # the workflow step's execution, which waits for its outputs; None for the command
    approved_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Decide:
    """An approver has decided on an account with a larger budget."""

    id: str  # of the message with the buttons: one decision for each
    approve: bool
    by: str
    channel: str
    message: str  # its ts
    request: Create

    @property
    def who(self) -> str:
        """The Slack user that the account is for."""
        return self.request.who


@dataclass(frozen=True, kw_only=True)
class Close:
    """A Slack user has been deactivated."""

    id: str  # of Slack's event
    who: str


Request = Create | Decide | Close
KINDS: dict[str, type[Create] | type[Decide] | type[Close]] = {"create": Create, "decide": Decide, "close": Close}


def step_of(request: Request) -> str:
    """Return the name under which a request is done once. Of one message's buttons, each person's click is its own."""
    return f"{request.id}#{request.by}#{request.approve}" if isinstance(request, Decide) else request.id


def to_json(request: Request) -> str:
    """The message's body."""
    kind = next(name for name, type_ in KINDS.items() if isinstance(request, type_))
    return json.dumps({"kind": kind, **asdict(request)})


def from_json(body: str) -> Request:
    """The request in a message's body.

    Raises
    ------
    ValueError
        It is none of the kinds, or lacks a part: the message is not the receiver's.
    """
    try:
        values = json.loads(body)
        kind = KINDS[values.pop("kind")]
        if kind is Decide:
            values["request"] = Create(**values["request"])
        return kind(**values)
    except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
        raise ValueError(f"the message is no request of the receiver's ({type(error).__name__})") from error
