"""The mailbox of a local run: SES's SMTP endpoint as far as a client sees it, and what becomes of the mails."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import getaddresses, parseaddr
from html import unescape
from itertools import count
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from local.outside.exchange import ApiError
from local.outside.permissions import Permissions
from local.outside.records import KEPT_RECORDS

LARGEST_MAIL_BYTES = 10_000_000
"""SES's own limit of a message by default is 10 MB (docs.aws.amazon.com/ses/latest/dg/quotas.html)."""
SIMULATOR = "simulator.amazonses.com"
"""Where everybody may send to (docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html)."""
_IDLE_SECONDS = 300.0
_HREF = re.compile(r"""href\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s<>\"']+")

Via = Literal["smtp", "ses"]
Accepts = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail. `recipients` are those of the envelope; `arrived` is in seconds since 1970.

    `via` is "smtp" for what came with a user name and password through the submission port, "ses" for what the emulated
    SES was given through its API and handed on.
    """

    id: int
    via: Via
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str
    headers: tuple[tuple[str, str], ...]
    arrived: float

    @property
    def links(self) -> list[str]:
        """The links in the HTML, or in the text if there is no HTML, in order and once each."""
        found = [unescape(link) for link in _HREF.findall(self.html)] if self.html else _URL.findall(self.text)
        return list(dict.fromkeys(found))

    def header(self, name: str) -> str:
        """Return a header, "" if there is none."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")


class Mailbox:
    """Every mail that would have left this machine; safe to use from any thread.

    The submission port is SES's SMTP endpoint: STARTTLS first, then AUTH LOGIN or PLAIN, and no other sender than
    `allowed_sender`. The relay port takes what the emulated SES hands on, without either. Both listen on 127.0.0.1, and
    nothing is ever sent on.

    Parameters
    ----------
    tls
        With the certificate of the submission port.
    permissions
        Of the users of the submission port; if not given, whoever signs in may send.

    Attributes
    ----------
    accepts
        Tells whether a user name and password are good; it is called in the server's thread and should be quick. Until
        it is set, nobody's are.
    allowed_sender
        The address that mails must be from, by envelope and header; until it is set, none may.
    verified
        In SES's sandbox, in which an account begins: the addresses and domains that mails may go to, beside those of
        SES's mailbox simulator. None once the account is out of it: anybody.
    region
        Of the endpoint, which SES names where it refuses.
    hangs
        Whether the submission port takes connections, and then says nothing.
    held
        The connections to which it says nothing.
    """

    def __init__(self, tls: ssl.SSLContext, permissions: Permissions | None = None) -> None:
        self._permissions = permissions or Permissions()
        self.accepts: Accepts = lambda user, password: False
        self.allowed_sender = ""
        self.verified: frozenset[str] | None = frozenset()
        self.region = "us-east-1"
        self.submission_port = self.relay_port = 0
        self.hangs = False
        self.held: set[asyncio.Protocol] = set()
        self._tls = tls
        self._mails: deque[Mail] = deque(maxlen=KEPT_RECORDS)
        self._ids = count(1)
        self._changed = threading.Condition()

    def mails(self, to: str | None = None) -> list[Mail]:
        """Return the mails to an address, or all, oldest first."""
        with self._changed:
            return [mail for mail in self._mails if to is None or to.lower() in map(str.lower, mail.recipients)]

    def wait_for(self, to: str, number: int = 1, timeout: float = 60.0) -> list[Mail]:
        """Return the mails to an address when there are at least so many.

        Raises
        ------
        TimeoutError
            There were fewer within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.mails(to)) >= number, timeout):
                raise TimeoutError(f"{len(self.mails(to))} of {number} mails to {to} came within {timeout:g} seconds.")
            return self.mails(to)

    def clear(self) -> None:
        """Forget all mails."""
        with self._changed:
            self._mails.clear()

    async def serve(self, submission: socket.socket, relay: socket.socket, until: asyncio.Event) -> None:
        """Serve on two listening sockets until the event."""
        loop = asyncio.get_running_loop()
        servers = [
            await loop.create_server(self._submission, sock=submission),
            await loop.create_server(lambda: self._smtp("ses", "relay.local"), sock=relay),
        ]
        await until.wait()
        for server in servers:
            server.close()

    def _submission(self) -> asyncio.Protocol:
        if self.hangs:
            return _Silence(self.held)
        return self._smtp(
            "smtp",
            "email-smtp.local",
            tls_context=self._tls,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticate,
        )

    def _smtp(self, via: Via, hostname: str, **more: Any) -> SMTP:  # noqa: ANN401 - aiosmtpd's own parameters
        return SMTP(
            _Handler(self, via),
            hostname=hostname,
            ident="ESMTP (simulated)",
            data_size_limit=LARGEST_MAIL_BYTES,
            enable_SMTPUTF8=True,
            timeout=_IDLE_SECONDS,
            loop=asyncio.get_running_loop(),
            **more,
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: LoginPassword
    ) -> AuthResult:
        user, password = given.login.decode(errors="replace"), given.password.decode(errors="replace")
        if self.accepts(user, password):
            return AuthResult(success=True, auth_data=user)
        return AuthResult(success=False, handled=False, message="535 Authentication Credentials Invalid")

    def _may_get_mail(self, address: str) -> bool:
        return self.verified is None or not _identities(address).isdisjoint({*self.verified, SIMULATOR})

    def _permit(self, user: str, sender: str) -> None:
        self._permissions.check_mail(user, self.region, sender)

    def _take(self, via: Via, envelope: Envelope) -> str:
        """Keep a mail, or refuse it as SES does, which judges sender and recipients when it has the whole mail."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        message = email.message_from_bytes(content, policy=email.policy.default)
        senders = {(envelope.mail_from or "").lower(), parseaddr(str(message.get("From", "")))[1].lower()}
        wrong = sorted(senders - {self.allowed_sender.lower()})
        wrong += [address for _, address in getaddresses(envelope.rcpt_tos) if not self._may_get_mail(address)]
        if via == "smtp" and wrong:
            identities = ", ".join(address or "(none)" for address in wrong)
            return (
                "554 Message rejected: Email address is not verified. The following identities failed the check in "
                f"region {self.region.upper()}: {identities}"
            )
        mail = _mail(next(self._ids), via, envelope, message)
        with self._changed:
            self._mails.append(mail)
            self._changed.notify_all()
        return f"250 Ok {mail.id:032x}"


class _Silence(asyncio.Protocol):
    """A connection to which nothing is said; it is among those that are held for as long as it is open."""

    def __init__(self, held: set[asyncio.Protocol]) -> None:
        self._held = held

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._held.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._held.discard(self)


def _identities(address: str) -> set[str]:
    """What may be verified for an address: itself, and its domain with all above it."""
    labels = address.rpartition("@")[2].lower().split(".")
    return {address, *(".".join(labels[start:]) for start in range(len(labels)))}


class _Handler:
    """What aiosmtpd calls for the mails of one port."""

    def __init__(self, mailbox: Mailbox, via: Via) -> None:
        self._mailbox, self._via = mailbox, via

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # its name
        if self._via == "smtp":
            try:
                self._mailbox._permit(str(session.auth_data), envelope.mail_from or "")
            except ApiError as refusal:
                return f"554 Access denied: {refusal.message}"
        return self._mailbox._take(self._via, envelope)  # one thing in two parts


def _mail(id_: int, via: Via, envelope: Envelope, message: EmailMessage) -> Mail:
    text, html = (message.get_body(preferencelist=(kind,)) for kind in ("plain", "html"))
    return Mail(
        id=id_,
        via=via,
        sender=str(message.get("From", "")) or (envelope.mail_from or ""),
        recipients=tuple(address for _, address in getaddresses(envelope.rcpt_tos)),
        subject=str(message.get("Subject", "")),
        text=text.get_content() if text else "",
        html=html.get_content() if html else "",
        headers=tuple((name, str(value)) for name, value in message.items()),
        arrived=time.time(),
    )
