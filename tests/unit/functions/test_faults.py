"""Every dependency of every function, gone at each step of each kind of work: it is done once, or somebody is told."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import boto3
import pytest
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from botocore.config import Config
from datadog import client as datadog_client
from onboarding import environment, invitation, once, slack_app, worker
from shared.errors import UnavailableError
from usage import clouds, litellm
from usage import environment as usage_environment

from stacks import CHECKOUT
from tests.unit.functions import works
from tests.unit.functions.network import FAULTS, Network, Step, intercept, plug
from tests.unit.functions.works import WORKS, Row, Running, Work

CACHED = (
    *(environment.settings, environment.places, slack_app.app, slack_app.sqs, worker.store, worker.litellm),
    *(worker.sqs, invitation.ses, usage_environment.bill, usage_environment.report, usage_environment.places),
)


class Case(NamedTuple):
    """A fault at a step: for an attempt, or until somebody mends it."""

    step: Step
    fault: str
    lasting: bool

    def __str__(self) -> str:
        return f"{self.step}: {FAULTS[self.fault]}{', and stays so' if self.lasting else ''}"


def _made_once() -> Callable[..., Any]:
    """What makes a client of boto3's once, however often it is asked for."""
    real, made = boto3.Session.client, dict[tuple[str, object], Any]()

    def client(
        self: boto3.Session, service: str, region_name: str | None = None, config: Config | None = None, **_: object
    ) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """A client with its own attempts, or with two where boto3 has more: they are the same again."""
        config = config or Config()
        retries = getattr(config, "retries", None)
        if not retries:
            config = config.merge(Config(retries={"total_max_attempts": 2}))
        place = (service, str(retries))
        if place not in made:
            made[place] = cast(Any, real)(self, service, region_name=region_name, config=config)
        return made[place]

    return client


@pytest.fixture(scope="module")
def log() -> Iterator[io.StringIO]:
    """Real clients, each made once, in front of a network of our own; and all that is logged."""
    patch = pytest.MonkeyPatch()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE"):
        patch.delenv(name, raising=False)
        patch.delenv(name.lower(), raising=False)
    for name, value in works.VARIABLES.items():
        patch.setenv(name, value)
    patch.setattr(boto3.Session, "client", _made_once())
    patch.setattr(datadog_client, "ATTEMPTS", 2)
    patch.setattr(clouds, "ATTEMPTS", 2)
    patch.setattr(litellm, "PAUSES", (1,))
    for cached in CACHED:
        cached.cache_clear()
    patch.setitem(DEFAULT_PROVIDERS, "ssm", parameters.SSMProvider(boto3_client=boto3.client("ssm")))
    intercept(patch)
    stream = io.StringIO()
    everything = logging.StreamHandler(stream)
    root = logging.getLogger()
    root.addHandler(everything)
    for logger in logging.root.manager.loggerDict.values():
        for each in logger.handlers if isinstance(logger, logging.Logger) else ():
            if isinstance(each, logging.StreamHandler):
                patch.setattr(each, "stream", stream)
    yield stream
    root.removeHandler(everything)
    patch.undo()
    for cached in CACHED:
        cached.cache_clear()


def observed(row: Row) -> tuple[list[Step], set[Step], Counter[str]]:
    """The steps of a work that nothing disturbs, which of them have nothing in their answer, and the books."""
    running = row.work()
    plug(running.network)
    told = running.drive()
    assert told == [], f"undisturbed: {told}"
    return running.network.steps, running.network.tolerant, running.books()


def cases(steps: list[Step], tolerant: set[Step], known: set[tuple[str, str]], turn: int) -> Iterator[Case]:
    """Every fault at the first of the steps that ask for one thing, and one of them at the others, by turns."""
    for number, step in enumerate(steps, turn):
        kind = ("usage.clouds", "") if step.service in works.BY_CLOUDS else step[:2]
        first = kind not in known
        known.add(kind)
        possible = [fault for fault in FAULTS if fault not in ("empty", "garbage") or step not in tolerant]
        for position, fault in enumerate(possible):
            if first or position == number % len(possible):
                yield Case(step, fault, lasting=fault != "lost" and number % 3 == position % 3)


def verdict(row: Row, case: Case, done: Counter[str], log: io.StringIO) -> str:
    """What is wrong with a work that met a fault; nothing if it was done once, or somebody was told."""
    log.seek(0)
    log.truncate()
    running = row.work()
    network = running.network
    plug(network)
    network.at, network.fault, network.lasting = case.step, case.fault, case.lasting
    told = running.drive()
    logged = log.getvalue()
    left = running.books()
    problems = [problem for text in told if (problem := no_sentence(text))]
    problems += [
        f"{name} is in the log" for name, value in {**works.HIDDEN, "address": works.ADDRESS}.items() if value in logged
    ]
    if not told and not as_good(row, case, left, done, logged):
        problems.append(f"nobody was told, and {difference(left, done)}")
    network.mend()
    if told:
        again = running.drive()
        if again:
            problems.append(f"after {told}, mended, it is still told {again}")
        if not as_good(row, case, running.books(), done, logged):
            problems.append(f"after {told}, mended: {difference(running.books(), done)}")
    return "; ".join(problems)


def as_good(row: Row, case: Case, left: Counter[str], done: Counter[str], logged: str) -> bool:
    """Whether the books say that it is done once, but for what the row allows."""
    more, missing = left - done, done - left
    if case.fault == "lost" and f"{case.step.service} {case.step.call}" in row.repeats:
        more = Counter({each: number - 1 for each, number in more.items()})  # the one whose answer was lost
    if "could not be shared" in logged:
        missing = Counter({each: number for each, number in missing.items() if each not in row.unsaid})
    if case.lasting and "is taken for gone with it" in logged:
        more = Counter({each: number for each, number in more.items() if each not in row.leaves})
    return not +more and not missing


def no_sentence(text: str) -> str:
    """Why this is nothing to tell a person."""
    if (
        re.search(r"RAW|Traceback|\n.*\n|File \"|<[a-z_.]+ object", text)
        or not 20 <= len(text) <= 700
        or " " not in text
    ):
        return f"no sentence: {text[:300]!r}"
    return "".join(f"{name} is told" for name, value in works.HIDDEN.items() if value in text)


def difference(left: Counter[str], done: Counter[str]) -> str:
    """What is there that should not be, and the other way round."""
    return f"too much {dict(left - done)}, missing {dict(done - left)}"


@pytest.mark.parametrize("package", sorted({row.function.split("/")[0] for row in WORKS.values()}))
def test_done_once_or_told(package: str, log: io.StringIO) -> None:
    wrong, known, turn = [], set[tuple[str, str]](), 0
    for name, row in WORKS.items():
        if row.function.split("/")[0] != package:
            continue
        steps, tolerant, done = observed(row)
        for case in cases(steps, tolerant, known, turn):
            turn += 1
            if problem := verdict(row, case, done, log):
                wrong.append(f"{name}: {case}: {problem}")
    assert not wrong, "\n".join(wrong)


def _broken(how: str) -> Work:
    """A work that puts one message into a queue, and is wrong in one way."""

    def start() -> Running:
        cloud, sent = works.Cloud(), list[str]()

        def send() -> None:
            sqs = boto3.client("sqs", config=Config(retries={"total_max_attempts": 1}))
            body = f"message {len(sent)}" if how == "twice" else "message"
            sent.append(body)
            try:
                sqs.send_message(
                    QueueUrl=works.VARIABLES["QUEUE_URL"],
                    MessageBody=body,
                    MessageGroupId="1",
                    MessageDeduplicationId=body,
                )["MessageId"]
            except Exception as error:
                if how == "silent":
                    return
                if how == "raw":
                    raise
                if how == "leaking":
                    logging.getLogger().error("refused: %s", works.SECRETS["USAGE_KEY"])
                if how == "twice":
                    send()
                    return
                sentence = f"SQS did not take the message ({type(error).__name__}): send it again"
                raise UnavailableError(sentence) from None

        def drive(network: Network) -> works.Told:
            return works.tried(network, 1, send)

        return works.running(cloud, drive, lambda: Counter(each.split()[0] for each in cloud.queue.values()))

    return start


@pytest.mark.parametrize(
    ("how", "fault", "found"),
    [
        ("right", "denied", ""),
        ("right", "empty", ""),
        ("silent", "refused", "nobody was told, and too much {}, missing {'message': 1}"),
        ("silent", "empty", "nobody was told"),
        ("twice", "lost", "too much {'message': 1}"),
        ("raw", "broken", "RAW ClientError"),
        ("leaking", "throttled", "USAGE_KEY is in the log"),
    ],
)
def test_the_verdict_can_fail(how: str, fault: str, found: str, log: io.StringIO) -> None:
    row = Row(_broken(how), "none", "nobody", "nowhere")
    (step,), _, done = observed(row)
    problem = verdict(row, Case(step, fault, lasting=fault != "lost"), done, log)
    assert found in problem
    assert bool(problem) == bool(found), problem


@pytest.mark.usefixtures("log")
def test_a_mail_is_not_sent_again_by_another_process() -> None:
    """The row is not written, and the process that knew of the mail is gone: the note in the account tells."""
    row = WORKS["An account is made"]
    steps, _, _ = observed(row)
    mail = next(number for number, step in enumerate(steps) if step.service == "SES")
    running = row.work()
    network = running.network
    plug(network)
    network.at, network.fault = steps[mail + 1], "denied"
    assert network.at.call == "UpdateItem"
    network.forget = once._unwritten.clear
    assert running.drive() == []
    assert running.books()[f"mail to {works.ADDRESS}"] == 1
    assert sum(step.call == "POST /user/new" for step in network.steps) == 1
    assert len(network.steps) > len(steps)  # there was another attempt


def table() -> list[str]:
    """The lines of docs/functions.md: what was observed, and what the rows say."""
    lines = []
    for name, row in WORKS.items():
        steps, _, _ = observed(row)
        services = ", ".join(dict.fromkeys(step.service for step in steps))
        file = f"lambda/{row.function}{'.py' if '/' in row.function else ''}"
        lines.append(f"| {name} | `{file}` | {services} | {row.told} | {row.look} |")
    return lines


@pytest.mark.usefixtures("log")
def test_the_page_has_the_table() -> None:
    """Where it does not, these are its lines."""
    page = (CHECKOUT / "docs/functions.md").read_text().splitlines()
    expected = table()
    assert [line for line in page if "| `lambda/" in line] == expected, "\n".join(expected)
