"""The simulated Slack's files: uploaded with Slack's own SDK, shared, shown on the page, refused as Slack refuses."""

import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from local.outside.records import Fault
from local.outside.slack_blocks import text_length
from local.outside.world import OutsideWorld

CHANNEL, ELSEWHERE = "C0REPORT000", "C0ELSEWHERE"
PNG = b"\x89PNG\r\n\x1a\n not quite a picture"
CSV = b"user,model\nana@example.com,gpt\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideWorld]:
    with OutsideWorld(tmp_path_factory.mktemp("outside")) as running:
        running.slack_workspace.add_channel(CHANNEL, "llm-usage")
        running.slack_workspace.add_channel(ELSEWHERE, "elsewhere", bot=False)
        yield running


@pytest.fixture
def client(world: OutsideWorld) -> Iterator[WebClient]:
    world.slack_workspace.clear()
    context = ssl.create_default_context(cafile=str(world.ca_file))
    yield WebClient(token=world.credentials.slack_bot_token, proxy=world.proxy_url, ssl=context, retry_handlers=[])
    world.clear_fault()


def upload(client: WebClient, channel: str | None = CHANNEL, **more: Any) -> Any:  # noqa: ANN401
    files = [
        {"filename": "bars.png", "content": PNG, "title": "Bars", "alt_txt": "Two <bars>"},
        {"filename": "table.csv", "content": CSV},
    ]
    return client.files_upload_v2(file_uploads=files, channel=channel, **more)


def refusal(error: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(error.value.response["error"])


def test_files_are_shared_in_a_thread(world: OutsideWorld, client: WebClient) -> None:
    thread = client.chat_postMessage(channel=CHANNEL, text="Report")["ts"]
    answer = upload(client, thread_ts=thread, initial_comment="Tables")
    picture, table = world.slack_workspace.files(CHANNEL)
    assert [(f["id"], f["title"]) for f in answer["files"]] == [(picture.id, "Bars"), (table.id, "table.csv")]
    assert (picture.content, picture.alt_text, picture.mimetype) == (PNG, "Two <bars>", "image/png")
    assert (table.content, table.mimetype, table.thread_ts) == (CSV, "text/csv", thread)
    reply = world.slack_workspace.messages(CHANNEL)[-1]
    assert (reply.text, reply.thread_ts, reply.files, reply.ts) == (
        "Tables",
        thread,
        (picture.id, table.id),
        picture.ts,
    )


def test_the_page_shows_pictures_and_offers_tables(world: OutsideWorld, client: WebClient) -> None:
    upload(client)
    page = httpx.get(world.control_url, trust_env=False).text
    assert 'alt="Two &lt;bars&gt;"' in page
    assert '<img src="data:image/png;base64,' in page
    assert 'download="table.csv"' in page
    assert httpx.get(f"{world.control_url}/workspace", trust_env=False).json()["messages"][-1]["files"]


def test_the_page_shows_code_as_it_is_and_threads_as_such(world: OutsideWorld, client: WebClient) -> None:
    thread = client.chat_postMessage(channel=CHANNEL, text="*bold* `a-*, b* &lt;i&gt;` and *more*")["ts"]
    client.chat_postMessage(channel=CHANNEL, text="Reply", thread_ts=thread)
    page = httpx.get(world.control_url, trust_env=False).text
    assert "<p><b>bold</b> <code>a-*, b* &lt;i&gt;</code> and <b>more</b></p>" in page
    assert page.count("in the thread of") == 1


def test_what_is_not_shared_nobody_sees(world: OutsideWorld, client: WebClient) -> None:
    answer = upload(client, channel=None)
    assert world.slack_workspace.files() == []
    with pytest.raises(SlackApiError) as error:
        client.files_completeUploadExternal(files=[{"id": answer["files"][0]["id"]}], channel_id=CHANNEL)
    assert refusal(error) == "file_not_found"  # once only


def test_a_channel_that_the_app_is_not_in(world: OutsideWorld, client: WebClient) -> None:
    for channel, reason in ((ELSEWHERE, "not_in_channel"), ("C0NOWHERE00", "channel_not_found")):
        with pytest.raises(SlackApiError) as error:
            upload(client, channel=channel)
        assert refusal(error) == reason
    assert world.slack_workspace.files() == []


def test_a_thread_that_there_is_not(client: WebClient) -> None:
    with pytest.raises(SlackApiError) as error:
        upload(client, thread_ts="1.000000")
    assert refusal(error) == "thread_not_found"


def test_without_the_scope(world: OutsideWorld, client: WebClient) -> None:
    world.slack_workspace.scopes.discard("files:write")
    try:
        with pytest.raises(SlackApiError) as error:
            upload(client)
    finally:
        world.slack_workspace.scopes.add("files:write")
    assert (refusal(error), error.value.response["needed"]) == ("missing_scope", "files:write")


@pytest.mark.parametrize(
    ("length", "alt_text", "reason"),
    [(0, "", "missing_argument"), (1, "x" * 1001, "alt_txt_too_large"), ("many", "", "invalid_arguments")],
)
def test_what_slack_gives_no_url_for(client: WebClient, length: Any, alt_text: str, reason: str) -> None:  # noqa: ANN401
    with pytest.raises(SlackApiError) as error:
        client.files_getUploadURLExternal(filename="a.csv", length=length, alt_txt=alt_text)
    assert refusal(error) == reason


def test_an_upload_of_another_length_or_place_is_refused(world: OutsideWorld, client: WebClient) -> None:
    given = client.files_getUploadURLExternal(filename="a.csv", length=3)
    context = ssl.create_default_context(cafile=str(world.ca_file))
    with httpx.Client(proxy=world.proxy_url, verify=context, trust_env=False) as http:
        url = given["upload_url"]
        assert http.post(url, content=b"four").status_code == 400
        assert http.get(url).status_code == 404
        assert http.post(url[:-1], content=b"abc").status_code == 400
        assert http.post(url, content=b"abc").text == "OK - 3"
        assert http.post(url, content=b"abc").status_code == 400  # it is there already
    world.set_fault("files.slack.com", Fault(status=429))
    with httpx.Client(proxy=world.proxy_url, verify=context, trust_env=False) as http:
        assert http.post(url, content=b"abc").status_code == 429


def test_a_message_with_too_much_text_is_refused(client: WebClient) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}
    assert text_length([section] * 4) == 12_000
    client.chat_postMessage(channel=CHANNEL, text="Text", blocks=[section] * 4)
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel=CHANNEL, text="Text", blocks=[section] * 4 + [{**section, "text": TEXT}])
    assert refusal(error) == "msg_blocks_too_long"


TEXT = {"type": "mrkdwn", "text": "x"}
