"""local/settled.py: a question about a stack in progress is answered when it is settled."""

import asyncio
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import pytest

from local import settled
from local.settled import Message, Receive, Send, when_settled


class Application:
    """Answers each question with the next of its answers, and the last for ever."""

    def __init__(self, *answers: str) -> None:
        self._answers = answers
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        message = await receive()
        self.bodies.append(message["body"])
        answer = self._answers[min(len(self.bodies), len(self._answers)) - 1]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer.encode()})


def asked(
    application: Application, question: Mapping[str, str], longest: float = 60.0, user_agent: str = "aws-cdk/2.1030.0"
) -> str:
    """The answer to a question, whose body comes in two parts."""
    body = urlencode(question).encode()
    parts: Iterator[Message] = iter(
        [
            {"type": "http.request", "body": body[:5], "more_body": True},
            {"type": "http.request", "body": body[5:], "more_body": False},
        ]
    )
    sent: list[Message] = []

    async def receive() -> Message:
        return next(parts)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"user-agent", user_agent.encode())]}

    async def ask() -> None:
        await when_settled(application, longest)(scope, receive, send)

    asyncio.run(ask())
    assert set(application.bodies) == {body}
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return str(sent[1]["body"].decode())


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "LOOK", 0.0)


STACK = {"Action": "DescribeStacks", "StackName": "one"}
BUSY, DONE = "<StackStatus>UPDATE_IN_PROGRESS</StackStatus>", "<StackStatus>UPDATE_COMPLETE</StackStatus>"


def test_the_answer_comes_when_the_stack_is_settled() -> None:
    application = Application(BUSY, BUSY, DONE)
    assert asked(application, STACK) == DONE
    assert len(application.bodies) == 3


def test_a_change_set_too() -> None:
    busy, done = "<Status>CREATE_PENDING</Status>", "<Status>CREATE_COMPLETE</Status>"
    assert asked(Application(busy, done), {"Action": "DescribeChangeSet", "StackName": "one"}) == done


def test_a_stack_in_review_waits_for_somebody_else() -> None:
    review = "<StackStatus>REVIEW_IN_PROGRESS</StackStatus>"
    assert asked(Application(review, DONE), STACK) == review


def test_after_a_while_the_answer_is_what_there_is() -> None:
    assert asked(Application(BUSY), STACK, longest=0.05) == BUSY


@pytest.mark.parametrize(
    "question", [{"Action": "DescribeStacks"}, {"Action": "DescribeStackEvents", "StackName": "one"}]
)
def test_no_other_question_waits(question: dict[str, str]) -> None:
    assert asked(Application(BUSY, DONE), question) == BUSY


def test_a_function_of_the_stack_does_not_wait_for_it() -> None:
    agent = "Boto3/1.43.9 md/Botocore#1.43.9 lang/python#3.13.5 exec-env/AWS_Lambda_python3.13"
    assert asked(Application(BUSY, DONE), STACK, user_agent=agent) == BUSY
