"""The file is read, and what would only fail at run time is refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from stacks.litellm_config.bedrock import BEDROCK_ARN, GEOGRAPHIES, bedrock_regions, geography_of, profile_or_model
from stacks.litellm_config.catalog import ConfigError, catalog
from stacks.litellm_config.config import LiteLlmConfig
from stacks.litellm_config.model import PRICES_FROM, PROVIDERS, Model
from stacks.litellm_config.prices import CALLBACK, problem
from stacks.litellm_config.variables import (
    ALERTING,
    CALLBACKS,
    CORE_SECRETS,
    OVERWRITTEN,
    PROVIDER_SETTINGS,
    REFERENCE,
    SECRET_SUFFIXES,
    SECRET_VALUE,
    TASK_VARIABLES,
)

SECTIONS: Final = ("general_settings", "litellm_settings", "router_settings")
UNSUPPORTED: Final = {
    "environment_variables": "the environment's settings give the task its variables, so name them there",
    "include": "the image holds this one file, so write the included entries into it",
}
CALLBACK_SETTINGS: Final = ("callbacks", "success_callback", "failure_callback", "service_callback")
FALLBACK_SETTINGS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks")

BUDGET_CALLBACK: Final = "budgets.refusals"
"""What says to people that a budget is used up; it is container/budgets.py, where the status has its reason too."""
BUDGET_STATUS: Final = 400

MAX_REQUEST_TIMEOUT: Final = 3600
"""Seconds: a target group waits no longer for the last answers of a task that goes (deregistration delay)."""

_TEXTS: Final = frozenset(
    {"api_base", "api_key", "api_version", "aws_region_name", "model", "model_id"}
    | {"vertex_credentials", "vertex_location", "vertex_project"}
)
"""The settings of `litellm_params` that this file asks for."""

_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_SECRET_SETTING: Final = re.compile(
    r"(_key|_token|_password|_secret|_credentials|_license|_webhook_url|access_key_id)$"
)


def load_config(path: Path, *, provided: Collection[str] = (), licensed: bool = False) -> LiteLlmConfig:
    """Read and check the file.

    Parameters
    ----------
    path
        LiteLLM's config.yaml.
    provided
        Names of the plain variables that the environment's settings give to the task, beyond TASK_VARIABLES.
    licensed
        Whether the company holds a LiteLLM licence, which some callbacks need in production.

    Raises
    ------
    ConfigError
        For the first mistake found.

    """
    return _Checker(path, frozenset(provided), licensed).check()


@dataclass(frozen=True)
class _Checker:
    """Checks one file, top to bottom, and stops at the first mistake."""

    path: Path
    provided: frozenset[str]
    licensed: bool

    def refuse(self, where: str, problem: str) -> NoReturn:
        sentence = f"{self.path}: {where}: {problem}."
        # What it quotes may have anything in it, and a sentence is a line.
        raise ConfigError("".join(each if each.isprintable() else repr(each)[1:-1] for each in sentence))

    def check(self) -> LiteLlmConfig:
        document = self.parse()
        self.check_keys("top level", document, catalog()["top_level"])
        for key, advice in UNSUPPORTED.items():
            if key in document:
                self.refuse(key, f"this gateway does not use it: {advice}")
        sections = {name: self.mapping(name, document.get(name) or {}) for name in SECTIONS}
        for name, section in sections.items():
            self.check_keys(name, section, catalog()["settings"][name])
        models = self.models(document.get("model_list"))
        self.check_fallbacks(models, sections)
        callbacks = self.callbacks(sections["litellm_settings"])
        if dated := next((model for model in models if PRICES_FROM in model.info), None):
            self.check_charged(dated, sections["litellm_settings"].get("callbacks"))
        alerting = self.choices("general_settings.alerting", sections["general_settings"].get("alerting"), ALERTING)
        secrets, variables = self.secrets_and_variables(document, callbacks, alerting)
        return LiteLlmConfig(
            path=self.path,
            models=models,
            secrets=secrets,
            variables=variables,
            callbacks=callbacks,
            licensed_callbacks=tuple(name for name in callbacks if CALLBACKS[name].licensed),
            alerting=alerting,
            database_pool_limit=self.number(sections, "general_settings", "database_connection_pool_limit", 500),
            request_timeout=self.number(sections, "litellm_settings", "request_timeout", MAX_REQUEST_TIMEOUT),
            warnings=tuple(
                f"{self.path}: {model.entry}: LiteLLM {catalog()['litellm']} knows no price for {model.model}, so its "
                "use would cost nothing in reports and budgets; set model_info.input_cost_per_token and "
                "output_cost_per_token, or model_info.base_model."
                for model in models
                if not model.is_priced()
            )
            + tuple(self.budget_warnings(sections, callbacks)),
        )

    def budget_warnings(self, sections: Mapping[str, Mapping[str, Any]], callbacks: Collection[str]) -> Iterator[str]:
        """Yield what LiteLLM does about budgets by its defaults that costs more, or helps less, than it has to."""
        if sections["general_settings"].get("disable_budget_reservation") is not True:
            yield (
                f"{self.path}: general_settings.disable_budget_reservation is not true, so LiteLLM counts the tokens of"
                " every prompt of whoever has a budget before it is sent: four fifths of the CPU of what a coding agent"
                " sends. docs/costs.md says what a budget can be overspent by without."
            )
        if sections["litellm_settings"].get("budget_exceeded_status_code") != BUDGET_STATUS:
            yield (
                f"{self.path}: litellm_settings.budget_exceeded_status_code is not {BUDGET_STATUS}: tools try again"
                " after another status, and some do not show why they were refused."
            )
        if BUDGET_CALLBACK not in callbacks:
            yield (
                f"{self.path}: litellm_settings.callbacks has no {BUDGET_CALLBACK}, so who has used up a budget is not"
                " told when it begins anew and how to ask for a larger one."
            )

    def parse(self) -> dict[str, Any]:
        try:
            document = yaml.load(self.path.read_text("utf-8"), StrictLoader)  # noqa: S506 - it is a SafeLoader
        except FileNotFoundError:
            raise ConfigError(f"{self.path}: there is no such file; it is LiteLLM's list of models.") from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            self.refuse(f"line {line}", f"not valid YAML: {error.problem}")
        except (yaml.reader.ReaderError, UnicodeDecodeError) as error:
            self.refuse("top level", f"a character that YAML has no place for ({error.reason}): write it as UTF-8")
        except (ValueError, OverflowError) as error:  # of a date or a number that is none
            self.refuse("top level", f"not valid YAML: {error}")
        return self.mapping("top level", document)

    def mapping(self, where: str, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.refuse(where, "it must be a mapping of names to values")
        for key in value:
            if not isinstance(key, str):
                self.refuse(where, f"the key {key!r} is not text: put it in quotes")
        return value

    def check_keys(self, where: str, mapping: Mapping[str, Any], known: Collection[str]) -> None:
        for key in mapping:
            if key in known:
                continue
            homes = [name for name in SECTIONS if key in catalog()["settings"][name]]
            if homes:
                self.refuse(where, f"{key!r} is not read here: move it to {homes[0]}")
            self.refuse(where, f"unknown key {key!r}: {_suggestion(key, known)}")

    def models(self, entries: object) -> tuple[Model, ...]:
        if not isinstance(entries, list) or not entries:
            self.refuse("model_list", "it must list at least one model")
        models = tuple(self.model(index, entry) for index, entry in enumerate(entries, start=1))
        seen: dict[tuple[object, ...], Model] = {}
        for model in models:
            places = ("aws_region_name", "api_base", "vertex_project", "vertex_location", "model_id")
            identity = (model.name, model.model, *(model.parameters.get(place) for place in places))
            if identity in seen:
                self.refuse(model.entry, f"it repeats {seen[identity].entry}: remove one or change its region or base")
            seen[identity] = model
            if wrong := problem(model):
                self.refuse(*wrong)
        return models

    def model(self, index: int, entry: object) -> Model:
        where = f"model_list entry {index}"
        mapping = self.mapping(where, entry)
        name = mapping.get("model_name")
        if not isinstance(name, str) or not name:
            self.refuse(where, "it has no model_name: add the name that callers ask for")
        where = f"{where} ({name})"
        self.check_keys(where, mapping, ("model_name", "litellm_params", "model_info", "access_groups"))
        parameters = self.mapping(f"{where}.litellm_params", mapping.get("litellm_params") or {})
        for key in _TEXTS & parameters.keys():
            if not isinstance(parameters[key], str):
                self.refuse(f"{where}.litellm_params", f"{key} is to be text: put it in quotes")
        info = self.mapping(f"{where}.model_info", mapping.get("model_info") or {})
        self.check_keys(f"{where}.litellm_params", parameters, catalog()["settings"]["litellm_params"])
        self.check_keys(f"{where}.model_info", info, (*catalog()["settings"]["model_info"], PRICES_FROM))
        full = parameters.get("model")
        if not isinstance(full, str) or not full:
            self.refuse(where, "litellm_params has no model: add provider/model-id")
        provider, slash, _ = full.partition("/")
        if not slash or provider not in PROVIDERS:
            self.refuse(
                where,
                f"the provider of {full!r} is not one of {', '.join(PROVIDERS)}: begin it with one, as in bedrock/…",
            )
        model = Model(name, provider, full, parameters.get("aws_region_name"), parameters, info, where)
        if provider == "bedrock":
            self.check_bedrock(model)
        else:
            if model.region:
                self.refuse(where, f"aws_region_name means nothing to {provider}: remove it")
            needed = {"azure": ("api_base", "api_key"), "vertex_ai": ("vertex_project", "vertex_location")}[provider]
            for parameter in needed:
                if not isinstance(parameters.get(parameter), str):
                    self.refuse(where, f"litellm_params has no {parameter}: {provider} needs it, as in os.environ/NAME")
        return model

    def check_bedrock(self, model: Model) -> None:
        region, where = model.region, model.entry
        if not region:
            self.refuse(where, "a Bedrock entry has no aws_region_name: add the region to call, as in us-west-2")
        if region not in bedrock_regions():
            self.refuse(where, f"aws_region_name {region!r} is not a region: {_suggestion(region, bedrock_regions())}")
        if model.id.startswith("arn:") and "model_id" in model.parameters:
            self.refuse(
                where, "both model and model_id are given as ARNs: name the model in one and its ARN in model_id"
            )
        invoked = str(model.parameters.get("model_id") or model.id)
        if invoked.startswith("arn:"):
            arn = BEDROCK_ARN.fullmatch(invoked)
            if not arn:
                self.refuse(
                    where, f"{invoked!r} is not the ARN of one Bedrock model or inference profile: copy it whole"
                )
            if arn["region"] != region:
                self.refuse(
                    where, f"its ARN is in {arn['region']!r} but aws_region_name is {region!r}: make them equal"
                )
            if arn["kind"] == "application-inference-profile" and not model.base:
                self.refuse(
                    where, "an application inference profile does not tell its model: set model_info.base_model"
                )
        elif "/" in invoked:
            self.refuse(
                where,
                f"{invoked!r} has an unknown route: write bedrock/model-id, or bedrock/converse/… or bedrock/invoke/…",
            )
        for name in filter(None, (profile_or_model(invoked), model.base)):
            self.check_geography(model, name)

    def check_geography(self, model: Model, name: str) -> None:
        """Refuse an id whose geography may not be called from the region: of what is invoked, or of its model."""
        if "*" in name or "." not in name:
            self.refuse(
                model.entry,
                f"{name!r} is not a Bedrock model id: write it as vendor.model, as in amazon.nova-2-lite-v1:0",
            )
        geography, rest = geography_of(name)
        first, _, after = name.partition(".")
        if not geography and after in catalog()["prices"]:
            self.refuse(
                model.entry, f"{first!r} is not a geography of inference profiles: {_suggestion(first, GEOGRAPHIES)}"
            )
        if geography and not str(model.region).startswith(GEOGRAPHIES[geography].callers):
            self.refuse(
                model.entry,
                f"the inference profile {name!r} cannot be called from {model.region!r}: "
                f"use the profile of that geography, or global.{rest}",
            )

    def check_fallbacks(self, models: tuple[Model, ...], sections: Mapping[str, Mapping[str, Any]]) -> None:
        aliases = self.mapping(
            "router_settings.model_group_alias", sections["router_settings"].get("model_group_alias") or {}
        )
        listed = {model.name for model in models}
        for alias, target in aliases.items():
            name = target.get("model") if isinstance(target, dict) else target
            if not isinstance(name, str) or name not in listed:
                self.refuse(
                    "router_settings.model_group_alias",
                    f"{alias!r} stands for {name!r}, which is no model_name: {_suggestion(str(name), listed)}",
                )
        listed |= aliases.keys()
        for section in ("router_settings", "litellm_settings"):
            for setting in FALLBACK_SETTINGS:
                for name in _fallback_names(sections[section].get(setting) or ()):
                    if not isinstance(name, str) or (name not in listed and name != "*"):
                        problem = f"{name!r} is no model_name: {_suggestion(str(name), listed)}"
                        self.refuse(f"{section}.{setting}", problem)

    def callbacks(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        named = dict.fromkeys(
            name
            for setting in CALLBACK_SETTINGS
            for name in self.choices(f"litellm_settings.{setting}", settings.get(setting), CALLBACKS)
        )
        for name in named:
            if CALLBACKS[name].licensed and not self.licensed:
                self.refuse(
                    "litellm_settings",
                    f"the callback {name} needs a LiteLLM licence in production: remove it (general_settings.alerting: "
                    "[email] sends mail without one), or set litellm_license in the environment's settings",
                )
        return tuple(named)

    def check_charged(self, model: Model, callbacks: Sequence[str] | None) -> None:
        """Refuse prices with a day that nobody would charge on it."""
        if CALLBACK not in (callbacks or ()):
            self.refuse(
                "litellm_settings.callbacks",
                f"{model.entry} has {PRICES_FROM}, which only the callback {CALLBACK} charges: add it to the list",
            )

    def choices(self, where: str, value: object, known: Collection[str]) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.refuse(where, f"it must be a list, as in [{next(iter(known))}]")
        for name in value:
            if not isinstance(name, str) or name not in known:
                self.refuse(where, f"{name!r} is not set up in this gateway: {_suggestion(str(name), known)}")
        return tuple(value)

    def number(self, sections: Mapping[str, Mapping[str, Any]], section: str, key: str, most: int) -> int:
        value = sections[section].get(key)
        if type(value) is not int or not 1 <= value <= most:
            self.refuse(f"{section}.{key}", f"it must be a whole number from 1 to {most}, not {value!r}")
        return value

    def secrets_and_variables(
        self, document: object, callbacks: Iterable[str], alerting: Iterable[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the secrets and of the plain variables, referred to or implied."""
        secrets, variables = set(CORE_SECRETS), set[str]()
        for where, key, value in _scalars(document):
            if name := self.reference(where, key, value):
                (secrets if name in CORE_SECRETS or name.endswith(SECRET_SUFFIXES) else variables).add(name)
                if name in variables - TASK_VARIABLES - self.provided:
                    self.refuse(where, f"nothing provides {name}: {_provision(name)}")
        needs = {f"litellm_settings.callbacks ({name})": CALLBACKS[name] for name in callbacks}
        needs |= {f"general_settings.alerting ({name})": ALERTING[name] for name in alerting}
        for where, need in needs.items():
            if missing := [name for name in need.variables if name not in self.provided]:
                self.refuse(where, f"nothing provides {', '.join(missing)}: {_provision(missing[0])}")
            secrets.update(need.secrets)
            variables.update(need.variables)
        return tuple(sorted(secrets)), tuple(sorted(variables - secrets - TASK_VARIABLES))

    def reference(self, where: str, key: str, value: object) -> str | None:
        """The NAME if the value is os.environ/NAME; refuses a value that would not be replaced, or is a secret."""
        if not isinstance(value, str):
            return None
        if value.startswith(REFERENCE):
            name = value.removeprefix(REFERENCE)
            if not _VARIABLE.fullmatch(name):
                self.refuse(where, f"{name!r} is no variable's name: use capitals, digits and underscores")
            if name in OVERWRITTEN:
                self.refuse(where, f"LiteLLM sets {name} itself and would drop this entry: write the value here")
            return name
        if REFERENCE in value:
            self.refuse(
                where,
                "LiteLLM replaces os.environ/NAME only where it is the whole value: put all of it into one variable",
            )
        if SECRET_VALUE.search(value) or _SECRET_SETTING.search(key):
            self.refuse(where, "a secret in plain text: write os.environ/NAME and put the value into the secret NAME")
        return None


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that is written twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As SafeLoader does."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key that is no text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _provision(name: str) -> str:
    """Where the value of a plain variable is to be written, or what else the name may be meant for."""
    if setting := PROVIDER_SETTINGS.get(name):
        return f"set providers.{setting} of the environment in company/environments.py"
    return (
        "name it in variables of the environment in company/environments.py, or, if it is a secret, end its name in "
        f"one of {', '.join(SECRET_SUFFIXES)}"
    )


def _suggestion(word: str, known: Iterable[str]) -> str:
    """What to do about an unknown word: the closest known one, or all of them if they are few."""
    words = sorted(known)
    if close := difflib.get_close_matches(word, words, n=1):
        return f"did you mean {close[0]!r}"
    return f"use one of {', '.join(words)}" if len(words) <= 10 else "LiteLLM would ignore it, so remove it"


def _fallback_names(value: object) -> Iterator[object]:
    """The model names in [{model: [fallback, …]}, …] or [fallback, …]; what is no such list, as it is."""
    if not isinstance(value, list | tuple):
        yield value
        return
    for item in value:
        if isinstance(item, dict):
            for model, fallbacks in item.items():
                yield model
                for name in fallbacks if isinstance(fallbacks, list) else [fallbacks]:
                    yield name.get("model") if isinstance(name, dict) else name
        else:
            yield item


def _scalars(value: object, where: str = "", key: str = "") -> Iterator[tuple[str, str, object]]:
    """Every scalar below a value, with the path to it and the key that it stands under."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _scalars(item, f"{where}.{name}" if where else str(name), str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value, start=1):
            label = f" ({item['model_name']})" if isinstance(item, dict) and "model_name" in item else ""
            yield from _scalars(item, f"{where} entry {index}{label}", key)
    else:
        yield where, key, value
