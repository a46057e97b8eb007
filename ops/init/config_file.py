"""`company/config.yaml` from the answers: LiteLLM's list of models, with the settings that the gateway relies on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml

from ops.init.answers import Answers
from ops.init.comments import comment as _comment
from ops.init.models import APIS, NO_PROFILE, SERVERS, Deployment, deployments, fallbacks
from stacks.litellm_config import COMING, PRICES_FROM
from stacks.litellm_config.providers import BY_NAME

_HEAD: Final = (
    "The one list of models, in LiteLLM's own format (https://docs.litellm.ai/docs/proxy/configs), the same in every "
    "environment. `cdk synth` checks it and derives from it what the task may call and which secrets and variables it "
    "gets.",
    "os.environ/NAME is a secret in SSM Parameter Store if NAME ends in _KEY, _TOKEN, _PASSWORD, _SECRET, "
    "_CREDENTIALS, _LICENSE or _WEBHOOK_URL; any other name is a plain variable from the environment's settings.",
)

_RESIDENCE: Final = {
    "us": "`us.` keeps prompts in the United States",
    "eu": "`eu.` keeps prompts in Europe",
    "jp": "`jp.` keeps prompts in Japan",
    "au": "`au.` keeps prompts in Australia",
    "apac": "`apac.` keeps prompts in Asia and the Pacific",
    "global": "`global.` keeps prompts nowhere in particular",
}

_MORE: Final[Mapping[str, tuple[str, ...]]] = {
    # By which Mistral caches a prompt, and LiteLLM would drop.
    "mistral": ("allowed_openai_params: [prompt_cache_key]",),
}
"""What an entry of a provider has beside its address and key."""

_AZURE_VERSION: Final = "2025-04-01-preview"

# What follows the models, but for what depends on the answers: {callbacks}, {budget} and {alerting}.
SETTINGS: Final = """\
litellm_settings:
  # No prompt or completion text leaves the gateway, whether a call succeeds, streams or fails. LiteLLM ignores a
  # caller's wish to the contrary unless an administrator allows it on the key or team.
  turn_off_message_logging: true
{callbacks}\
  # LiteLLM's own error texts would quote the first words of the prompt.
  redact_messages_in_exceptions: true
  # A caller cannot keep a call out of the records with no-log.
  global_disable_no_log_param: true
  # Nor does an answer tell which models fall back to which.
  expose_router_debug_in_errors: false
  # One JSON object per line, for CloudWatch Logs Insights.
  json_logs: true
  # Seconds that one attempt waits for an answer without a stream, or for its first byte: a model that thinks takes
  # minutes. With the fallback's that is 600, as long as callers' SDKs wait. LiteLLM's default of 6000 would keep a
  # connection open long after the load balancer has given up.
  request_timeout: 300
  # A client made for one provider may send parameters that another does not know.
  drop_params: true
  # What a used-up budget is answered with: tools give up at once and show the words. Most of them try again after 429,
  # and some after any other.
  budget_exceeded_status_code: 400
  # What a new user gets unless told otherwise: US dollars per 30 days.
  default_internal_user_params:
    user_role: internal_user
    max_budget: {budget}
    budget_duration: 30d

general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  # Connections of one worker; `cdk synth` checks tasks x workers x this against the cluster.
  database_connection_pool_limit: 10
  # A worker refuses what comes beyond this many requests in hand with 503 and Retry-After, at once and whatever their
  # size, instead of slowing down those that it has. The number is gateway.max_in_flight_requests of the environment.
  max_in_flight_requests_per_worker: os.environ/MAX_IN_FLIGHT_REQUESTS
  # None waits for a place: an answer takes longer than a caller has patience, and a caller's SDK tries again.
  max_queued_requests_per_worker: 0
  # Budgets are looked at before each call, without counting the tokens of its prompt first, which would be four fifths
  # of the work for what a coding agent sends.
  disable_budget_reservation: true
  # Also with a key that somebody makes for a team: LiteLLM's own way is that the owner's budget does not count then.
  apply_user_budget_to_team_keys: true
  # While a new version is rolled out, the old one meets the new tables: a prepared statement would then fail with
  # "cached plan must not change result type".
  database_disable_prepared_statements: true
  # Models can be added in the admin UI too. The task's role still permits the Bedrock models of this file only.
  store_model_in_db: true
  # Written out because a value in this file wins over one that someone sets in the admin UI.
  store_prompts_in_spend_logs: false
  # Error texts of providers can quote prompts: keep failed calls out of the database.
  disable_error_logs: true
  # A fallback must be a model that the caller's key may use.
  enforce_fallback_model_access: true
{alerting}\
  # The caller's address is in the load balancer's X-Forwarded-For: failed sign-ins are limited by it.
  use_x_forwarded_for: true
  trusted_proxy_ranges: os.environ/TRUSTED_PROXY_RANGES
  # The sign-in page would say how to sign in with the master key.
  hide_default_credentials_hint: true
"""

_DATADOG: Final = """\
  # The same for Datadog even then.
  datadog_params: {turn_off_message_logging: true}
  # One record per attempt at a provider: user, model, region, tokens, cost, latency. masking.py beside this file in the
  # image is LiteLLM's datadog callback with the records of records.py: no texts.
"""

_DATED: Final = """\
  # prices.py beside this file in the image charges prices_from of an entry, from its days on.
"""

_KEPT: Final = """\
  # affinity.py beside this file in the image keeps the turns of a conversation in one region, where the prompt cache
  # has its beginning: elsewhere it would be paid for again.
"""

_REFUSALS: Final = """\
  # Beside this file in the image budgets.py says what to do when a budget is used up, faults.py leaves out a deployment
  # whose provider fails, and keeps a caller's mistake with the caller, and errors.py says in a sentence what failed.
"""

_MAIL: Final = """\
  # Mail goes to users about their own budgets and invitations.
  alerting: [email]
"""

_SLACK: Final = """\
  # Slack gets what an operator acts on; mail goes to users about their own budgets and invitations. Left out are
  # llm_exceptions, whose text is a provider's and can quote a prompt, and llm_too_slow, as long answers are normal.
  alerting: [slack, email]
  alert_types:
    - budget_alerts
    - cooldown_deployment
    - db_exceptions
    - failed_tracking_spend
    - fallback_reports
    - model_deprecation_warnings
    - outage_alerts
    - region_outage_alerts
    - spend_reports
"""


def written(answers: Answers) -> str:
    """The text of the file."""
    company = answers.company
    entries = dict(deployments(company))
    lines = [*head(), "", "model_list:"]
    for number, (provider, found) in enumerate(entries.items()):
        lines += ([""] if number else []) + list(_provider(provider, found, company))
    named = [each.name for found in entries.values() for each in found]
    names = list(dict.fromkeys(named))
    dated = any(_coming(each) for found in entries.values() for each in found)
    lines += ["", *_router(names), ""]
    return (
        "\n".join(lines)
        + "\n"
        + SETTINGS.format(
            callbacks="".join(
                _callbacks(datadog=bool(company.get("datadog")), dated=dated, several=len(named) > len(names))
            ),
            budget=company.get("budget", 100),
            alerting=_SLACK if company.get("slack.alerts") else _MAIL,
        )
    )


def head() -> list[str]:
    """What the file says of itself at its top."""
    return [*_comment(_HEAD[0]), "#", *_comment(_HEAD[1])]


def _callbacks(*, datadog: bool, dated: bool, several: bool) -> Iterator[str]:
    if datadog:
        yield _DATADOG
    if dated:
        yield _DATED
    if several:
        yield _KEPT
    yield _REFUSALS
    names = ["affinity.conversations"] * several + ["masking.datadog"] * datadog + ["prices.dated"] * dated
    names += ["budgets.refusals", "faults.attributed", "errors.told"]
    yield f"  callbacks: [{', '.join(names)}]\n"


def _provider(provider: str, found: list[Deployment], company: dict[str, Any]) -> Iterator[str]:
    if provider == "bedrock":
        yield from _bedrock(found, company.get("bedrock.geography", NO_PROFILE))
    elif provider == "azure":
        yield from _comment(
            "Azure OpenAI. The part after azure/ is the deployment's name. A deployment that is not named like its "
            "model takes its price from model_info: {base_model: azure/…}. Not os.environ/AZURE_API_VERSION: LiteLLM's "
            "command line sets that variable itself once it runs, and then drops every entry that refers to it.",
            "  ",
        )
        parameters = ("api_base: os.environ/AZURE_API_BASE", "api_key: os.environ/AZURE_API_KEY")
        yield from _entries(found, *parameters, f'api_version: "{_AZURE_VERSION}"')
    elif provider == "server":
        yield from _server(found, company)
    elif provider in APIS:
        row = BY_NAME[provider]
        yield from _comment(f"{row.title}.", "  ")
        references = [f"{name}: os.environ/{variable}" for name, variable in row.variables.items()]
        yield from _entries(found, *references, *_MORE.get(provider, ()))
    else:
        yield from _comment(
            "Google Vertex AI. VERTEX_CREDENTIALS is the whole JSON of a service account's key, which LiteLLM takes as "
            "it is.",
            "  ",
        )
        yield from _entries(
            found,
            "vertex_project: os.environ/VERTEXAI_PROJECT",
            "vertex_location: os.environ/VERTEXAI_LOCATION",
            "vertex_credentials: os.environ/VERTEX_CREDENTIALS",
        )


def _server(found: list[Deployment], company: dict[str, Any]) -> Iterator[str]:
    yield from _comment(
        "A server of our own. Where it is not HTTPS on port 443, providers.servers of each environment lets the tasks "
        "out to it. What a token costs there is what is said here.",
        "  ",
    )
    # As long as it is not answered, an address that refuses nothing.
    parameters = [f"api_base: {_scalar(company.get('server.address', 'https://models.example.com/v1'))}"]
    if company.get("server.key"):
        parameters.append(
            f"api_key: os.environ/{BY_NAME[SERVERS[company.get('server.speaks', 'vllm')]].variables['api_key']}"
        )
    yield from _entries(found, *parameters)


def _bedrock(found: list[Deployment], geography: str) -> Iterator[str]:
    text = "Amazon Bedrock, with the credentials of the task's role."
    if len({each.region for each in found}) > 1:
        text += " Entries of one model_name share its load: a region that answers 429 is left out for a while."
    if geography in _RESIDENCE:
        text += (
            " Current Claude and Nova models are served on demand through inference profiles only; "
            f"{_RESIDENCE[geography]}. https://docs.aws.amazon.com/bedrock/latest/userguide/"
            "models-region-compatibility.html"
        )
    yield from _comment(text, "  ")
    for number, name in enumerate(dict.fromkeys(each.name for each in found)):
        if number:
            yield ""
        for each in found:
            if each.name == name:
                yield f"  - model_name: {_scalar(name)}"
                yield f"    litellm_params: {{model: {_scalar(each.model)}, aws_region_name: {each.region}}}"
                yield from _info(each)


def _entries(found: Iterable[Deployment], *parameters: str) -> Iterator[str]:
    for each in found:
        yield f"  - model_name: {_scalar(each.name)}"
        yield "    litellm_params:"
        yield f"      model: {_scalar(each.model)}"
        yield from (f"      {parameter}" for parameter in parameters)
        yield from _info(each)


def _info(each: Deployment) -> Iterator[str]:
    """What LiteLLM is to know of an entry: whose price it has, and the changes that its list does not know."""
    described = ", ".join(f"{key}: {_written(value)}" for key, value in each.info.items())
    if not (changes := _coming(each)):
        if described:
            yield f"    model_info: {{{described}}}"
        return
    yield "    model_info:"
    yield from (f"      {key}: {_written(value)}" for key, value in each.info.items())
    yield from _comment(
        "What changes on a day that the provider has announced, and LiteLLM's list does not know: US dollars per token "
        "(docs/costs.md).",
        "      ",
    )
    yield f"      {PRICES_FROM}:"
    for day, prices in changes.items():
        yield f'        "{day}":'
        yield from (f"          {name}: {_price(price)}" for name, price in prices.items())


def _coming(each: Deployment) -> Mapping[str, Mapping[str, float]]:
    """The announced changes of a model's price, by day."""
    return COMING.get(str(each.info.get("base_model") or "") or each.model.removeprefix("bedrock/"), {})


def _written(value: str | float) -> str:
    return _scalar(value) if isinstance(value, str) else _price(value)


def _price(price: float) -> str:
    """A number with a point, without which YAML 1.1 takes 4e-06 for text."""
    text = repr(price)
    return text if "." in text else text.replace("e", ".0e")


def _router(names: Iterable[str]) -> Iterator[str]:
    yield "router_settings:"
    yield "  # The cheapest strategy per request, and the one that LiteLLM advises for production."
    yield "  routing_strategy: simple-shuffle"
    yield "  # A retry goes to a region that is not left out."
    yield "  num_retries: 3"
    yield from _comment(
        "A provider that takes a request and is silent: whoever waits has waited already, so the model behind "
        "`fallbacks` is next, and none after it. Seconds of silence in a stream, also before its first byte: models "
        "that think may be silent for minutes. An entry for a quicker one may have its own, and a `timeout` for a call "
        "without a stream.",
        "  ",
    )
    yield "  stream_timeout: 180"
    yield "  max_fallbacks: 1"
    yield "  retry_policy: {TimeoutErrorRetries: 0}"
    yield from _comment(
        "Seconds that a region which answered 429 is left out, unless its Retry-After says another time.", "  "
    )
    yield "  cooldown_time: 30"
    yield from _comment(
        "LiteLLM's own rule for leaving a region out goes by the status: one caller's 404 would switch a model off for "
        "everybody. faults.attributed (below) goes by whose fault it is.",
        "  ",
    )
    yield "  disable_cooldowns: true"
    if pairs := list(fallbacks(names)):
        yield "  # When every deployment of a model fails: a model of about the same price elsewhere."
        yield "  fallbacks:"
        yield from (f"    - {_scalar(name)}: [{_scalar(substitute)}]" for name, substitute in pairs)


def _scalar(value: str) -> str:
    """A text as YAML has it: in quotes only where it would be something else without."""
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/@+-]*", value) and yaml.safe_load(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)
