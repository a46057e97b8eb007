"""What is printed of a company: all that it has, nothing that it has not, for any company."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ops import about
from ops.templates import synthesize
from stacks import CHECKOUT
from stacks.company import Company, company, load
from stacks.settings import Alarms, Environment, Network

TOKYO = company()


def printed(own: Company, *names: str) -> str:
    return "\n".join(about.about(own, [own.environments[name] for name in names]))


def test_an_environment_is_told_with_what_it_has() -> None:
    text = printed(TOKYO, "prod")
    assert "the example: make init makes a company of your own" in text
    assert f"Product {about.product_version()}, LiteLLM " in text
    assert "go to dev, then stg, then prod, by CodePipeline; a person approves prod." in text
    for line in (
        ("API", "https://llm.example.com"),
        ("Admin UI", "https://llm.example.com/ui"),
        ("Slack's request URL", "https://slack.llm.example.com/slack/events"),
        ("claude-opus-5-5", "bedrock", "us-west-2, us-east-1, us-east-2"),
        ("gpt-6-luna", "azure"),
        ("SLACK_BOT_TOKEN", "Token of the Slack app's bot"),
        ("TargetErrors", ">= 5", "2 of 3 x 5 min", "LiteLLM answers callers with 5xx"),
        ("GatewayCertificate", "< 30", "1 of 1 x 1 day"),
        ("Sum at rest", "696"),
    ):
        found = [words for words in text.splitlines() if all(part in words for part in line)]
        assert len(found) == 1, line
    assert "told to sre@example.com, Slack's C0ALARMS789" in text
    assert " differ: make cost" not in text


def test_what_a_company_lacks_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    own = load(CHECKOUT / "tests" / "companies" / "azure-only")
    monkeypatch.setattr(about, "synthesize", lambda _: synthesize("dev"))  # any templates: this is of the settings
    (one,) = own.environments.values()
    elsewhere = Environment(
        **dict(one)
        | {"region": "eu-central-1", "network": Network(zones=("eu-central-1a", "eu-central-1b"), cidr="10.1.0.0/16")}
        | {"alarms": Alarms()}
    )
    text = "\n".join(about.about(replace(own, releases=None), [elsewhere]))
    assert "Company in tests/companies/azure-only. " in text
    assert "Nothing promotes releases: people deploy by hand." in text
    assert "Those of eu-central-1 differ: make cost" in text
    assert "told to nobody (set alarms.emails or alarms.channel)" in text
    assert "Slack" not in text.partition("Addresses")[2].partition("Models")[0]
    assert "SLACK_BOT_TOKEN" not in text


def test_environments_stand_side_by_side() -> None:
    lines = printed(TOKYO, "dev", "stg", "prod").splitlines()
    assert next(line.split() for line in lines if "Interface endpoints  " in line)[-3:] == ["0", "0", "4"]
    assert next(line.split() for line in lines if "Deletion protection" in line)[-3:] == ["no", "yes", "yes"]


def test_another_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert about.main(["--env", "production"]) == 2
    assert "there is no environment production" in capsys.readouterr().err


def test_the_policies_of_a_role_of_another_account_are_printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = load(CHECKOUT / "tests" / "companies" / "two-accounts")
    any_templates = synthesize("dev")
    monkeypatch.setattr(about, "synthesize", lambda _: any_templates)
    config = tmp_path / "config.yaml"
    role = "arn:aws:iam::222233334444:role/bedrock-caller"
    entry = f"{{model: bedrock/us.anthropic.claude-haiku-5-5, aws_region_name: us-west-2, aws_role_name: '{role}'}}"
    config.write_text(
        f"model_list:\n  - model_name: haiku\n    litellm_params: {entry}\n"
        "litellm_settings: {request_timeout: 600}\ngeneral_settings: {database_connection_pool_limit: 10}\n"
    )
    monkeypatch.setattr(type(own), "config", config)
    text = "\n".join(about.about(own, [own.environments["dev"]]))
    printed = text.partition(f"Role {role}: its trust policy, and what it has to permit\n")[2]
    decoder = json.JSONDecoder()
    trust, end = decoder.raw_decode(printed.lstrip())
    policy, _ = decoder.raw_decode(printed.lstrip()[end:].lstrip())
    assert trust["Statement"][0]["Condition"]["ArnLike"]["aws:PrincipalArn"].endswith(
        ":role/litellm-dev-gateway-TaskTaskRole*"
    )
    resources = {arn for statement in policy["Statement"] for arn in statement["Resource"]}
    assert "arn:aws:bedrock:us-west-2:222233334444:inference-profile/us.anthropic.claude-haiku-5-5" in resources
