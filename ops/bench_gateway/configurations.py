"""The three LiteLLMs that are compared: what each is started with.

- Ours is what is deployed: command and variables of the synthesized task definition, and the image's folder with the
  company's config.yaml. A later change of any of them is measured by itself.
- The article's is how LiteLLM is often published for a company: four workers, prompts kept out of the logs, Datadog by
  LiteLLM's own callback; everything else as LiteLLM has it.
- The default is LiteLLM with a list of models, a database and a master key.

The models and their fallbacks are the company's in all three.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from stacks.company import Company
from stacks.gateway.stack import SERVE

OURS: Final = "ours"
ARTICLE: Final = "article"
DEFAULT: Final = "default"
NAMES: Final = (OURS, ARTICLE, DEFAULT)
TITLES: Final = {OURS: "ours", ARTICLE: "the article's", DEFAULT: "LiteLLM's defaults"}

ARTICLE_WORKERS: Final = 4
# uvicorn ends a worker that does not answer for 5 s, which is how long LiteLLM's import takes where several share a
# processor: it would start them again and again.
PATIENT: Final = {"TIMEOUT_WORKER_HEALTHCHECK": "300"}
# Prices and the like come from the package: there is no way to GitHub on this machine.
OFFLINE: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
}


class ConfigurationError(Exception):
    """What is deployed cannot be run here, in one sentence."""


@dataclass(frozen=True)
class Configuration:
    """What a LiteLLM is started with.

    Parameters
    ----------
    name
        One of `NAMES`.
    command
        The command line, run in a folder that has config.yaml; the port is in the variable PORT.
    variables
        Its plain variables and secrets, but for what is this machine's: the way to the database, to the providers.
    config
        The text of config.yaml; None where the image's folder has it.
    workers
        As many as have to say in the log that they have started; 0 where the log says nothing of it.
    """

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str]
    config: str | None = None
    workers: int = 0


def task_of(template: Mapping[str, Any], elsewhere: Mapping[str, object]) -> dict[str, str]:
    """The plain variables of the service's container in a synthesized template.

    Parameters
    ----------
    template
        The stack Gateway's.
    elsewhere
        Those that have another value on this machine, whatever the template says.

    Raises
    ------
    ConfigurationError
        There is no such task definition, or a variable's value is known to CloudFormation only.
    """
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ECS::TaskDefinition":
            (container, *_) = resource["Properties"]["ContainerDefinitions"]
            if container["Command"] == [*SERVE]:
                found = {entry["Name"]: entry["Value"] for entry in container["Environment"]}
                unknown = [name for name in found if name not in elsewhere and not isinstance(found[name], str)]
                if unknown:
                    raise ConfigurationError(
                        f"the task definition has {', '.join(unknown)} from another resource, which is not known here: "
                        "give it a value for this machine in local/gateway.py"
                    )
                return {name: value for name, value in found.items() if isinstance(value, str)}
    raise ConfigurationError(f"the stack Gateway has no task definition with the command {' '.join(SERVE)}")


def ours(template: Mapping[str, Any], own: Mapping[str, str], elsewhere: Mapping[str, object]) -> Configuration:
    """What is deployed, with the secrets of this run."""
    variables = task_of(template, elsewhere)
    return Configuration(OURS, ("./entrypoint.sh", *SERVE), {**variables, **own})


def article(company: Company, own: Mapping[str, str]) -> Configuration:
    """Four workers, LiteLLM's Datadog callback and no messages in logs; all else is LiteLLM's default."""
    config = _models(company) | {
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
        "litellm_settings": {"callbacks": ["datadog"], "turn_off_message_logging": True},
    }
    command = ("litellm", "--config", "config.yaml", "--num_workers", str(ARTICLE_WORKERS))
    return Configuration(ARTICLE, command, {**OFFLINE, **PATIENT, **own}, json.dumps(config, indent=1), ARTICLE_WORKERS)


def default(company: Company, own: Mapping[str, str]) -> Configuration:
    """LiteLLM with models, a database and a master key."""
    config = _models(company) | {"general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"}}
    command = ("litellm", "--config", "config.yaml")
    return Configuration(DEFAULT, command, {**OFFLINE, **own}, json.dumps(config, indent=1))


def keys() -> dict[str, str]:
    """A master key and a salt key, as `make secrets` makes them."""
    return {"LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(16)}", "LITELLM_SALT_KEY": f"sk-{secrets.token_hex(16)}"}


def fallbacks(company: Company) -> dict[str, list[str]]:
    """Which models of config.yaml have others to fall back to."""
    settings = _file(company.config).get("router_settings") or {}
    return {name: others for entry in settings.get("fallbacks") or [] for name, others in entry.items()}


def _models(company: Company) -> dict[str, Any]:
    file = _file(company.config)
    entries = [{key: entry[key] for key in ("model_name", "litellm_params")} for entry in file["model_list"]]
    others = [{name: models} for name, models in fallbacks(company).items()]
    return {"model_list": entries} | ({"router_settings": {"fallbacks": others}} if others else {})


def _file(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text("utf-8")))
