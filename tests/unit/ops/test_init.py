"""ops/init: what answers come to, what is refused, and what a second run changes."""

from __future__ import annotations

import itertools
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ops.init import meaning as meanings
from ops.init import models
from ops.init.__main__ import checked, main, texts
from ops.init.answers import Answers, given_in, stored_in, text_of
from ops.init.questions import KEYS
from ops.init.settings_file import function_of, quoted
from stacks import CHECKOUT
from stacks.company import SETTINGS, Company, load
from stacks.litellm_config import COMING, PRICES_FROM, LiteLlmConfig
from stacks.settings import Cache, Environment, Sleep

ANSWERS = Path(__file__).with_name("answers")
COMPANIES = ("tokyo", "prod", "existing-vpc", "azure", "japan", "apis")
WRITTEN = ("answers.yaml", "config.yaml", "environments.py")


@pytest.fixture(autouse=True)
def _without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def initialize(folder: Path, answers: Path | dict[str, Any], *more: str) -> int:
    """The command, with the answers of a file."""
    if isinstance(answers, dict):
        file = folder.parent / "given.yaml"
        file.write_text(yaml.safe_dump(answers, sort_keys=False), "utf-8")
        answers = file
    return main(["--answers", str(answers), *more], folder=folder)


def example(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ANSWERS / f"{name}.yaml").read_text("utf-8"))
    return document


def least(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - answers
    """The least that has to be answered, and more of the one environment."""
    document = example("prod")
    document["environments"]["prod"] |= more
    return document


def made(tmp_path: Path, name: str) -> tuple[Company, LiteLlmConfig]:
    folder = tmp_path / "company"
    assert initialize(folder, ANSWERS / f"{name}.yaml") == 0
    own = load(folder)
    first = next(iter(own.environments.values()))
    return own, first.litellm_config(own.config)


def formatted(*texts: str) -> None:
    for text in texts:
        ruff = ["ruff", "format", "--line-length", "120", "--isolated", "--stdin-filename", "environments.py", "-"]
        done = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True)
        assert done.stdout == text


# --- What answers come to -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [False, True])
def test_what_was_written_is_priced_beside_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: bool
) -> None:
    folder, file = tmp_path / "company", tmp_path / "given.yaml"
    if before:
        assert initialize(folder, least()) == 0
        assert "What it costs" not in capsys.readouterr().out  # nothing is priced unless it is asked for
    kept = (folder / SETTINGS).read_text("utf-8") if before else ""
    asked: list[str] = []

    def price(place: Path) -> dict[str, float]:
        asked.append((place / SETTINGS).read_text("utf-8"))
        return {"prod": 678.4 if place == folder else 600.0}

    file.write_text(yaml.safe_dump(least(cidrs=["10.9.0.0/16"]), sort_keys=False), "utf-8")
    assert main(["--answers", str(file)], folder=folder, price=price) == 0
    assert f"\n  prod    678 USD{', 78 more than before' if before else ''}\n" in capsys.readouterr().out
    assert asked == [(folder / SETTINGS).read_text("utf-8"), *([kept] if before else [])]
    assert main(["--answers", str(file)], folder=folder, price=price) == 0
    assert "What it costs" not in capsys.readouterr().out  # as nothing was written


def test_what_cannot_be_priced_is_told_and_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "given.yaml"
    file.write_text(yaml.safe_dump(least(), sort_keys=False), "utf-8")
    assert main(["--answers", str(file)], folder=tmp_path / "company", price=lambda _: None) == 0
    assert "it could not be priced: make synth says why" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMPANIES)
def test_what_is_written_is_a_company_as_ruff_leaves_it(name: str, tmp_path: Path) -> None:
    own, _ = made(tmp_path, name)
    assert sorted(file.name for file in own.folder.iterdir()) == list(WRITTEN)
    _, warnings = checked(own.folder)
    assert not warnings
    formatted((own.folder / "environments.py").read_text("utf-8"))
    lint = ["ruff", "check", "--config", str(CHECKOUT / "pyproject.toml"), str(own.folder)]
    subprocess.run(lint, check=True)
    assert max(map(len, own.config.read_text("utf-8").splitlines())) <= 120


@pytest.mark.parametrize("name", COMPANIES)
def test_the_settings_are_what_the_answers_mean(name: str, tmp_path: Path) -> None:
    own, _ = made(tmp_path, name)
    answers = stored_in(own.folder / "answers.yaml", KEYS)
    assert answers
    assert dict(own.environments) == {each: meanings.environment_of(answers, each) for each in answers.named}
    releases = meanings.releases_of(answers)
    assert own.releases == (releases and releases.among(answers.named))


def test_everything_in_three_accounts(tmp_path: Path) -> None:
    own, config = made(tmp_path, "tokyo")
    assert list(own.environments) == ["dev", "stg", "prod"]
    dev, stg, prod = own.environments.values()
    assert [each.account for each in (dev, stg, prod)] == ["111111111111", "222222222222", "333333333333"]
    assert [str(each.network.cidr) for each in (dev, stg, prod)] == ["10.10.0.0/16", "10.20.0.0/16", "10.30.0.0/16"]
    assert [each.domain for each in (dev, stg, prod)] == [
        "llm.dev.example.com",
        "llm.stg.example.com",
        "llm.example.com",
    ]
    assert prod.network.zones == ("ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d")
    assert [each.deletion_protection for each in (dev, stg, prod)] == [False, True, True]
    assert [each.cache for each in (dev, stg, prod)] == [None, None, Cache()]
    week = ("MON", "TUE", "WED", "THU", "FRI", "SAT")
    sleep = Sleep(awake="08:00-20:00", days=week, timezone="Asia/Tokyo")
    assert [each.sleep for each in (dev, stg, prod)] == [sleep, None, None]
    assert dev.onboarding and dev.onboarding.command == "/llm-account-dev"
    assert prod.onboarding and prod.onboarding.command == "/llm-account"
    assert prod.report and [plan.name for plan in prod.report.plans] == ["Claude Team Premium", "ChatGPT Business"]
    assert prod.bill and prod.bill.azure and prod.bill.google
    assert own.releases and own.releases.approved == ("prod",)
    assert config.callbacks == (
        *("affinity.conversations", "masking.datadog", "prices.dated", "budgets.refusals", "faults.attributed"),
        "errors.told",
    )
    assert config.alerting == ("slack", "email")
    assert {model.provider for model in config.models} == {"bedrock", "azure", "vertex_ai"}


def test_the_hours_of_an_environment_that_sleeps(tmp_path: Path) -> None:
    def asleep(**more: Any) -> Sleep | None:  # noqa: ANN401 - answers
        folder = tmp_path / "company"
        assert initialize(folder, least(size="small", deletion_protection=False, **more)) == 0
        return load(folder).environments["prod"].sleep

    assert asleep() is None
    assert asleep(sleep=True) == Sleep(awake="09:00-19:00", timezone="Europe/Berlin")
    assert asleep(sleep={"awake": None}) == Sleep()  # by commands alone
    assert asleep(sleep={"awake": "22:00-23:30", "timezone": "UTC"}) == Sleep(awake="22:00-23:30")


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_who_works_with_several_tasks_has_a_cache_unless_it_is_not_wanted(size: str, tmp_path: Path) -> None:
    def caches(**more: Any) -> list[Cache | None]:  # noqa: ANN401 - answers
        document = least(size=size, **more)
        document["environments"] = {"stg": document["environments"]["prod"] | {"cache": False}} | {
            "prod": document["environments"]["prod"] | {"hosted_zone": "p.example.eu", "hosted_zone_id": "Z0222222"}
        }
        folder = tmp_path / "company"
        assert initialize(folder, document) == 0
        return [each.cache for each in load(folder).environments.values()]

    assert caches() == [None, None if size == "small" else Cache()]
    assert caches(cache=False) == [None, None]


def test_a_price_that_is_announced_to_change_is_written_with_its_day(tmp_path: Path) -> None:
    _, config = made(tmp_path, "tokyo")
    infos = {model.listed_as(): model.info for model in config.models}
    assert {name: infos[name][PRICES_FROM] for name in COMING} == COMING
    assert sum(PRICES_FROM in model.info for model in config.models) == len(COMING)


def test_what_is_not_wanted_is_not_there(tmp_path: Path) -> None:
    own, config = made(tmp_path, "prod")
    (prod,) = own.environments.values()
    assert not (prod.onboarding or prod.report or prod.datadog or prod.bill or own.releases or prod.alarms.emails)
    assert not prod.ingress.public
    assert (config.callbacks, config.alerting) == (
        (
            "affinity.conversations",
            "budgets.refusals",
            "faults.attributed",
            "errors.told",
        ),
        ("email",),
    )
    assert config.bedrock_regions == ("eu-central-1", "eu-north-1", "eu-west-1")
    text = (own.folder / "environments.py").read_text("utf-8")
    assert not any(word in text for word in ("onboarding", "datadog", "report", "bill", "RELEASES", "slack"))
    assert "SLACK" not in own.config.read_text("utf-8")


def test_an_existing_vpc_and_a_given_certificate(tmp_path: Path) -> None:
    own, _ = made(tmp_path, "existing-vpc")
    test, main_ = own.environments.values()
    assert test.network.vpc and str(test.network.vpc.nat_addresses[0]) == "192.0.2.10"
    assert main_.network.vpc is None and main_.network.nat_gateways == 3
    assert test.account == main_.account and test.hosted_zone == main_.hosted_zone
    assert main_.certificate_arn and not test.certificate_arn
    assert own.releases and own.releases.github_actions and own.releases.oidc_provider


def test_providers_with_an_api_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, config = made(tmp_path, "apis")
    assert [(model.name, model.model) for model in config.models] == [
        ("claude-sonnet-5-5", "anthropic/claude-sonnet-5-5"),
        ("fast", "anthropic/claude-haiku-5-5"),
        ("gpt-6.1-sol", "openai/gpt-6.1-sol"),
        ("text-embedding-3-large", "openai/text-embedding-3-large"),
        ("gemini-3.8-flash", "gemini/gemini-3.8-flash"),
        ("grok-4.7", "azure_ai/grok-4.7"),
        ("mistral-large-4", "mistral/mistral-large-4"),
        ("coder", "hosted_vllm/qwen3-coder"),
    ]
    assert dict(config.models[-1].info) == {"input_cost_per_token": 2e-7, "output_cost_per_token": 8e-7}
    (server,) = own.environments["prod"].providers.servers
    assert (server.address, server.security_group_id) == ("vllm.internal.example.dev:8000", "sg-0123456789abcdef0")
    keys = {f"{name}_API_KEY" for name in ("ANTHROPIC", "AZURE_AI", "GEMINI", "HOSTED_VLLM", "MISTRAL", "OPENAI")}
    assert keys <= set(config.secrets)
    assert own.environments["prod"].providers.azure_ai_api_base == "https://example.services.ai.azure.com"
    bill = own.environments["prod"].bill
    assert bill and bill.gemini and bill.openai and bill.anthropic
    table = "example-billing.billing.gcp_billing_export_resource_v1_0A1B2C"
    assert (bill.gemini.table, bill.gemini.location, bill.gemini.project) == (table, "EU", "example-gemini")
    assert (bill.openai.projects, bill.anthropic.workspaces) == (
        ("proj_0123456789abcdef",),
        ("wrkspc_0123456789abcdef", "default"),
    )
    by_hand = capsys.readouterr().out
    assert "restricted to reading usage (platform.openai.com, Organization, Admin keys)" in by_hand
    assert f"turn on the detailed export to BigQuery, into {table}; a service account" in by_hand
    assert "which is the secret ANTHROPIC_ADMIN_KEY. It can do more than read" in by_hand
    assert "Anthropic: a key for each environment" in by_hand
    assert "make these deployments in https://example.services.ai.azure.com" in by_hand
    assert "http://vllm.internal.example.dev:8000/v1: see that it has these models, and that it lets" in by_hand
    assert "Bedrock" not in by_hand


def test_a_deployment_of_another_name_has_its_models_price(tmp_path: Path) -> None:
    _, config = made(tmp_path, "azure")
    assert [(model.name, model.id, dict(model.info)) for model in config.models] == [
        ("gpt-6-luna", "gpt-6-luna", {}),
        ("gpt-6.1-sol", "our-best", {"base_model": "azure/gpt-6.1-sol"}),
    ]


def test_models_of_one_region(tmp_path: Path) -> None:
    _, config = made(tmp_path, "japan")
    assert {(model.model, model.region) for model in config.models} == {
        ("bedrock/jp.anthropic.claude-sonnet-5-5", "ap-northeast-1"),
        ("bedrock/jp.anthropic.claude-haiku-5-5", "ap-northeast-1"),
        ("bedrock/amazon.titan-embed-text-v2:0", "ap-northeast-1"),
        ("bedrock/cohere.embed-multilingual-v3", "us-west-2"),
    }


OWN_CONFIG = """\
model_list:
  - model_name: gpt
    litellm_params:
      model: azure/gpt-6-luna
      api_base: os.environ/AZURE_EU_BASE
      api_key: os.environ/AZURE_API_KEY
litellm_settings: {request_timeout: 600}
general_settings: {database_connection_pool_limit: 10}
"""


def test_a_config_yaml_of_its_own_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "company"
    folder.mkdir()
    (folder / "config.yaml").write_text(OWN_CONFIG, "utf-8")
    assert initialize(folder, ANSWERS / "own-config.yaml") == 0
    assert (folder / "config.yaml").read_text("utf-8") == OWN_CONFIG
    (prod,) = load(folder).environments.values()
    assert prod.variables == {"AZURE_EU_BASE": "https://example-eu.openai.azure.com"}
    assert prod.providers.azure_api_base == "https://example-llm.openai.azure.com"
    assert (prod.gateway.workers, prod.gateway.min_tasks, prod.gateway.max_tasks) == (2, 2, 4)
    assert "azure: see that these can be called" in capsys.readouterr().out
    assert initialize(folder, {"environments": {"prod": {"size": "large"}}}) == 0
    assert (folder / "config.yaml").read_text("utf-8") == OWN_CONFIG


def test_a_config_yaml_of_its_own_has_to_be_there_and_to_go_with_the_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "company"
    assert initialize(folder, ANSWERS / "own-config.yaml") == 2
    assert "config.yaml: there is no such file" in capsys.readouterr().err
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(OWN_CONFIG.replace("EU_BASE", "US_BASE"), "utf-8")
    assert initialize(folder, ANSWERS / "own-config.yaml") == 2
    assert "nothing provides AZURE_US_BASE" in capsys.readouterr().err


def test_no_connection_yet_leaves_releases_out_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = least() | {"releases": {"repository": "example/llm"}}
    assert initialize(tmp_path / "company", given) == 0
    assert load(tmp_path / "company").releases is None
    assert "aws codeconnections create-connection" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["class", "int", "report", "match", "accounts", "prod"])
def test_any_name_of_an_environment_is_one_of_a_function(name: str, tmp_path: Path) -> None:
    given = least()
    given["environments"][name] = given["environments"].pop("prod")
    assert initialize(tmp_path / "company", given) == 0
    assert list(load(tmp_path / "company").environments) == [name]
    assert (function_of(name) == name) is (name == "prod")


@pytest.mark.parametrize("text", ["plain", 'a "b"', "it's", "'\"", "back\\slash", "日本語", "tab\t", "\x1b"])
def test_texts_are_quoted_as_ruff_does(text: str) -> None:
    formatted(f"value = {quoted(text)}\n")
    scope: dict[str, Any] = {}
    exec(f"value = {quoted(text)}", scope)  # noqa: S102 - what was just made
    assert scope["value"] == text


def test_what_is_left_to_do_follows_from_the_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "tokyo")
    everything = capsys.readouterr().out
    for part in (
        "cdk bootstrap aws://333333333333/ap-northeast-1 --trust 444444444444",
        "cdk bootstrap aws://444444444444/ap-northeast-1",
        "aws route53 get-hosted-zone --id Z0111111DEVEXAMPLE",
        "us.anthropic.claude-opus-5-5",
        "gcloud iam service-accounts create llm-gateway --project example-llm-stg",
        "make slack-manifest ENV=stg",
        "https://console.aws.amazon.com/chatbot/",
        "DD_APP_KEY",
        'az role assignment create --assignee 11234567-89ab-cdef-0123-456789abcdef --role "Cost Management Reader"',
        "--website-url https://llm.stg.example.com",
        "make pipeline",
        "make deploy ENV=prod",
    ):
        assert part in everything
    assert initialize(tmp_path / "other", ANSWERS / "prod.yaml") == 0
    little = capsys.readouterr().out
    assert not any(part in little for part in ("Slack", "Datadog", "Azure", "Vertex", "--trust", "pipeline", "GitHub"))
    assert "--website-url https://llm.example.eu" in little


def test_workflows_of_github_need_environments_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "existing-vpc")
    out = capsys.readouterr().out
    assert "gh api --method PUT repos/example/llm/environments/main-approval" in out
    assert "cdk deploy Image GitHub-111111111111" in out


# --- Whatever is answered -------------------------------------------------------------------------------------------


def some_answers(seed: int) -> dict[str, Any]:
    """Answers drawn from all that may be asked: each part wanted or not, each size, each way in."""
    draw = random.Random(seed)  # noqa: S311 - nothing secret

    def perhaps(**answers: Any) -> dict[str, Any]:  # noqa: ANN401 - answers
        return {name: value for name, value in answers.items() if draw.random() < 0.5}

    names = draw.sample(["dev", "stg", "prod", "eu", "us2", "qa", "class", "report"], draw.randint(1, 4))
    region = draw.choice(["ap-northeast-1", "eu-central-1", "us-east-1", "ap-southeast-2", "sa-east-1", "ca-central-1"])
    others = [name for name in models.APIS if draw.random() < 0.2]
    bedrock, azure, vertex = draw.choice([each for each in itertools.product([True, False], repeat=3) if any(each)])
    slack, datadog, bill = (draw.random() < 0.5 for _ in range(3))
    onboarding = slack and draw.random() < 0.7
    report = onboarding and draw.random() < 0.7
    environments = {}
    for number, name in enumerate(names):
        environments[name] = {
            "account": f"{draw.randint(1, 3)}" * 12,
            "region": region,
            "hosted_zone": f"{name}.example.com",
            "hosted_zone_id": f"Z00000{number}",
            "cidrs": draw.choice([["203.0.113.0/24"], ["198.51.100.0/24", "203.0.113.0/24"]]),
            **({"azure_api_base": f"https://{name}-llm.openai.azure.com"} if azure else {}),
            **({"vertex_project": "example-llm"} if vertex else {}),
            **({"azure_ai_api_base": f"https://{name}-ai.services.ai.azure.com"} if "azure_ai" in others else {}),
            **({"report_channel": "C0REPORT89"} if report else {}),
            **perhaps(
                size=draw.choice(["small", "medium", "large"]),
                public=draw.choice([True, False]),
                deletion_protection=draw.choice([True, False]),
                monthly_budget=draw.choice([0.5, 100, 99_999.5, 1_000_000]),
                cache=draw.choice([True, False]),
            ),
        }
        if draw.random() < 0.3:
            sleep = perhaps(awake=draw.choice(["00:00-01:00", "07:30-23:59", None]), timezone="Asia/Tokyo")
            sleep = {} if sleep.get("awake", "") is None else sleep  # then there are no hours of a time zone
            environments[name] |= {"size": "small", "deletion_protection": False, "sleep": sleep or True}
    document: dict[str, Any] = {
        "environments": environments,
        "bedrock": bedrock and (perhaps(geography=draw.choice(["global", "none"])) or True),
        "azure": azure,
        "vertex": vertex,
        **dict.fromkeys(others, True),
        "slack": {"workspace": "T0123456789", **perhaps(alerts=draw.choice([True, False]))} if slack else False,
        "datadog": datadog,
        "bill": bill,
        **perhaps(
            budget=draw.choice([1, 12.5, 100, 2000, 1_000_000]),
            alarm_emails=["sre@example.com"],
            reply_to="help@example.com",
            local=draw.choice(names),
        ),
    }
    if slack:
        document["onboarding"] = {"audit_channel": "C0123456789"} if onboarding else False
    if onboarding:
        plan = {"name": draw.choice(["Team", "チーム" * 18, 'The "best"']), "monthly_price": 30.5, "covers": ["*"]}
        zone = draw.choice(["Asia/Tokyo", "Pacific/Auckland", "UTC"])
        document["report"] = {"timezone": zone, **perhaps(plans=[plan])} if report else False
    if draw.random() < 0.5:
        by = draw.choice(["github", "codepipeline"])
        arn = f"arn:aws:codeconnections:{region}:444444444444:connection/01234567-89ab-cdef-0123-456789abcdef"
        document["releases"] = {"by": by, "account": "4" * 12, "repository": "example/llm", **perhaps(approved=[])}
        document["releases"] |= {"connection_arn": arn} if by == "codepipeline" else {}
    return document


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_answered_comes_to_a_company(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "company"
    code = initialize(folder, some_answers(seed))
    assert code == 0, capsys.readouterr().err
    answers = stored_in(folder / "answers.yaml", KEYS)
    assert answers
    own, _ = checked(folder)
    assert dict(own.environments) == {name: meanings.environment_of(answers, name) for name in answers.named}
    formatted((folder / "environments.py").read_text("utf-8"))
    assert text_of(answers) == (folder / "answers.yaml").read_text("utf-8")
    assert texts(answers) == {name: (folder / name).read_text("utf-8") for name in ("environments.py", "config.yaml")}


# --- What is refused ------------------------------------------------------------------------------------------------


def one(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - answers
    return least() | more


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    (least(account=111111111111), "environments.prod.account: 111111111111 is no text: put it in quotes"),
    (least(account="1111"), "environments.prod.account: '1111' is no AWS account: write its twelve digits in quotes"),
    (
        least(region="eu-central-9"),
        "environments.prod.region: 'eu-central-9' is not an AWS region: use one such as ap-northeast-1",
    ),
    (
        least(domain="llm.example.org"),
        "environments.prod.domain: domain llm.example.org is not in hosted_zone example.eu: its records would have no "
        "place",
    ),
    (
        least(zones=["us-east-1a", "us-east-1b"]),
        "environments.prod.zones: network.zones has 'us-east-1a', which is no zone of eu-central-1: use eu-central-1a "
        "and the like",
    ),
    (
        least(cidrs=["0.0.0.0/0"]),
        "environments.prod.cidrs: 0.0.0.0/0 is open to the world: name your company's own ranges (a /8 at the widest)",
    ),
    (
        least(management_cidrs=["192.168.0.0/16"]),
        "environments.prod.management_cidrs: management_cidrs has 192.168.0.0/16, which cidrs does not let in: add it "
        "to cidrs or remove it",
    ),
    (
        least(size="large", sleep=True),
        "environments.prod.sleep: it is not asked for with these answers: leave it out",
    ),
    (
        least(size="small", deletion_protection=False, sleep={"awake": "9-19"}),
        "environments.prod.sleep.awake: '9-19' is no hours: write from when to when, as in 08:00-20:00",
    ),
    (least(cache="redis"), "environments.prod.cache: 'redis' is neither yes nor no"),
    (least(size="huge"), "environments.prod.size: 'huge' is none of small, medium, large"),
    (least(public="perhaps"), "environments.prod.public: 'perhaps' is neither yes nor no"),
    (least(acount="1"), "environments.prod.acount: there is no such question: did you mean account"),
    (least(hosted_zone=None), "environments.prod.hosted_zone: it needs an answer"),
    (one(slakc=True), "slakc: there is no such question: did you mean slack"),
    (
        one(slack={"workspace": "T0123456", "workspase": "T0123456"}),
        "slack.workspase: there is no such question: did you mean workspace",
    ),
    (one(slack=True), "slack.workspace: it is not answered, and has no default: Id of the workspace"),
    (
        one(bedrock=False),
        "server: no provider is left: say yes to one of bedrock, azure, vertex, anthropic, openai, gemini, azure_ai, "
        "mistral and server",
    ),
    (
        one(server={"address": "vllm.example.com:8000", "models": ["m"]}),
        "server.address: 'vllm.example.com:8000' is no address: write it as http://HOST:PORT/v1, with its name in "
        "small letters",
    ),
    (
        {**least(server_peer="all"), "server": {"address": "http://vllm.example.com:8000/v1", "models": ["m"]}},
        "environments.prod.server_peer: 'all' is no security group and no range: write it as sg-… or as 10.1.2.0/24",
    ),
    (
        one(bedrock={"models": ["gpt-17"]}),
        "bedrock.models: 'gpt-17' is no model that Bedrock is known to have: write NAME=ID, with the id that `aws "
        "bedrock list-foundation-models` shows",
    ),
    (
        one(bedrock={"models": ["nova-2-lite", "nova-2-lite"]}),
        "bedrock.models: model_list entry 4 (nova-2-lite): it repeats model_list entry 1 (nova-2-lite): remove one or "
        "change its region or base",
    ),
    (
        one(bedrock={"regions": ["us-east-1"]}),
        "bedrock.regions: us-east-1 cannot call the inference profiles of eu: use regions such as eu-central-1, "
        "eu-north-1, eu-south-1, eu-south-2, eu-west-1, eu-west-3",
    ),
    (one(budget=0), "budget: 0: input should be greater than or equal to 0.01"),
    (one(local="dev"), "local: dev is no environment: there are prod"),
    (
        least(azure_api_base="https://a.openai.azure.com"),
        "environments.prod.azure_api_base: it is not asked for with these answers: leave it out",
    ),
    ({"environments": ["prod"]}, "environments: it must be a mapping of names to answers, as in `dev: {size: small}`"),
    (
        {"environments": {"local": {}}},
        "environments.local: local is the environment of make up: give it another name",
    ),
)


@pytest.mark.parametrize(("given", "sentence"), REFUSED, ids=[sentence[:40] for _, sentence in REFUSED])
def test_a_mistake_is_refused_in_one_sentence(
    given: dict[str, Any], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "company"
    assert initialize(folder, given) == 2
    lines = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'given.yaml'}: {sentence}." in [line.removeprefix("init: ") for line in lines]
    if given.get("environments") != ["prod"]:
        assert len(lines) == 1
    assert not folder.exists()


def test_all_mistakes_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = least(account="1", cidrs=["0.0.0.0/0"]) | {"budget": -1, "datadogg": True}
    assert initialize(tmp_path / "company", given) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 4
    assert all(f"{key}: " in told for key in ("prod.account", "prod.cidrs", "budget", "datadogg"))


def test_environments_must_not_meet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = example("existing-vpc")
    given["environments"]["main"]["domain"] = "llm-test.ai.example.us"
    given["environments"]["main"]["cidr"] = "10.99.8.0/21"
    assert initialize(tmp_path / "company", given) == 2
    told = capsys.readouterr().err
    assert "have one domain, llm-test.ai.example.us: give each its own" in told


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "not valid YAML"),
        ("- a", "it must be a mapping"),
        ("budget: 1\nbudget: 2", "there twice"),
        (None, "it cannot be read"),
    ],
)
def test_what_is_no_file_of_answers(
    text: str | None, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "given.yaml"
    if text is not None:
        file.write_text(text, "utf-8")
    assert main(["--answers", str(file)], folder=tmp_path / "company") == 2
    assert problem in capsys.readouterr().err


# --- At a terminal --------------------------------------------------------------------------------------------------


class Person:
    """Answers by what is asked; anything else with Enter. `asked` has every prompt."""

    def __init__(self, *answers: tuple[str, str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, prompt: str) -> str:
        self.asked.append(prompt.strip())
        for place, (start, line) in enumerate(self.answers):
            if prompt.strip().startswith(start):
                del self.answers[place]
                return line
        return ""


LEAST = (
    ("Environments", "prod"),
    ("AWS account", "111111111111"),
    ("AWS region", "eu-central-1"),
    ("Hosted zone", "example.eu"),
    ("Its id", "Z0111111EUROPE"),
    ("Load balancer", "no"),
)


def test_a_person_answers_what_has_no_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    person = Person(*LEAST)
    assert main([], folder=tmp_path / "company", ask=person) == 0
    assert not person.answers
    assert initialize(tmp_path / "other", ANSWERS / "prod.yaml") == 0
    for name in WRITTEN:
        assert (tmp_path / "company" / name).read_text("utf-8") == (tmp_path / "other" / name).read_text("utf-8")
    assert "Nothing is looked up in AWS, as there are no AWS credentials" in capsys.readouterr().out
    assert "Host name of the gateway [llm.example.eu]:" in person.asked


def test_a_bad_answer_is_asked_again_and_a_question_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person = Person(("AWS account", "?"), ("AWS account", ""), ("AWS account", "12"), *LEAST, ("Use Slack", "maybe"))
    assert main([], folder=tmp_path / "company", ask=person) == 0
    out = capsys.readouterr().out
    assert "Its twelve digits. Give the models no other user" in out
    assert "it needs an answer" in out
    assert "'12' is no AWS account" in out
    assert "'maybe' is neither yes nor no" in out


def test_a_mapping_on_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "company"
    folder.mkdir()
    (folder / "config.yaml").write_text(OWN_CONFIG, "utf-8")
    values = "AZURE_EU_BASE=https://example-eu.openai.azure.com"
    person = Person(*LEAST, ("Leave config.yaml", "yes"), ("Plain variables", "AZURE"), ("Plain variables", values))
    assert main([], folder=folder, ask=person) == 0
    assert "'AZURE' has no value: write it as NAME=value" in capsys.readouterr().out
    assert not any(prompt.startswith(("Use Amazon", "Models", "Geography")) for prompt in person.asked)
    again = Person()
    assert main([], folder=folder, ask=again) == 0
    assert any(values in prompt for prompt in again.asked)


def test_lists_and_plans_on_a_line(tmp_path: Path) -> None:
    person = Person(
        *LEAST,
        ("Ranges that may reach", "10.1.0.0/16, 10.2.0.0/16"),
        ("Use Slack", "y"),
        ("Id of the workspace", "T0123456789"),
        ("Accounts on request", "yes"),
        ("Id of the channel that hears", "C0123456789"),
        ("A report", "yes"),
        ("Flat-rate", "Team Premium | 125 | claude-* nova-* | 600; Business | 30.5 | *"),
        ("Id of the channel that gets the report", "C0REPORT89"),
        ("Addresses that get alarms", "NONE"),
    )
    assert main([], folder=tmp_path / "company", ask=person) == 0
    (prod,) = load(tmp_path / "company").environments.values()
    assert list(map(str, prod.ingress.cidrs)) == ["10.1.0.0/16", "10.2.0.0/16"]
    assert prod.report
    assert [(plan.name, plan.monthly_price, plan.covers, plan.monthly_allowance) for plan in prod.report.plans] == [
        ("Team Premium", 125, ("claude-*", "nova-*"), 600),
        ("Business", 30.5, ("*",), None),
    ]
    again = Person()
    assert main([], folder=tmp_path / "company", ask=again) == 0
    assert any("[Team Premium | 125 | claude-* nova-* | 600; Business | 30.5 | *]" in prompt for prompt in again.asked)


def test_ctrl_c_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(_: str) -> str:
        raise KeyboardInterrupt

    assert main([], folder=tmp_path / "company", ask=ask) == 130
    assert capsys.readouterr().err == "init: interrupted. Nothing was written.\n"
    assert not (tmp_path / "company").exists()


def test_without_a_terminal_it_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(_: str) -> str:
        raise EOFError

    assert main([], folder=tmp_path / "company", ask=ask) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert 'make init ARGS="--answers answers.yaml"' in told
    assert not (tmp_path / "company").exists()


# --- A second run ---------------------------------------------------------------------------------------------------


@pytest.fixture
def company(tmp_path: Path) -> Path:
    folder = tmp_path / "company"
    assert initialize(folder, ANSWERS / "tokyo.yaml") == 0
    return folder


def edited(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, "utf-8")


def state(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text("utf-8") for file in folder.iterdir()}


@pytest.mark.parametrize("name", COMPANIES)
def test_the_same_answers_change_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, _ = made(tmp_path, name)
    before = state(own.folder)
    assert main([], folder=own.folder, ask=Person()) == 0
    assert initialize(own.folder, {"budget": 100}) == 0
    assert state(own.folder) == before
    assert capsys.readouterr().out.count("Nothing has changed.") == 2


def test_only_what_is_answered_anew_changes(company: Path) -> None:
    edited(company / "environments.py", ("retention_days=14", "retention_days=30"), ('account="222', 'account="822'))
    edited(company / "config.yaml", ("num_retries: 3", "num_retries: 5  # ours"))
    before = load(company).environments
    assert initialize(company, {"environments": {"prod": {"monthly_budget": 30_000}}, "budget": 250}) == 0
    after = load(company).environments
    assert after["dev"].log_retention_days == 30
    assert after["stg"].account == "822222222222"
    assert after["prod"].alarms.monthly_budget == 30_000
    assert after["dev"].onboarding and after["dev"].onboarding.max_budget == 250
    assert (
        after["prod"].model_copy(update={"alarms": before["prod"].alarms, "onboarding": before["prod"].onboarding})
        == (before["prod"])
    )
    config = (company / "config.yaml").read_text("utf-8")
    assert "num_retries: 5  # ours" in config
    assert "max_budget: 250" in config


def test_an_environment_more_and_one_less(company: Path) -> None:
    more = {"account": "999999999999", "hosted_zone": "qa.example.com", "hosted_zone_id": "Z0999999QA"}
    assert initialize(company, {"environments": {"qa": more}}) == 0
    own = load(company)
    assert list(own.environments) == ["dev", "stg", "prod", "qa"]
    assert str(own.environments["qa"].network.cidr) == "10.50.0.0/16"  # 10.40 is that of make up
    assert initialize(company, {"environments": {"stg": False, "qa": {}, "dev": {}, "prod": {}}}) == 0
    assert list(load(company).environments) == ["qa", "dev", "prod"]


def test_what_does_not_go_with_the_new_answers_is_told(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert initialize(company, {"environments": {"dev": {"region": "us-east-1"}}}) == 0
    out = capsys.readouterr().out
    assert "! environments.dev.zones: what it was answered last cannot be with the new answers" in out
    assert load(company).environments["dev"].network.zones == ("us-east-1a", "us-east-1b")


def test_a_conflict_is_told_and_the_files_stay(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited(company / "environments.py", ("monthly_budget=500", "monthly_budget=700"))
    before = state(company)
    capsys.readouterr()
    assert initialize(company, {"environments": {"dev": {"monthly_budget": 900}}}) == 1
    assert capsys.readouterr().err == (
        "init: environments.py has been changed by hand where the new answers change it too: take over from "
        "environments.py.new what you want.\n"
    )
    after = state(company)
    assert "monthly_budget=900" in after.pop("environments.py.new")
    assert {name: after[name] for name in before} == before


def test_once_a_conflict_is_mended_it_goes_on(company: Path) -> None:
    edited(company / "environments.py", ("monthly_budget=500", "monthly_budget=700"))
    assert initialize(company, {"environments": {"dev": {"monthly_budget": 900}}}) == 1
    edited(company / "environments.py", ("monthly_budget=700", "monthly_budget=900"))
    assert initialize(company, {"environments": {"dev": {"monthly_budget": 900}}}) == 0
    assert load(company).environments["dev"].alarms.monthly_budget == 900
    assert sorted(state(company)) == list(WRITTEN)


def test_without_git_there_is_no_merge(
    company: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ops.init.files.shutil.which", lambda _: None)
    edited(company / "environments.py", ("retention_days=14", "retention_days=30"))
    assert initialize(company, {"alarm_emails": ["ops@example.com"]}) == 1
    assert "git, which would merge that with the new answers, is not installed" in capsys.readouterr().err


def test_files_of_unknown_answers_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "company"
    folder.mkdir()
    (folder / "environments.py").write_text("# ours\n", "utf-8")
    assert initialize(folder, ANSWERS / "prod.yaml") == 1
    assert "environments.py is there, and what it was made from is not known" in capsys.readouterr().err
    assert (folder / "environments.py").read_text("utf-8") == "# ours\n"
    assert not (folder / "answers.yaml").exists()


def test_a_merge_that_cannot_work_is_refused(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited(company / "environments.py", ('covers=("gpt-*",)', 'covers=("gpt-6-luna",)'))
    before = state(company)
    assert initialize(company, {"azure": {"models": ["gpt-6.1-sol"]}}) == 2
    told = capsys.readouterr().err
    assert "what was changed by hand does not go with the new answers, and nothing was written: " in told
    assert "ChatGPT Business covers gpt-6-luna" in told
    assert state(company) == before


def test_what_is_left_to_do_is_of_what_people_have_changed(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited(company / "environments.py", ('account="222222222222"', 'account="822222222222"'))
    assert initialize(company, {"budget": 250}) == 0
    assert "cdk bootstrap aws://822222222222/ap-northeast-1" in capsys.readouterr().out


def test_answers_that_cannot_be_synthesized_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arn = "arn:aws:bedrock:us-west-2:111111111111:application-inference-profile/abc"
    assert initialize(tmp_path / "company", one(bedrock={"models": [f"ours={arn}"]})) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and "/config.yaml" not in told
    assert not (tmp_path / "company").exists()


def test_the_kept_answers_are_no_place_for_changes(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited(company / "answers.yaml", ("budget: 100", "budget: 200"))
    assert main([], folder=company, ask=Person()) == 2
    assert "answers.yaml has been edited since make init wrote it: restore it" in capsys.readouterr().err


def test_a_dry_run_shows_and_writes_nothing(company: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = state(company)
    capsys.readouterr()
    assert initialize(company, {"budget": 250}, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "-    max_budget: 100\n+    max_budget: 250" in out
    assert state(company) == before
    assert initialize(company, {"budget": 100}, "--dry-run") == 0
    assert "Nothing would change." in capsys.readouterr().out
    assert initialize(tmp_path / "none", ANSWERS / "prod.yaml", "--dry-run") == 0
    assert not (tmp_path / "none").exists()


def test_all_files_or_none(company: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = state(company)
    replaced = Path.replace
    count = itertools.count()

    def replace(self: Path, target: Path) -> Path:
        if next(count):
            raise OSError(28, "No space left on device", str(target))
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    assert initialize(company, {"budget": 250}) == 2
    assert capsys.readouterr().err.endswith("No space left on device: nothing was written.\n")
    assert state(company) == before


# --- Answers as they are kept ---------------------------------------------------------------------------------------


def test_answers_that_are_kept_are_given_back(tmp_path: Path) -> None:
    own, _ = made(tmp_path, "tokyo")
    kept = stored_in(own.folder / "answers.yaml", KEYS)
    assert isinstance(kept, Answers)
    given = given_in(own.folder / "answers.yaml", KEYS)
    assert given.findings == [] and given.answers == kept


def test_every_question_can_be_given(tmp_path: Path) -> None:
    """The examples answer every question, so that none is left that no file has."""
    used: set[str] = set()
    for name in (*COMPANIES, "own-config"):
        given = given_in(ANSWERS / f"{name}.yaml", KEYS).answers
        used |= given.company.keys()
        used.update(key for own in given.environments.values() for key in own)
    never = {*KEYS.company, *KEYS.environment} - used
    assert never <= {
        *("size", "zones", "management_cidrs", "slack.alerts", "vertex.models", "slack_command", "local"),
        *("releases.region", "releases.branch", "releases.approved", "releases.emails", "report.hour"),
        *("onboarding.budget_ceiling", "bill.google.location"),
    }


def test_stand_ins_refuse_nothing() -> None:
    assert isinstance(meanings.environment_of(Answers(), "prod"), Environment)
    with pytest.raises(ValidationError):
        meanings.environment_of(Answers(environments={"prod": {"account": "1"}}), "prod")
