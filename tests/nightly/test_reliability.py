"""Rows of docs/reliability.md: what callers get while something fails, and that the books are right afterwards.

Each fault meets a steady load of plain and streamed calls of a person of its own. All of them are run first, one after
the other, and what is written in the background is waited for once.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from local.gateway import LocalGateway
from local.outside.records import Call, Fault
from stacks.observability.log_insights import SPEND_DROPPED
from tests.e2e.conftest import eventually
from tests.e2e.test_rotation import on_database
from tests.load import PATH, PATIENCE, Load, Outcome, Sum, ask, broken, charged, logged
from tests.nightly.way import full, moved
from tests.soak.faults import BEGUN, frozen, killed

CLAUDE, LUNA = "claude-haiku-5-5", "gpt-6-luna"  # each is the other's substitute
BEDROCK, ONE_REGION, AZURE = (
    "bedrock-runtime.*.amazonaws.com",
    "bedrock-runtime.us-east-1.amazonaws.com",
    "*.openai.azure.com",
)
CALLS = 12
# Of a caller's own, so that nobody waits for a minute: what an entry of config.yaml says is obeyed in the same way.
IMPATIENT = {"timeout": 4, "stream_timeout": 4}
SLOW = 2.0  # seconds that each answer of a slow database takes more
KNOWN_FOR = 75.0  # seconds: longer than a worker keeps what it knows of a key (60)
LARGE, TOO_LARGE = 4_000_000, 20_000_000  # words, which are 20 and 100 MB
LARGE_PATIENCE = 300.0  # seconds for their answer
MAILS = 40  # that hang: more than LiteLLM has threads
KEYS, ASKING, AT_ONCE = 10_000, 200, 8  # of one person; how many of them ask, and how many at once
# What LiteLLM keeps of a key is the hash of it.
MANY_KEYS = """
import os, psycopg
with psycopg.connect(autocommit=True) as server:
    server.execute(
        '''
        INSERT INTO "LiteLLM_VerificationToken"
        SELECT (jsonb_populate_record(key, jsonb_build_object(
            'token', encode(sha256(('sk-many-' || number)::bytea), 'hex'), 'key_alias', 'many ' || number
        ))).*
        FROM "LiteLLM_VerificationToken" AS key, generate_series(1, %s) AS number
        WHERE key.token = encode(sha256(%s::bytea), 'hex')
        ''',
        (int(os.environ["KEYS"]), os.environ["KEY"]),
    )
"""
NO_MORE = """
import psycopg
with psycopg.connect(autocommit=True) as server:
    server.execute('''DELETE FROM "LiteLLM_VerificationToken" WHERE key_alias LIKE 'many %' ''')
"""
SLIGHT = 1e-9  # US dollars that sums of floats may differ by


@dataclass(frozen=True)
class Row:
    """A fault of a provider, in spite of which each caller has an answer to the end."""

    hosts: str
    fault: Fault
    more: dict[str, Any] = field(default_factory=dict)


ROWS = {
    "a region is throttled": Row(ONE_REGION, Fault(status=429)),
    "all regions are throttled": Row(BEDROCK, Fault(status=429)),
    "all regions are down": Row(BEDROCK, Fault(status=503)),
    "all regions refuse the credentials": Row(BEDROCK, Fault(status=401)),
    "garbage with status 200": Row(BEDROCK, Fault(instead="garbage")),
    "no connection": Row(BEDROCK, Fault(instead="no_connection")),
    "a certificate that has expired": Row(BEDROCK, Fault(instead="expired_certificate")),
    "the clock is ten minutes late": Row(BEDROCK, Fault(clock_seconds=600)),
    "the clock is ten minutes early": Row(BEDROCK, Fault(clock_seconds=-600)),
    "all regions hang before the first byte": Row(BEDROCK, Fault(delay_seconds=3600), more=IMPATIENT),
}


@dataclass(frozen=True)
class Ran:
    """What came of one row."""

    user: str
    outcomes: list[Outcome]
    calls: list[Call]


def person(name: str) -> str:
    return f"{'-'.join(name.split())}-{time.monotonic_ns()}@example.com"


@pytest.fixture(scope="module")
def ran(gateway: LocalGateway) -> dict[str, Ran]:
    """All rows of providers."""
    found: dict[str, Ran] = {}
    outside = gateway.outside
    for name, row in ROWS.items():
        user = person(name)
        key = gateway.user_key(user)
        outside.clear("calls")
        outside.set_fault(row.hosts, row.fault)
        try:
            with Load(gateway, key, [CLAUDE], more=row.more) as load:
                load.wait(CALLS)
        finally:
            outside.clear_fault()
        found[name] = Ran(user, load.outcomes, outside.calls())
    return found


@pytest.mark.parametrize("name", ROWS)
def test_callers_have_their_answers(ran: dict[str, Ran], name: str) -> None:
    outcomes = ran[name].outcomes
    assert len(outcomes) >= CALLS
    assert {each.streamed for each in outcomes} == {False, True}
    missed = Counter((each.streamed, each.status, each.words) for each in outcomes if not each.whole)
    assert not missed
    assert any(call.status != 200 or call.cut or "azure" in call.provider for call in ran[name].calls)  # it was met


@pytest.mark.parametrize("name", ROWS)
def test_each_answered_call_is_charged_once(gateway: LocalGateway, ran: dict[str, Ran], name: str) -> None:
    due = Sum.of(ran[name].calls)
    assert due.calls >= CALLS
    check_books(gateway, ran[name].user, due)


def check_books(gateway: LocalGateway, user: str, due: Sum) -> None:
    """What providers have answered is in the sums of the day and in the log of spend, and nothing else is."""
    eventually(lambda: charged(gateway, user).calls >= due.calls and logged(gateway, user).calls >= due.calls)
    assert charged(gateway, user) == due
    assert logged(gateway, user) == due


@pytest.mark.parametrize(
    "fault",
    [Fault(cut_after_bytes=BEGUN), Fault(hang_after_bytes=BEGUN), Fault(instead="error_inside")],
    ids=["cut", "hang", "an error inside"],
)
def test_a_stream_that_breaks_ends_with_an_error_and_says_so(gateway: LocalGateway, fault: Fault) -> None:
    """Another model cannot go on where the first one was: its caller asks again, and is charged for what came."""
    outside, user = gateway.outside, person("a stream breaks")
    key = gateway.user_key(user)
    outside.clear("calls")
    outside.set_fault(AZURE, fault)
    try:
        with Load(gateway, key, [LUNA], callers=CALLS, streamed=[True], more=IMPATIENT) as load:
            load.wait(CALLS // 2)
    finally:
        outside.clear_fault()
    assert all(each.status == 200 for each in load.outcomes), load.outcomes  # its first words have come
    assert all(each.whole or "error" in each.words.lower() for each in load.outcomes), load.outcomes
    due, most = Sum.of(outside.calls()), broken(outside.calls())
    assert most
    eventually(lambda: logged(gateway, user).calls >= due.calls)
    assert due.calls <= logged(gateway, user).calls <= due.calls + most


def of_nobody(gateway: LocalGateway) -> int:
    """What a key gets that nobody has: 401 from a worker whose database answers, 503 from any other."""
    return gateway.api("GET", "/v1/models", key="sk-of-nobody-at-all").status_code


def whole(outcome: Outcome) -> bool:
    return outcome.whole


@contextmanager
def beside_the_database(gateway: LocalGateway, name: str) -> Iterator[Load]:
    """A person's steady load around what the database does: whoever has no answer is told why, and the books are right.

    A key that was just used goes on; one that nobody knows is let in by nothing.
    """
    user = person(name)
    key = gateway.user_key(user)
    gateway.outside.clear("calls")
    with Load(gateway, key, [CLAUDE, LUNA]) as load:
        load.wait(2 * CALLS)  # so that each worker knows the key
        yield load
        assert eventually(lambda: of_nobody(gateway) == 401)
        load.wait(CALLS, like=whole)
    told = [each for each in load.outcomes if not each.whole]
    assert all(each.status == 503 and "no_db_connection" in each.words for each in told), told
    check_books(gateway, user, Sum.of(gateway.outside.calls()))


@pytest.mark.parametrize("fault", [frozen, killed])
def test_the_database_is_away_and_comes_back(
    gateway: LocalGateway, fault: Callable[[LocalGateway], AbstractContextManager[None]]
) -> None:
    with beside_the_database(gateway, f"the database is {fault.__name__}") as load, fault(gateway):
        load.wait(CALLS, like=whole)
        assert of_nobody(gateway) == 503
        load.wait(CALLS, like=whole)


def test_the_database_moves_to_another_server_and_is_slow_there(gateway: LocalGateway) -> None:
    """What Aurora's failover does: connections end, and the address leads elsewhere. There each answer takes 2 s."""
    with beside_the_database(gateway, "the database moves") as load, moved(gateway) as way:
        assert eventually(lambda: of_nobody(gateway) == 401)
        load.wait(CALLS, like=whole)
        way.seconds = SLOW
        load.go_on(KNOWN_FOR)  # until each worker has asked for the key again
        assert of_nobody(gateway) in {401, 503}
        load.wait(CALLS, like=whole)
        way.seconds = 0
        assert eventually(lambda: of_nobody(gateway) == 401)  # and then it moves back


def test_the_database_has_no_connection_left(gateway: LocalGateway) -> None:
    """Those that the workers have are enough, for keys that nobody knows too."""
    with beside_the_database(gateway, "the database is full") as load, full(gateway):
        load.wait(2 * CALLS)
        assert of_nobody(gateway) in {401, 503}


def spent(gateway: LocalGateway, user: str, key: str) -> tuple[float, float, float]:
    """The totals of a person and of a key, by which budgets are held, and what the sums of the day come to."""
    person = gateway.api("GET", "/user/info", params={"user_id": user}).json()["user_info"]["spend"]
    of_key = gateway.api("GET", "/key/info", params={"key": key}).json()["info"]["spend"]
    today = datetime.now(UTC).date()
    dates = {"start_date": str(today - timedelta(days=1)), "end_date": str(today + timedelta(days=1))}
    days = gateway.api("GET", "/user/daily/activity", params={**dates, "user_id": user, "page_size": 1000}).json()
    return person, of_key, days["metadata"]["total_spend"]


def test_totals_that_lack_spend_are_told_and_can_be_set(gateway: LocalGateway) -> None:
    """LiteLLM forgets what it could not write of them (docs/reliability.md); docs/operations says what to do then."""
    outside, user = gateway.outside, person("totals lack spend")
    key = gateway.user_key(user)

    def told() -> int:
        lines = (line for file in gateway.emulator.logs.glob("*.log") for line in file.read_text().splitlines())
        return sum(any(words in line for words in re.findall('"([^"]+)"', SPEND_DROPPED)) for line in lines)

    before = told()
    outside.clear("calls")
    with Load(gateway, key, [LUNA]) as load:
        load.wait(2 * CALLS)
        with killed(gateway):
            assert eventually(lambda: told() > before)  # a worker has tried to write, and has given up
        assert eventually(lambda: of_nobody(gateway) == 401)
        load.wait(CALLS, like=whole)
    due = Sum.of(outside.calls())
    check_books(gateway, user, due)
    of_person, of_key, of_days = spent(gateway, user, key)
    assert of_person < of_days - SLIGHT
    assert of_key == pytest.approx(of_person)
    for path, whose in (("/user/update", {"user_id": user}), ("/key/update", {"key": key})):
        answer = gateway.api("POST", path, json={**whose, "spend": of_days})
        assert answer.is_success, answer.text
    assert spent(gateway, user, key) == pytest.approx((of_days, of_days, of_days))


def used_up(gateway: LocalGateway) -> str:
    """The key of a person whose budget is used up."""
    user = person("used up")
    new = {"user_id": user, "user_email": user, "models": ["all-proxy-models"]}
    made = gateway.api("POST", "/user/new", json={**new, "max_budget": 0, "budget_duration": "30d"})
    assert made.is_success, made.text
    return str(made.json()["key"])


def test_a_mail_server_that_hangs_holds_nobody(gateway: LocalGateway) -> None:
    """LiteLLM sends mails in the threads in which it begins calls, and has no more than 32 of them."""
    mailbox, user = gateway.outside.mailbox, person("mails hang")
    key, others = gateway.user_key(user), [used_up(gateway) for _ in range(MAILS)]
    body = {"model": LUNA, "messages": [{"role": "user", "content": "Still there?"}]}
    gateway.outside.clear("calls")
    mailbox.hangs = True
    try:
        with Load(gateway, key, [CLAUDE, LUNA]) as load:
            load.wait(CALLS)
            with httpx.Client(base_url=gateway.url, timeout=PATIENCE, trust_env=False) as client:
                assert {ask(client, other, body, streamed=False).status for other in others} == {400}
            assert eventually(lambda: mailbox.held)
            load.wait(2 * CALLS)
            assert mailbox.held
    finally:
        mailbox.hangs = False
    assert all(each.whole for each in load.outcomes), Counter((each.status, each.words) for each in load.outcomes)
    check_books(gateway, user, Sum.of(gateway.outside.calls()))


def test_ten_thousand_keys_are_as_good_as_one(gateway: LocalGateway) -> None:
    """Each that asks is one that no worker knows; they are listed, and the person's books are of all of them."""
    user = person("ten thousand keys")
    key, password = gateway.user_key(user), gateway.secret("DATABASE_PASSWORD")
    gateway.outside.clear("calls")
    body = {"model": LUNA, "messages": [{"role": "user", "content": "Still there?"}]}
    made = on_database(gateway, password, MANY_KEYS, KEY=key, KEYS=str(KEYS))
    assert made.returncode == 0, made.stderr
    try:
        with httpx.Client(base_url=gateway.url, timeout=PATIENCE, trust_env=False) as client:
            asking = [f"sk-many-{number}" for number in range(1, KEYS, KEYS // ASKING)]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                outcomes = [*pool.map(lambda one: ask(client, one, body, streamed=False), asking)]
        assert all(each.whole for each in outcomes), [each for each in outcomes if not each.whole]
        listed = gateway.api("GET", "/key/list", params={"user_id": user, "size": 100})
        assert listed.json()["total_count"] == KEYS + 1
        assert gateway.api("GET", "/user/info", params={"user_id": user}).is_success
        check_books(gateway, user, Sum.of(gateway.outside.calls()))
    finally:
        gone = on_database(gateway, password, NO_MORE)
    assert gone.returncode == 0, gone.stderr


ASKED = '{"model": "nova-2-lite", "messages": [{"role": "user", "content": "%s"}]}'
DEEP = 100_000
# What callers send that is answered with 400.
BODIES: dict[str, bytes] = {
    "lists in lists": ASKED.replace('"%s"', "[" * DEEP + "]" * DEEP).encode(),
    "objects in objects": ('{"a":' * DEEP + "1" + "}" * DEEP).encode(),
    "Latin-1": (ASKED % "caf\xe9").encode("latin-1"),
    "UTF-16": (ASKED % "Hello").encode("utf-16"),
    "half a surrogate": (ASKED % "\\ud800").encode(),
    "zeros": bytes(100),
    "nothing": b"",
    "a list": b"[]",
    "a text": b'"a"',
    "null": b"null",
}


def test_a_strange_body_is_answered_and_hurts_nobody_else(gateway: LocalGateway) -> None:
    """None of them closes a connection on which the load balancer may have another's request."""
    key, other = gateway.user_key(person("a strange body")), gateway.user_key(person("beside it"))
    asking = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with Load(gateway, other, [CLAUDE, LUNA], callers=2) as load:
        for name, body in BODIES.items():
            answer = httpx.post(f"{gateway.url}{PATH}", content=body, headers=asking, trust_env=False, timeout=60)
            assert answer.status_code == 400, (name, answer.text[:500])
            assert not any(word in answer.text for word in ("Traceback", ".py", "site-packages")), name
        load.wait(CALLS)
    assert all(each.whole for each in load.outcomes), load.outcomes


@pytest.mark.parametrize(("words", "status"), [(LARGE, 200), (TOO_LARGE, 413)])
def test_a_large_body_is_answered_and_others_wait_or_are_told_to_come_again(
    gateway: LocalGateway, words: int, status: int
) -> None:
    """What no provider would take is refused before it is read."""
    key, other = gateway.user_key(person("a large body")), gateway.user_key(person("beside a large body"))
    asking = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with Load(gateway, other, [CLAUDE, LUNA], callers=2) as load:
        load.wait(CALLS)
        begun = time.monotonic()
        answer = httpx.post(
            f"{gateway.url}{PATH}",
            content=(ASKED % ("word " * words)).encode(),
            headers=asking,
            trust_env=False,
            timeout=LARGE_PATIENCE,
        )
        print("A large body:", answer.status_code, time.monotonic() - begun, "s")
        load.wait(CALLS, like=whole)
    assert answer.status_code == status, answer.text[:500]
    missed = [each for each in load.outcomes if not each.whole]
    print(Counter((each.status, each.words) for each in missed), len(load.outcomes))
    assert all(each.status == 503 and "overloaded" in each.words for each in missed), missed
