"""ops/importing: what becomes of each part of a LiteLLM file that runs elsewhere, of every file of the corpus."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as draw

from ops.access import OpsError
from ops.importing import mending
from ops.importing.__main__ import begun, config_text, main, preview
from ops.importing.answering import unknown_variables
from ops.importing.bringing import Bringing
from ops.importing.ledger import Fate
from ops.importing.needed import NEEDED, reason_of
from ops.importing.report import Report
from ops.importing.tree import Tree, scalars
from stacks import CHECKOUT
from stacks.company import load
from stacks.litellm_config import PROVIDER_SETTINGS, LiteLlmConfig, Refusal, load_config
from tests.searched import searched
from tests.unit.litellm_config.documents import VARIABLES

CORPUS = sorted((CHECKOUT / "tests/unit/litellm_config/corpus").glob("*.yaml"))
WHOLE = [
    file for file in CORPUS if file.stem.startswith(("whole-", "top-m")) and file.stem != "whole-eight-mistakes"
]  # but one of whose models none can be brought over
CLAUDE = {"model": "bedrock/us.anthropic.claude-sonnet-5-5", "aws_region_name": "us-west-2"}
ENVIRONMENT: dict[str, Any] = {
    "account": "111111111111",
    "region": "us-west-2",
    "hosted_zone": "example.com",
    "hosted_zone_id": "Z0111111EXAMPLE",
    "cidrs": ["203.0.113.0/24"],
}


@pytest.fixture(autouse=True)
def _without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def article() -> dict[str, Any]:
    """A set-up as it is published: names of callbacks, and a file of credentials that its entrypoint writes."""
    document: dict[str, Any] = yaml.safe_load(
        (Path(__file__).with_name("imported") / "published.yaml").read_text("utf-8")
    )
    return document


def put(folder: Path, document: object, name: str = "config.yaml") -> Path:
    """A file with a document, or a text, in it."""
    path = folder / name
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False), "utf-8")
    return path


def one(*, entry: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - of a file
    """A file with one model that can be brought as it is, and more."""
    listed = [{"model_name": "claude", "litellm_params": dict(CLAUDE)}]
    if entry:
        listed.append({"model_name": "other", "litellm_params": entry})
    return {"model_list": listed, **more}


def brought(path: Path, *around: Path) -> tuple[Bringing, LiteLlmConfig, Report, str]:
    found = begun(path, around)
    config, report = preview(found)
    return found.bringing, config, report, config_text(found.bringing)


def told(bringing: Bringing, fate: Fate) -> dict[str, str]:
    return {entry.label: entry.why for entry in bringing.ledger.told(fate)}


def outcome(document: dict[str, Any], folder: Path) -> tuple[dict[str, Any], Bringing]:
    """What is written for a document, and how it came to that."""
    bringing, _, _, text = brought(put(folder, document))
    found: dict[str, Any] = yaml.safe_load(text)
    return found, bringing


# --- Of every file of the corpus -------------------------------------------------------------------------------------


def leaf(place: tuple[Any, ...], value: object) -> tuple[str, str]:
    """A value with the key that it stands under."""
    return next((str(step) for step in reversed(place) if isinstance(step, str)), ""), repr(value)


def lost(path: Path, text: str, bringing: Bringing) -> Counter[tuple[str, str]]:
    """What is said to be kept of a file, and is not in what was written."""
    document = yaml.safe_load(path.read_text("utf-8"))
    fate = bringing.ledger.fate
    kept = Counter(leaf(place, value) for place, value in scalars(document) if fate(path.name, place) is Fate.KEPT)
    return kept - Counter(leaf(place, value) for place, value in scalars(yaml.safe_load(text)))


def test_each_is_accepted_or_refused_in_sentences_and_nothing_goes_without_a_word(tmp_path: Path) -> None:
    written, refused = 0, 0
    for path in CORPUS:
        try:
            bringing, _, report, text = brought(path)
        except OpsError as error:
            assert "none of its models can be brought over, and nothing was written" in str(error), path.name
            assert len(str(error).splitlines()) > 1, path.name
            refused += 1
            continue
        result = put(tmp_path, text)
        names = (*unknown_variables(bringing), *PROVIDER_SETTINGS)
        load_config(result, provided={**dict.fromkeys(names), **VARIABLES})
        assert not lost(path, text, bringing), path.name
        assert all(entry.why for entry in bringing.ledger.entries), path.name
        for fate in (Fate.CHANGED, Fate.DROPPED, Fate.DECIDE):
            assert all(label in report.text("X") for label in told(bringing, fate)), path.name
        written += 1
    assert written > refused > 0


@pytest.mark.parametrize("path", WHOLE, ids=lambda file: file.stem)
def test_what_was_brought_is_brought_again_as_it_is(path: Path, tmp_path: Path) -> None:
    _, _, _, text = brought(path)
    bringing, _, _, again = brought(put(tmp_path, text))
    assert again.replace("  # ", "") and yaml.safe_load(again) == yaml.safe_load(text)
    assert not told(bringing, Fate.CHANGED) and not told(bringing, Fate.DROPPED) and not told(bringing, Fate.DECIDE)
    assert not told(bringing, Fate.ADDED)


# --- One file --------------------------------------------------------------------------------------------------------


def test_a_published_set_up_is_brought_over_whole(tmp_path: Path) -> None:
    bringing, config, report, text = brought(put(tmp_path, article()))
    assert not told(bringing, Fate.DECIDE) and not told(bringing, Fate.DROPPED)
    assert {model.model for model in config.models} == {
        "bedrock/us.anthropic.claude-opus-4-20250514-v1:0",
        "azure/o3",
        "vertex_ai/gemini-2.5-pro",
    }
    assert config.callbacks == (
        *("masking.datadog", "affinity.conversations", "budgets.refusals", "faults.attributed", "errors.told"),
    )
    assert config.alerting == ("slack", "email")
    assert {"AZURE_OPENAI_API_KEY", "DD_API_KEY", "SLACK_WEBHOOK_URL", "VERTEX_CREDENTIALS"} < set(config.secrets)
    assert not report.warnings
    sections = [
        "model_list",
        "general_settings",
        "litellm_settings",
        "router_settings",
    ]  # their order, and what is added
    assert list(yaml.safe_load(text)) == sections


def test_what_is_added_has_its_reason_beside_it_and_what_is_there_stays(tmp_path: Path) -> None:
    said = {"request_timeout": 30, "turn_off_message_logging": False}
    text = config_text((found := begun(put(tmp_path, one(litellm_settings=said)))).bringing)
    document = yaml.safe_load(text)
    assert {key: document["litellm_settings"][key] for key in said} == said
    for section, keys in NEEDED.items():
        assert set(keys) <= document[section].keys()
        assert all(len(reason_of(section, key)) > 20 for key in keys)
    assert "  # One JSON object per line, for CloudWatch Logs Insights.\n  json_logs: true" in text
    assert "litellm_settings.request_timeout" not in told(found.bringing, Fate.ADDED)


MENDED: tuple[tuple[dict[str, Any], tuple[Any, ...], object], ...] = (
    (one(general_settings={"database_url": "os.environ/DATABASE_URL"}), ("general_settings", "database_url"), None),
    (one(general_settings={"master_key": "os.environ/PROXY_MASTER_KEY"}), ("general_settings", "master_key"),
     "os.environ/LITELLM_MASTER_KEY"),
    (one(litellm_settings={"request_timeout": 6000}), ("litellm_settings", "request_timeout"), 3600),
    (one(general_settings={"database_connection_pool_limit": "100"}),
     ("general_settings", "database_connection_pool_limit"), 100),
    (one(router_settings={"num_retires": 2}), ("router_settings", "num_retries"), 2),
    (one(general_settings={"cooldown_time": 2}), ("router_settings", "cooldown_time"), 2),
    (one(litellm_settings={"fallbacks": {"claude": ["claude"]}}), ("litellm_settings", "fallbacks"),
     [{"claude": ["claude"]}]),
    (one(litellm_settings={"fallbacks": [{"claude": "claude"}]}), ("litellm_settings", "fallbacks"),
     [{"claude": ["claude"]}]),
    (one(litellm_settings={"fallbacks": [{"claude": ["gone"]}]}), ("litellm_settings", "fallbacks"), None),
    (one(router_settings={"model_group_alias": [{"gpt-4": "claude"}]}), ("router_settings", "model_group_alias"),
     {"gpt-4": "claude"}),
    (one(router_settings={"redis_host": "cache", "num_retries": 1}), ("router_settings",),
     {"num_retries": 1, "disable_cooldowns": True}),
    (one(litellm_settings={"cache": True, "cache_params": {"type": "redis"}}), ("litellm_settings", "cache_params"),
     None),
    (one(litellm_settings={"success_callback": ["langfuse"]}), ("litellm_settings", "success_callback"), None),
    (one(entry={"model": "azure/gpt-6-luna"}), ("model_list", 1, "litellm_params"),
     {"model": "azure/gpt-6-luna", "api_base": "os.environ/AZURE_API_BASE", "api_key": "os.environ/AZURE_API_KEY"}),
    (one(entry={"model": "bedrock/us.amazon.nova-2-lite-v1:0"}), ("model_list", 1, "litellm_params", "aws_region_name"),
     "os.environ/AWS_REGION"),
    (one(entry={"model": "bedrock/us-east-1/amazon.nova-2-lite-v1:0"}),
     ("model_list", 1, "litellm_params", "aws_region_name"), "us-east-1"),
    (one(entry={**CLAUDE, "aws_region_name": "${AWS_REGION:-us-east-2}"}),
     ("model_list", 1, "litellm_params", "aws_region_name"), "us-east-2"),
    (one(entry={**CLAUDE, "aws_access_key_id": "os.environ/AWS_ACCESS_KEY_ID", "temperature": 0,
                "aws_secret_access_key": "os.environ/AWS_SECRET_ACCESS_KEY"}),
     ("model_list", 1, "litellm_params"), {**CLAUDE, "temperature": 0}),
    (one(entry={**CLAUDE, "aws_access_key_id": "AKIA0123456789ABCDEF", "aws_secret_access_key": "x" * 40, "top_p": 1}),
     ("model_list", 1, "litellm_params"), {**CLAUDE, "top_p": 1}),
    (one(entry={"model": "gpt-6-luna", "custom_llm_provider": "azure", "api_base": "https://a.openai.azure.com",
                "api_key": "os.environ/KEY_OF_A"}),
     ("model_list", 1, "litellm_params"), {"model": "azure/gpt-6-luna", "api_base": "https://a.openai.azure.com",
                                           "api_key": "os.environ/KEY_OF_A_KEY"}),
    (one(entry={**CLAUDE, "api_base": None}), ("model_list", 1, "litellm_params"), {**CLAUDE, "api_base": None}),
    (one(entry={"model": "openai/house", "api_base": "https://llm.example.com/v1", "api_key": "0f9e8d7c6b5a"}),
     ("model_list", 1, "litellm_params", "api_key"), "os.environ/OTHER_API_KEY"),  # not OpenAI's, of another form
    (one(entry={"model": "openai/gpt-6.1-sol", "api_base": "https://eu.api.openai.com/v1", "api_key": "0f9e8d7c6b5a"}),
     ("model_list", 1, "litellm_params", "api_key"), "os.environ/OPENAI_API_KEY"),
    (one(guardrails=[{"guardrail_name": "masked", "litellm_params": {
        "guardrail": "bedrock", "guardrailIdentifier": "a1b2c3d4e5f6", "guardrailVersion": "1", "mode": "pre_call",
        "aws_region_name": "us-west-2", "aws_access_key_id": "os.environ/AWS_ACCESS_KEY_ID",
        "aws_secret_access_key": "os.environ/AWS_SECRET_ACCESS_KEY"}}]),
     ("guardrails", 0, "litellm_params"),
     {"guardrail": "bedrock", "guardrailIdentifier": "a1b2c3d4e5f6", "guardrailVersion": "1", "mode": "pre_call",
      "aws_region_name": "us-west-2"}),
    (one(litellm_settings={"callbacks": ["s3_v2"], "s3_callback_params": {
        "s3_aws_access_key_id": "os.environ/AWS_ACCESS_KEY_ID"}}), ("litellm_settings", "s3_callback_params"), None),
    (one(entry={"model": "bedrock/cohere.rerank-v3-5:0", "model_id": "x", "aws_region_name": "us-west-2"}),
     ("model_list", 1, "litellm_params"),
     {"model": "bedrock/arn:aws:bedrock:us-west-2::foundation-model/cohere.rerank-v3-5:0",
      "aws_region_name": "us-west-2"}),
    (one(litellm_settings={"callbacks": ["otel"]}, callback_settings={"otel": {"message_logging": False}}),
     ("callback_settings",), None),
    (one(litellm_settings={"callbacks": ["datadog"]}, callback_settings={"datadog": {"turn_off": True}}),
     ("callback_settings", "datadog"), None),
    (one(entry={"model": "vertex_ai/gemini-3.8-flash", "vertex_location": "global"}),
     ("model_list", 1, "litellm_params"), {"model": "vertex_ai/gemini-3.8-flash", "vertex_location": "global",
                                           "vertex_project": "os.environ/VERTEXAI_PROJECT",
                                           "vertex_credentials": "os.environ/VERTEX_CREDENTIALS"}),
)  # fmt: skip


@pytest.mark.parametrize(("document", "place", "expected"), MENDED)
def test_what_can_be_mended_is(
    document: dict[str, Any], place: tuple[Any, ...], expected: object, tmp_path: Path
) -> None:
    found, bringing = outcome(document, tmp_path)
    assert Tree(found).get(place) == expected
    assert not told(bringing, Fate.DECIDE)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({**CLAUDE, "aws_region_name": "us-west-9"}, "did you mean 'us-west-1'"),
        ({"model": "azure/o3", "api_base": "http://in.example:8080", "api_key": "os.environ/A_KEY"}, "is not HTTPS"),
        ({"model": "azure/o3", "api_base": "https://${REGION}.example", "api_key": "os.environ/A_KEY"}, "is not known"),
    ],
)
def test_what_cannot_be_is_left_out_and_told_with_what_names_it(
    entry: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    fallbacks = {"fallbacks": [{"claude": ["other", "claude"]}], "model_group_alias": {"best": "other"}}
    found, bringing = outcome(one(entry=entry, router_settings=fallbacks), tmp_path)
    assert [each["model_name"] for each in found["model_list"]] == ["claude"]
    assert sentence in told(bringing, Fate.DECIDE)["model_list entry 2 (other)"]
    assert found["router_settings"] == {
        "fallbacks": [{"claude": ["claude"]}],
        "model_group_alias": {},
        "disable_cooldowns": True,
    }
    assert len(told(bringing, Fate.DROPPED)) == 2


def test_prices_with_a_day_are_written_for_the_models_that_have_them(tmp_path: Path) -> None:
    entry = {"model": "vertex_ai/gemini-4-argon", "vertex_location": "global"}
    found, _ = outcome(one(entry=entry), tmp_path)
    assert "2026-12-01" in found["model_list"][1]["model_info"]["prices_from"]
    assert "prices.dated" in found["litellm_settings"]["callbacks"]


def test_a_variable_that_is_for_every_call_of_aws_has_another_name(tmp_path: Path) -> None:
    """LiteLLM would take it for the entries without one, too."""
    role = "arn:aws:iam::111122223333:role/bedrock"
    entry = {**CLAUDE, "aws_role_name": "os.environ/AWS_ROLE_NAME"}
    found, bringing = outcome(one(entry=entry, environment_variables={"AWS_ROLE_NAME": role}), tmp_path)
    assert found["model_list"][1]["litellm_params"]["aws_role_name"] == "os.environ/OTHER_ROLE_NAME"
    changed = told(bringing, Fate.CHANGED)
    assert changed["environment_variables.AWS_ROLE_NAME"] == "OTHER_ROLE_NAME in variables of the environment"
    assert bringing.variables.plain["OTHER_ROLE_NAME"] == role


def test_included_files_become_part_of_the_one_as_litellm_joins_them(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    second = {"model_list": [{"model_name": "two", "litellm_params": CLAUDE}], "include": ["third.yaml"]}
    put(tmp_path / "parts", second, "second.yaml")
    put(tmp_path / "parts", {"litellm_settings": {"drop_params": True}}, "third.yaml")
    found, bringing = outcome(
        one(include=["parts/second.yaml"], litellm_settings={"request_timeout": 5}) | {"general_settings": {}}, tmp_path
    )
    assert [each["model_name"] for each in found["model_list"]] == ["claude", "two"]
    assert found["litellm_settings"]["drop_params"] is True
    assert found["litellm_settings"]["request_timeout"] == 300  # what LiteLLM would not have either
    assert "second.yaml, third.yaml" in told(bringing, Fate.CHANGED)["include"]


def test_anchors_are_written_out(tmp_path: Path) -> None:
    text = (
        "x-region: &region {aws_region_name: us-west-2}\nmodel_list:\n"
        "- model_name: a\n  litellm_params: {<<: *region, model: bedrock/us.anthropic.claude-sonnet-5-5}\n"
    )
    _, _, _, written = brought(put(tmp_path, text))
    assert "&" not in written and "x-region" not in written
    assert yaml.safe_load(written)["model_list"][0]["litellm_params"] == CLAUDE


def test_comments_are_counted_and_not_kept(tmp_path: Path) -> None:
    path = put(tmp_path, "# the old key: hunter2-and-more\n" + yaml.safe_dump(one()))
    _, _, report, text = brought(path)
    assert "(1 line)" in report.text("X") and "hunter2" not in report.text("X") + text


# --- Secrets ---------------------------------------------------------------------------------------------------------

SECRETS = draw.text("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=20, max_size=30).map(
    lambda text: f"q7{text}Z"  # as no word of ours is
)


@searched(20, 500)
@given(values=draw.lists(SECRETS, min_size=9, max_size=9, unique=True), used=draw.sets(draw.integers(0, 8), min_size=3))
def test_no_secret_is_written_or_said(
    values: list[str], used: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("secrets")
    azure = {"model": "azure/gpt-6-luna", "api_base": "https://a.openai.azure.com"}
    places: list[dict[str, Any]] = [
        {"model_list": [{"model_name": "a", "litellm_params": {**azure, "api_key": values[0]}}]},
        {"model_list": [{"model_name": "b", "litellm_params": {**azure, "api_key": values[1]}}]},
        {"general_settings": {"master_key": values[2]}},
        {"litellm_settings": {"cache": True, "cache_params": {"type": "redis", "password": values[3]}}},
        {"mcp_servers": {"wiki": {"url": "https://mcp.example.com", "auth_type": "api_key", "auth_value": values[4]}}},
        {"general_settings": {"database_url": f"postgresql://llm:{values[5]}@db/llm"}},
        {"environment_variables": {"AZURE_API_KEY": values[6], "LANGFUSE_SECRET_KEY": values[6]}},
        {"model_list": [{"model_name": "c", "litellm_params": {
            **azure, "api_key": "os.environ/A_KEY", "extra_headers": {"Authorization": f"Bearer {values[7]}"}}}]},
        {"model_list": [{"model_name": "d", "litellm_params": {
            "model": "azure/x", "api_base": f"http://me:{values[8]}@in.example:81", "api_key": "os.environ/A_KEY"}}]},
    ]  # fmt: skip
    document = one()
    for number in sorted(used):
        for key, value in places[number].items():
            before = document.setdefault(key, type(value)())
            document[key] = [*before, *value] if isinstance(value, list) else {**before, **value}
    path = put(folder, document)
    before = path.read_bytes()
    service = {
        "image": "litellm",
        "environment": {"MY_API_KEY": values[0], "X_TOKEN": values[1]},
        "command": f"--api_key {values[2]}",
    }
    compose = put(folder, {"services": {"litellm": service, "db": {"environment": {"PW": values[3]}}}}, "compose.yaml")
    bringing, _, report, text = brought(path, compose)
    everything = text + report.text("X") + repr(bringing.ledger) + repr(report.decisions()) + repr(bringing.presets)
    assert not [value for value in values if value in everything]
    assert path.read_bytes() == before


def test_equal_secrets_have_one_name_and_others_have_others(tmp_path: Path) -> None:
    def azure(key: str) -> dict[str, Any]:
        return {"model": "azure/gpt-6-luna", "api_base": "https://a.openai.azure.com", "api_key": key}

    document = one(entry=azure("0f9e8d7c6b5a"))
    document["model_list"] += [
        {"model_name": "same", "litellm_params": azure("0f9e8d7c6b5a") | {"temperature": 0}},
        {"model_name": "gpt east", "litellm_params": azure("1f9e8d7c6b5a")},
    ]
    found, bringing = outcome(document, tmp_path)
    assert [each["litellm_params"].get("api_key") for each in found["model_list"]] == [
        *(None, "os.environ/AZURE_API_KEY", "os.environ/AZURE_API_KEY", "os.environ/GPT_EAST_API_KEY"),
    ]
    assert "make secrets stores its value as GPT_EAST_API_KEY" in str(told(bringing, Fate.CHANGED))


# --- The command -----------------------------------------------------------------------------------------------------


def bring(folder: Path, path: Path, *more: str, **environment: Any) -> int:  # noqa: ANN401 - answers
    answers = put(folder, {"environments": {"prod": ENVIRONMENT | environment}}, "given.yaml")
    return main([str(path), "--answers", str(answers), *more], folder=folder / "company")


def test_it_writes_a_company_that_make_init_goes_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ops.init.__main__ import main as initialize

    path = put(tmp_path, article())
    assert bring(tmp_path, path) == 0
    folder = tmp_path / "company"
    assert sorted(file.name for file in folder.iterdir()) == [
        *("answers.yaml", "config.yaml", "environments.py", "import.md"),
    ]
    own = load(folder)
    config = own.environments["prod"].litellm_config(own.config)
    assert config.callbacks[0] == "masking.datadog" and own.environments["prod"].datadog
    printed = capsys.readouterr().out
    assert "import.md names each, with the reason" in printed
    assert "azure: see that these can be called" in printed and "azure/o3" in printed
    before = own.config.read_text("utf-8")
    changed = put(tmp_path, {"environments": {"prod": {"size": "large"}}}, "more.yaml")
    assert initialize(["--answers", str(changed)], folder=folder) == 0
    assert load(folder).environments["prod"].gateway.min_tasks == 3
    assert own.config.read_text("utf-8") == before


def test_the_page_is_followed_from_its_file_to_a_company(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (CHECKOUT / "docs" / "import.md").read_text("utf-8")
    config, answers = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert yaml.safe_load(config) == article()
    path = put(tmp_path, config)
    folder = tmp_path / "company"
    assert main([str(path), "--answers", str(put(tmp_path, answers, "answers.yaml"))], folder=folder) == 0
    printed = capsys.readouterr().out.replace(str(folder), "company")
    (shown,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert shown in printed
    report = (folder / "import.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", report, re.MULTILINE)
    explained = page.partition("## What the report says")[2].partition("\n## ")[0]
    assert headings == re.findall(r"^\| ([A-Z][\w ]+) \| ", explained, re.MULTILINE)[1:]


def test_what_is_there_is_written_anew_only_if_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path, article())
    assert bring(tmp_path, path) == 0
    capsys.readouterr()
    assert bring(tmp_path, path) == 2
    assert "environments.py and config.yaml already: give --force" in capsys.readouterr().err
    assert bring(tmp_path, path, "--force") == 0
    assert "Nothing has changed." in capsys.readouterr().out


def test_a_dry_run_asks_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path, article())
    assert main([str(path), "--dry-run"], folder=tmp_path / "company") == 0
    assert "# What became of config.yaml" in capsys.readouterr().out
    assert not (tmp_path / "company").exists()


def test_a_variable_without_a_value_is_asked_for_or_its_entry_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {"model": "azure/gpt-6-luna", "api_base": "os.environ/EU_BASE", "api_key": "os.environ/EU_KEY"}
    path = put(tmp_path, one(entry=entry))
    _, _, report, _ = brought(path)
    assert report.decisions() == [
        "EU_BASE: config.yaml refers to it: give its value as the answer variables of each environment."
    ]
    assert bring(tmp_path, path) == 0
    assert "othing provides EU_BASE" in capsys.readouterr().out
    assert bring(tmp_path, path, "--force", variables={"EU_BASE": "https://a.openai.azure.com"}) == 0
    own = load(tmp_path / "company")
    assert own.environments["prod"].variables == {"EU_BASE": "https://a.openai.azure.com"}
    assert len(own.environments["prod"].litellm_config(own.config).models) == 2


def test_connections_are_lowered_to_what_the_database_takes(tmp_path: Path) -> None:
    path = put(tmp_path, one(general_settings={"database_connection_pool_limit": 400}))
    assert bring(tmp_path, path, size="small") == 0
    own = load(tmp_path / "company")
    prod = own.environments["prod"]
    prod.check_connections(prod.litellm_config(own.config).database_pool_limit)


def test_without_a_terminal_it_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(_: str) -> str:
        raise EOFError

    assert main([str(put(tmp_path, article()))], folder=tmp_path / "company", ask=ask) == 2
    assert 'make import FILE=… ARGS="--answers answers.yaml"' in capsys.readouterr().err


REFUSED = (
    (None, "there is no such file"),
    ("", "it is empty"),
    ("- a\n- b\n", "it must be a mapping of names to values"),
    ("model_list: [", "not valid YAML"),
    ("model_list: !ENV x\n", "not valid YAML: could not determine a constructor for the tag '!ENV'"),
    ("model_list: &a [*a]\n", "contains itself"),
    ("a: 1\na: 2\n", "the key 'a' is there twice"),
    ("services: {}\n", "it has no model_list, so it is no config.yaml of LiteLLM"),
    ("general_settings: {}\n", "it has no model_list. If the models are in LiteLLM's database"),
    ("model_list: []\n---\nkind: Secret\n", "it has several documents (---): keep the one of LiteLLM"),
    ("model_list: []\n", "it has no model_list"),
    ("model_list: [{model_name: a}]\ninclude: models.yaml\n", "include must be a list of files"),
    ("model_list: [{model_name: a}]\ninclude: [models.yaml]\n", "models.yaml: there is no such file"),
    ("model_list: [{model_name: a, litellm_params: {model: cohere/x}}]\n", "none of its models can be brought over"),
)


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_a_file_that_is_none_is_refused_in_a_sentence(
    text: str | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml" if text is None else put(tmp_path, text)
    assert bring(tmp_path, path) == 2
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error
    assert not (tmp_path / "company").exists()


def test_a_folder_and_no_file_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bring(tmp_path, tmp_path) == 2
    assert main([], folder=tmp_path / "company") == 2
    assert capsys.readouterr().err == (
        f"import: {tmp_path}: it is a folder: name the file in it.\n"
        "import: name the file that is to be brought over: make import FILE=config.yaml.\n"
    )


def test_a_name_that_does_not_say_whose_it_is_is_whose_litellm_takes_it_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "PROVIDERS", ("openai",))
    bringing = begun(put(tmp_path, one(entry={"model": "gpt-4o"}))).bringing
    place = ("model_list", 1, "litellm_params", "model")
    assert mending.mended(bringing, Refusal(place, "'gpt-4o' does not say whose model it is: begin it"), place)
    assert bringing.tree.get(place) == "openai/gpt-4o"
    monkeypatch.setattr(mending, "PROVIDERS", ("bedrock",))
    bringing = begun(put(tmp_path, one(entry={"model": "gpt-4o"}))).bringing
    assert mending.mended(bringing, Refusal(place, "'gpt-4o' does not say whose model it is: begin it"), place)
    assert list(told(bringing, Fate.DECIDE)) == ["model_list entry 2 (other)"]


SHAPES: list[object] = [None, 7, [{"a": [None]}], {"a": {1: "b"}}, date(2026, 12, 1), "${X}", "os.environ/lower-case"]


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_whatever_stands_anywhere_is_answered_in_sentences(tmp_path: Path, shape: object) -> None:
    """Each file of some with another value in one of its places, which place depends on its name."""
    for path in (*WHOLE, *CORPUS[::12]):
        document = yaml.safe_load(path.read_text("utf-8"))
        places = [place for place in inside(document) if place[-1] != "mode"]
        *around, last = places[zlib.crc32(f"{path.stem}{shape!r}".encode()) % len(places)]
        holder = document
        for step in around:
            holder = holder[step]
        holder[last] = shape
        try:
            _, _, report, _ = brought(put(tmp_path, document))
        except OpsError as error:
            assert str(error).startswith(("config.yaml: ", f"{tmp_path}/config.yaml: ")), path.name
        else:
            assert report.text("X").startswith("# What became of config.yaml"), path.name


def inside(value: object, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place below a value."""
    if isinstance(value, dict | list):
        for key, item in [*(value.items() if isinstance(value, dict) else enumerate(value))]:
            yield (*place, key)
            yield from inside(item, (*place, key))
