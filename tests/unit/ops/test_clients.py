"""ops/clients: the page and the command are one, and each company is told what works there and what does not."""

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.clients import __main__ as command
from ops.clients.models import Chat, Models, models
from ops.clients.page import PAGES, aliases, body, documents
from ops.clients.texts import NOTES
from ops.clients.tools import KEY, TOOLS
from stacks import CHECKOUT
from stacks.company import Company, company, load
from stacks.settings import Environment

COMPANIES = sorted(path.parent for path in (CHECKOUT / "tests" / "companies").glob("*/environments.py"))
EMBEDDINGS = ("text-embedding-3-large", "titan-embed-text-v2")


def _environment(own: Company) -> Environment:
    return next(iter(own.environments.values()))


def _blocks(name: str, own: Company) -> list[Any]:
    (tool,) = (tool for tool in TOOLS if tool.name == name)
    return tool.blocks("https://llm.example.com", models(own.local.litellm_config(own.config)))


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_the_page_is_what_the_command_prints(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert page.read_text("utf-8") == documents(company())[page]
    language = next(language for language, path in PAGES.items() if path == page)
    assert command.main(["--env", "prod", "--language", language]) == 0
    assert page.read_text("utf-8").endswith(capsys.readouterr().out)


@pytest.mark.parametrize("folder", COMPANIES, ids=lambda folder: folder.name)
def test_each_company_gets_its_own_address_and_models(folder: Path) -> None:
    """And no model that writes nothing."""
    own = load(folder)
    environment = _environment(own)
    text = body(environment, own, "en")
    assert f"https://{environment.domain}" in text
    found = environment.litellm_config(own.config).models
    listed = {model.name for model in found}
    silent = {model.name for model in found if model.mode in ("embedding", "image_generation", "rerank")}
    assert silent >= listed & {*EMBEDDINGS}
    chat = {one.name for one in models(environment.litellm_config(own.config)).chat}
    assert chat
    assert chat == listed - silent
    for name in silent:
        assert name not in text


def test_what_does_not_work_is_said() -> None:
    own = load(CHECKOUT / "tests" / "companies" / "azure-only")
    text = body(_environment(own), own, "en")
    assert text.count("config.yaml lists none") == 2
    assert "## Claude Code\n\nNot here: it is made for models of Claude, and config.yaml lists none.\n" in text
    assert "## Gemini CLI\n\nNot here: it is made for models of Gemini" in text
    assert 'model = "gpt-6.1-sol"' in text
    assert "ツールですが、config.yaml に Claude のモデルがありません" in body(_environment(own), own, "ja")
    found = command.described(_environment(own), own)["tools"]
    assert found["claude-code"] == {"lacks": "claude"}
    assert found["codex"]["blocks"]


def test_claude_codes_settings() -> None:
    (block,) = _blocks("claude-code", company())
    settings = json.loads(block.content)
    assert settings["apiKeyHelper"] == f"printenv {KEY}"
    environment = settings["env"]
    assert environment["ANTHROPIC_BASE_URL"] == "https://llm.example.com"
    for kind in ("OPUS", "SONNET", "HAIKU"):
        assert environment[f"ANTHROPIC_DEFAULT_{kind}_MODEL"] == f"claude-{kind.lower()}-5-5"


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_what_runs_on_this_machine_is_asked_there(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("LITELLM_URL", "http://127.0.0.1:4000")
    assert command.main(["--env", "local", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "http://127.0.0.1:4000/v1" in printed
    assert company().local.domain not in printed
    assert command.main(["--env", "local", "--directory", str(tmp_path)]) == 0
    assert "http://127.0.0.1:4000" in (tmp_path / "claude-code" / "managed-settings.json").read_text("utf-8")


def test_a_kind_of_claude_that_is_not_there_is_the_nearest() -> None:
    two = Models((Chat("claude-sonnet-5-5", "claude", 2.0), Chat("claude-haiku-5-5", "claude", 1.0)))
    assert [two.claude(kind) for kind in ("opus", "sonnet", "haiku")] == [
        *("claude-sonnet-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
    ]
    one = Models((Chat("the-claude", "claude", 2.0),))
    assert {one.claude(kind) for kind in ("opus", "sonnet", "haiku")} == {"the-claude"}


def test_of_three_the_middle_is_for_the_day_and_the_cheapest_for_small_things() -> None:
    three = Models(tuple(Chat(name, "gpt", price) for name, price in (("b", 2.0), ("a", 3.0), ("c", 1.0))))
    assert (three.main("gpt"), three.small("gpt")) == ("b", "c")
    assert (three.main("claude"), Models(()).main()) == ("b", "")


def test_the_files_are_of_their_formats() -> None:
    (codex,) = _blocks("codex", company())
    provider = tomllib.loads(codex.content)["model_providers"]["llm-gateway"]
    assert (provider["base_url"], provider["env_key"]) == ("https://llm.example.com/v1", KEY)
    (opencode,) = _blocks("opencode", company())
    settings = json.loads(opencode.content)
    for chosen in (settings["model"], settings["small_model"]):
        provider, model = chosen.split("/")
        assert model in settings["provider"][provider]["models"]
    assert yaml.safe_load(_blocks("aider", company())[0].content)["openai-api-base"] == "https://llm.example.com/v1"
    assert {each["api_key_name"] for each in yaml.safe_load(_blocks("llm", company())[0].content)} == {"llm-gateway"}
    (curl,) = _blocks("curl", company())
    words = shlex.split(curl.content)
    assert json.loads(words[words.index("-d") + 1])["messages"]


def test_no_block_has_a_key() -> None:
    for tool in TOOLS:
        for block in _blocks(tool.name, company()):
            assert "sk-" not in block.content
        assert set(NOTES[tool.name]) == {"en", "ja"}


def test_the_files_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--env", "prod", "--directory", str(tmp_path)]) == 0
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {
        *("claude-code/managed-settings.json", "codex/config.toml", "gemini-cli/settings.json"),
        *("opencode/opencode.json", "aider/.aider.conf.yml", "llm/extra-openai-models.yaml"),
    }
    assert len(capsys.readouterr().out.splitlines()) == len(written)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "claude-code").write_text("a file")
    assert command.main(["--env", "prod", "--directory", str(tmp_path)]) == 2
    assert "name another --directory" in capsys.readouterr().err


def test_the_same_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--env", "prod", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["url"] == "https://llm.example.com"
    assert found["tools"].keys() == {tool.name for tool in TOOLS}
    assert found["aliases"] == aliases(company())


def test_an_environment_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--env", "moon"]) == 2
    assert "there is no environment moon" in capsys.readouterr().err


def test_names_that_tools_have_built_in_lead_to_models_that_are_there() -> None:
    own = company()
    found = aliases(own)
    names = {one.name for one in models(own.local.litellm_config(own.config)).chat}
    assert found
    assert set(found.values()) <= names
    assert not found.keys() & names


def test_the_agents_that_are_tried_are_those_whose_routes_are_recorded() -> None:
    """A later version is tried (`make test-clients`) before its routes are taken for these."""
    package = json.loads((CHECKOUT / "local" / "clients" / "package.json").read_text())
    asked = package["dependencies"] | package["optionalDependencies"]
    routes = json.loads((CHECKOUT / "tests" / "clients" / "routes.json").read_text())
    assert {name: found["version"] for name, found in routes.items()} == {
        "claude-code": asked["@anthropic-ai/claude-code"],
        "codex": asked["@openai/codex"],
        "gemini-cli": asked["@google/gemini-cli"],
        "opencode": asked["opencode-linux-x64"],
    }
    assert routes.keys() <= {tool.name for tool in TOOLS}
