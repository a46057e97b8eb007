"""The providers of models, the models of each, and where an environment finds them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from ops.init import config_file, models
from ops.init.answers import Answers
from ops.init.kinds import RefusedError, choice, mapping, setting, text, texts
from ops.init.meaning import environment_of
from ops.init.questions.question import Context, Default, Question, always, before, given, part
from stacks.litellm_config import PROVIDER_SETTINGS, ConfigError, load_config
from stacks.litellm_config.providers import BY_NAME
from stacks.settings import Environment, Gateway, Providers, Region


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
                load_config(file, provided={*some, *PROVIDER_SETTINGS})
            except ConfigError as error:
                # The first is enough, and its line is of a file that nobody sees.
                (first, *_) = str(error).splitlines()
                raise RefusedError(re.sub(rf"^{re.escape(str(file))}: (line \d+: )?", "", first).rstrip(".")) from error

    return check_listed


_ASKED: Final[tuple[str, ...]] = ("bedrock", "azure", "vertex", *models.APIS)


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
                check=_check_any_provider if name == _ASKED[-1] else lambda _, __: None,
            ),
            _models(name, "ID", always(list(offered))),
        )
    ),
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
