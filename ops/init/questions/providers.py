"""The providers of models, the models of each, and where an environment finds them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from ops.init import config_file, models
from ops.init.answers import Answers
from ops.init.kinds import YES_NO, RefusedError, choice, mapping, number, setting, text, texts
from ops.init.meaning import environment_of
from ops.init.questions.question import Context, Default, Question, always, before, given, part
from stacks.litellm_config import PROVIDER_SETTINGS, ConfigError, load_config
from stacks.litellm_config.provider import Address
from stacks.litellm_config.providers import BY_NAME
from stacks.settings import Environment, Gateway, Providers, Region
from stacks.settings.values import like

ServerAddress = Annotated[
    str,
    like(
        r"https?://[a-z0-9.-]+(:\d{1,5})?(/[\w./-]*)?",
        "no address: write it as http://HOST:PORT/v1, with its name in small letters",
    ),
]
_NO_PEER: Final = "no security group and no range: write it as sg-… or as 10.1.2.0/24"


def _geography(context: Context) -> str:
    return str(context.get("bedrock.geography") or models.NO_PROFILE)


def _check_listed(key: str) -> Callable[[Context, Any], None]:
    """Refuse models that make no config.yaml."""

    def check_listed(context: Context, value: Any) -> None:  # noqa: ANN401 - an answer
        answers = Answers({**context.answers.company, key: value}, context.answers.environments)
        some = environment_of(context.answers, context.answers.named[0]).plain_variables
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "config.yaml"
            file.write_text(config_file.written(answers), "utf-8")
            try:
                place = models.server_place(answers.company)
                servers = {Address(*place): True} if place else {}
                load_config(file, provided={*some, *PROVIDER_SETTINGS}, servers=servers)
            except ConfigError as error:
                # The first is enough, and its line is of a file that nobody sees.
                (first, *_) = str(error).splitlines()
                raise RefusedError(re.sub(rf"^{re.escape(str(file))}: (line \d+: )?", "", first).rstrip(".")) from error

    return check_listed


_ASKED: Final[tuple[str, ...]] = ("bedrock", "azure", "vertex", *models.APIS, "server")


def _is_written(context: Context) -> bool:
    """Whether config.yaml is written from the answers."""
    return not context.get("own_config")


def _always(_: Context) -> bool:
    """Of a provider whose address is a setting, which a config.yaml of one's own needs as well."""
    return True


def _check_any_provider(context: Context, value: bool) -> None:
    if _is_written(context) and not (value or any(context.get(name) for name in _ASKED)):
        raise RefusedError(f"no provider is left: say yes to one of {', '.join(_ASKED[:-1])} and {_ASKED[-1]}")


def _models(provider: str, named: str, default: Default, more: str = "") -> Question:
    """Which of a provider's models are called, and by what."""
    key, kind = f"{provider}.models", texts(TypeAdapter(tuple[str, ...]))
    why = f"NAME, or NAME={named} where it is called otherwise there.{more}"
    return Question(key, "Models", kind, why, default, when=_is_written, check=_check_listed(key))


PROVIDERS: Final = (
    part(
        "own_config",
        "Leave config.yaml as it is, with models of its own",
        "yes if make import has brought it, or somebody has written it: nothing is written into it. no writes it from "
        "the answers that follow.",
    ),
    part(
        "bedrock",
        "Use Amazon Bedrock",
        "In the environment's own account, with the role of its tasks.",
        wanted=True,
        when=_is_written,
    ),
    Question(
        "bedrock.geography",
        "Geography of inference profiles",
        choice(*models.REGIONS, models.NO_PROFILE),
        "Where prompts may be processed: us, eu, jp, au, apac, or global, which is nowhere in particular. "
        "none calls each region's models by themselves, which most current ones do not offer.",
        lambda context: models.geographies_of(context.home),
    ),
    Question(
        "bedrock.regions",
        "Regions to call",
        texts(TypeAdapter(tuple[Region, ...])),
        "Each model has a deployment in each: load spreads, and a region that answers 429 is left out a while.",
        lambda context: list(models.regions_of(_geography(context), context.home)),
        check=lambda context, value: models.check_regions(_geography(context), value),
    ),
    _models(
        "bedrock",
        "ID",
        lambda context: list(models.offered(_geography(context))),
        " One that not all regions have: NAME@REGION, or NAME@REGION+REGION.",
    ),
    part(
        "azure",
        "Use Azure OpenAI",
        "A resource for each environment, or one for all; its key is a secret. With a config.yaml of your own: yes if "
        "it refers to os.environ/AZURE_API_BASE.",
    ),
    _models("azure", "DEPLOYMENT", always(list(models.AZURE))),
    part(
        "vertex",
        "Use Google's Vertex AI",
        "A project for each environment, or one for all; the key of a service account is a secret. With a config.yaml "
        "of your own: yes if it refers to os.environ/VERTEXAI_PROJECT.",
    ),
    _models("vertex", "ID", always(list(models.VERTEX))),
    Question(
        "vertex.location",
        "Location of Vertex AI",
        text(setting(Providers, "vertexai_location")),
        "global, eu, us, or a region such as europe-west1.",
        always("global"),
    ),
    *(
        question
        for name, offered in models.APIS.items()
        for question in (
            part(
                name,
                f"Use {BY_NAME[name].title}",
                f"Its key, {BY_NAME[name].variables['api_key']}, is a secret of each environment.",
                when=_is_written if BY_NAME[name].implied == ("api_key",) else _always,
            ),
            _models(name, "ID", always(list(offered))),
        )
    ),
    part(
        "server",
        "Use a server of models of your own",
        "vLLM, Ollama, or whatever speaks OpenAI's format, in the VPC or elsewhere. A second one is written by hand.",
        when=_is_written,
        check=_check_any_provider,
    ),
    Question(
        "server.speaks",
        "What it speaks",
        choice(*models.SERVERS),
        "vllm is OpenAI's format, which others speak too; ollama has a format of its own.",
        always("vllm"),
    ),
    Question(
        "server.address",
        "Its address",
        text(TypeAdapter(ServerAddress)),
        "As the tasks call it: http://vllm.internal.example.com:8000/v1 (with /v1 for OpenAI's format). HTTP without "
        "TLS is for a server within the network alone.",
    ),
    Question(
        "server.key",
        "Does it ask for a key",
        YES_NO,
        "HOSTED_VLLM_API_KEY or OLLAMA_API_KEY is then a secret of each environment.",
        always(False),
    ),
    *(
        Question(
            f"server.{kind}_price",
            f"US dollars of a million tokens of {what}",
            number(TypeAdapter(Annotated[float, Field(ge=0)])),
            "What budgets and reports are to count: nobody bills them. 0 counts nothing.",
            always(0),
        )
        for kind, what in (("input", "prompts"), ("output", "answers"))
    ),
    _models("server", "ID", always(None)),
)
"""Of the company as a whole: which providers, which of their models, and called where."""

ADDRESSES: Final = (
    Question(
        "azure_api_base",
        "Address of the Azure OpenAI resource",
        text(setting(Providers, "azure_api_base")),
        "https://NAME.openai.azure.com",
        before("azure_api_base"),
        when=given("azure"),
    ),
    Question(
        "azure_ai_api_base",
        "Address of the Azure AI Foundry resource",
        text(setting(Providers, "azure_ai_api_base")),
        "https://NAME.services.ai.azure.com",
        before("azure_ai_api_base"),
        when=given("azure_ai"),
    ),
    Question(
        "vertex_project",
        "Project of Google Cloud",
        text(setting(Providers, "vertexai_project")),
        "Its id, not its name.",
        before("vertex_project"),
        when=given("vertex"),
    ),
    Question(
        "server_peer",
        "Security group or range of the server of models",
        text(TypeAdapter(Annotated[str, like(r"sg-[0-9a-f]{8,17}|[0-9.]+/\d+", _NO_PEER)])),
        "sg-…, the server's or its load balancer's, or a range such as 10.1.2.0/24: where the tasks are let out to.",
        before("server_peer"),
        when=lambda context: models.server_place(context.answers.company) is not None,
    ),
    Question(
        "variables",
        "Plain variables that config.yaml refers to, beside those of the providers",
        mapping(setting(Environment, "variables")),
        "NAME=value, with spaces between; never a secret, whose name ends in _KEY, _TOKEN, _PASSWORD and the like.",
        before("variables"),
        when=given("own_config"),
        optional=True,
    ),
    Question(
        "gateway",
        "Size of the tasks, where it is not that of the size",
        mapping(TypeAdapter(Gateway)),
        "cpu=1024 memory=4096 workers=1 min_tasks=1 max_tasks=2, as docs/settings.md has them.",
        before("gateway"),
        when=given("own_config"),
        optional=True,
    ),
)
"""Of each environment: its own resource or project of a provider, and what a config.yaml of its own needs."""
