"""The mailbox: what SES's SMTP endpoint asks of a client, and what is kept of a mail."""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.mime.text import MIMEText
from pathlib import Path

import httpx
import pytest

from local.outside.mailbox import Mailbox
from local.outside.world import OutsideWorld

SENDER = "llm-gateway@llm.local.example.com"
LOGIN = ("AKIDEXAMPLE", "a password")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideWorld]:
    with OutsideWorld(tmp_path_factory.mktemp("outside")) as world:
        yield world


@pytest.fixture
def world(running: OutsideWorld) -> OutsideWorld:
    running.mailbox.clear()
    running.mailbox.allowed_sender = SENDER
    running.mailbox.region = "ap-northeast-1"
    running.mailbox.verified = None
    running.mailbox.accepts = lambda user, password: (user, password) == LOGIN
    return running


@pytest.fixture
def mailbox(world: OutsideWorld) -> Mailbox:
    return world.mailbox


@pytest.fixture
def plain(mailbox: Mailbox) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", mailbox.submission_port, timeout=30) as client:
        yield client


@pytest.fixture
def secure(world: OutsideWorld, plain: smtplib.SMTP) -> smtplib.SMTP:
    plain.starttls(context=ssl.create_default_context(cafile=str(world.ca_file)))
    return plain


def mail(sender: str = SENDER, to: str = "Yuki.Sato@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"LLM gateway <{sender}>", to, "招待 / Invitation"
    message.set_content("Open https://llm.example.com/ui?invitation_id=1&a=2 now.\n")
    message.add_alternative(
        '<p>こんにちは <a href="https://llm.example.com/ui?invitation_id=1&amp;a=2">open</a></p>', subtype="html"
    )
    return message


def test_a_mail_with_starttls_and_a_login(secure: smtplib.SMTP, mailbox: Mailbox) -> None:
    secure.login(*LOGIN)
    secure.send_message(mail())
    (kept,) = mailbox.wait_for("yuki.sato@EXAMPLE.com")
    assert (kept.via, kept.subject, kept.recipients) == ("smtp", "招待 / Invitation", ("Yuki.Sato@example.com",))
    assert kept.sender == f"LLM gateway <{SENDER}>"
    assert "こんにちは" in kept.html
    assert kept.text.startswith("Open https://")
    assert kept.links == ["https://llm.example.com/ui?invitation_id=1&a=2"]
    assert kept.header("mime-version") == "1.0"
    assert mailbox.mails("somebody@example.com") == []


@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN"])
def test_both_mechanisms(secure: smtplib.SMTP, mechanism: str) -> None:
    secure.ehlo()
    assert mechanism in secure.esmtp_features["auth"]
    secure.user, secure.password = LOGIN
    code, _ = secure.auth(mechanism, secure.auth_login if mechanism == "LOGIN" else secure.auth_plain)
    assert code == 235


def test_no_mail_without_starttls(plain: smtplib.SMTP, mailbox: Mailbox) -> None:
    with pytest.raises(smtplib.SMTPSenderRefused) as error:
        plain.send_message(mail())
    assert error.value.smtp_code == 530
    with pytest.raises(smtplib.SMTPException):
        plain.login(*LOGIN)
    assert mailbox.mails() == []


def test_no_mail_without_a_login(secure: smtplib.SMTP, mailbox: Mailbox) -> None:
    with pytest.raises(smtplib.SMTPSenderRefused) as error:
        secure.send_message(mail())
    assert error.value.smtp_code == 530
    assert mailbox.mails() == []


@pytest.mark.parametrize("login", [("AKIDEXAMPLE", "wrong"), ("other", "a password")])
def test_a_wrong_login(secure: smtplib.SMTP, login: tuple[str, str]) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError) as error:
        secure.login(*login)
    assert (error.value.smtp_code, error.value.smtp_error) == (535, b"Authentication Credentials Invalid")


def test_nobody_may_log_in_before_the_credentials_are_known(world: OutsideWorld) -> None:
    with (
        OutsideWorld(world.ca_file.parent) as other,
        smtplib.SMTP("127.0.0.1", other.mailbox.submission_port, timeout=30) as client,
    ):
        client.starttls(context=ssl.create_default_context(cafile=str(world.ca_file)))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(*LOGIN)


@pytest.mark.parametrize(
    ("envelope", "header"), [("else@example.com", SENDER), (SENDER, "else@example.com"), ("a@b.test", "c@d.test")]
)
def test_another_sender_is_refused(secure: smtplib.SMTP, mailbox: Mailbox, envelope: str, header: str) -> None:
    secure.login(*LOGIN)
    with pytest.raises(smtplib.SMTPDataError) as error:
        secure.send_message(mail(header), from_addr=envelope)
    assert error.value.smtp_code == 554
    assert b"not verified" in error.value.smtp_error
    assert mailbox.mails() == []


@pytest.mark.parametrize(
    ("verified", "to"),
    [
        ("Yuki.Sato@example.com", "Yuki.Sato@example.com"),
        ("example.com", "Yuki.Sato@Example.com"),
        ("example.com", "a@mail.example.com"),
        ("other.example.com", "bounce@simulator.amazonses.com"),
    ],
)
def test_in_the_sandbox_mails_go_to_verified_identities(
    secure: smtplib.SMTP, mailbox: Mailbox, verified: str, to: str
) -> None:
    mailbox.verified = frozenset({verified})
    secure.login(*LOGIN)
    secure.send_message(mail(to=to))
    assert mailbox.mails(to)


@pytest.mark.parametrize("verified", ["yuki.sato@example.com", "mail.example.com", "com.example"])
def test_in_the_sandbox_mails_go_to_nobody_else(secure: smtplib.SMTP, mailbox: Mailbox, verified: str) -> None:
    mailbox.verified = frozenset({verified})
    secure.login(*LOGIN)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        secure.send_message(mail())
    assert refused.value.smtp_error == (
        b"Message rejected: Email address is not verified. The following identities failed the check in region "
        b"AP-NORTHEAST-1: Yuki.Sato@example.com"
    )
    assert mailbox.mails() == []


def test_an_account_begins_in_the_sandbox() -> None:
    assert Mailbox(ssl.create_default_context()).verified == frozenset()


def test_the_largest_size(secure: smtplib.SMTP, mailbox: Mailbox) -> None:
    secure.login(*LOGIN)
    with pytest.raises((smtplib.SMTPSenderRefused, smtplib.SMTPDataError)) as error:
        secure.sendmail(SENDER, ["yuki.sato@example.com"], "x" * 70 + "\r\n" * 5_100_000)
    assert getattr(error.value, "smtp_code", None) == 552
    assert mailbox.mails() == []


def test_what_the_emulated_ses_hands_on(mailbox: Mailbox) -> None:
    message = MIMEText("<p>hello</p>", "html", "utf-8")
    message["From"], message["Subject"] = "anybody@example.com", "SES"
    with smtplib.SMTP("127.0.0.1", mailbox.relay_port, timeout=30) as client:
        client.sendmail("anybody@example.com", ["a@example.com", "b@example.com"], message.as_string())
    (kept,) = mailbox.mails()
    assert (kept.via, kept.recipients, kept.text) == ("ses", ("a@example.com", "b@example.com"), "")
    assert kept.html.strip() == "<p>hello</p>"
    assert mailbox.mails("b@example.com") == [kept]


def test_both_ports_listen_on_loopback_alone(tmp_path: Path) -> None:
    def answers(address: str, port: int) -> bool:
        with socket.socket() as probe:
            probe.settimeout(5)  # macOS has 127.0.0.1 alone, and does not refuse the others but is silent
            return probe.connect_ex((address, port)) == 0

    with OutsideWorld(tmp_path) as world:
        ports = (world.mailbox.submission_port, world.mailbox.relay_port)
        assert [answers("127.0.0.1", port) for port in ports] == [True, True]
        assert [answers("127.0.0.2", port) for port in ports] == [False, False]
    assert [answers("127.0.0.1", port) for port in ports] == [False, False]


def test_waiting_has_an_end(mailbox: Mailbox) -> None:
    with pytest.raises(TimeoutError, match=r"0 of 2 mails to a@example\.com"):
        mailbox.wait_for("a@example.com", 2, timeout=0.01)


def test_the_page_shows_mails_in_a_sandbox(secure: smtplib.SMTP, world: OutsideWorld) -> None:
    secure.login(*LOGIN)
    message = mail()
    message.get_payload(1).set_content('<script>alert(1)</script><a href="javascript:x">x</a>', subtype="html")  # type: ignore[union-attr]
    secure.send_message(message)
    with httpx.Client(base_url=world.control_url, trust_env=False) as control:
        page = control.get("/").text
        assert "招待 / Invitation" in page
        assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
        assert "<script" not in page
        assert 'href="javascript:' not in page
        found = control.get("/mails", params={"to": "yuki.sato@example.com"}).json()
        assert found[0]["subject"] == "招待 / Invitation"
        assert control.get("/mails", params={"to": "nobody@example.com"}).json() == []
        assert control.delete("/mails").status_code == 204
    assert world.mailbox.mails() == []
