"""Reads LiteLLM's own config.yaml, refuses what would only fail at run time, and derives from it.

The file is the one list of models. The stacks ask of it: the Bedrock actions and resources of the task role, the names
of the task's secrets and plain variables, the database connections of one worker, the longest request, the hosts.
Nothing here needs the network or an installed LiteLLM: what the pinned version knows (names of settings, models with a
price) is in `litellm_catalog.json`, which `ops/catalog.py` writes.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import urlsplit

import botocore.session
import yaml

CATALOG: Final = Path(__file__).with_name("litellm_catalog.json")

CORE_SECRETS: Final = ("DATABASE_PASSWORD", "LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "UI_PASSWORD")
"""Secrets of every environment, whatever the file says."""

TASK_VARIABLES: Final = frozenset(
    {"AWS_REGION", "DATABASE_HOST", "DATABASE_NAME", "DATABASE_PORT", "DATABASE_USERNAME", "NUM_WORKERS", "PORT"}
    | {"PROXY_BASE_URL", "UI_USERNAME"}
)
"""Plain variables that the task definition always has, so the file may refer to them."""

OVERWRITTEN: Final = frozenset({"AZURE_API_VERSION"})
"""Variables that LiteLLM's command line sets itself (seen in 1.106.2): an entry that refers to one changes its identity
while LiteLLM runs, and is dropped."""

SECRET_SUFFIXES: Final = ("_KEY", "_TOKEN", "_PASSWORD", "_SECRET", "_CREDENTIALS", "_LICENSE", "_WEBHOOK_URL")
"""A variable whose name ends like this is a secret; every other one is plain."""


PROVIDER_SETTINGS: Final = {
    "AZURE_API_BASE": "azure_api_base",
    "VERTEXAI_LOCATION": "vertexai_project",  # which has a location by default
    "VERTEXAI_PROJECT": "vertexai_project",
}
"""The settings of an environment's `providers` that give a plain variable."""


class Needs(NamedTuple):
    """What a callback or a kind of alerting reads from the environment by itself, and whom it calls."""

    secrets: tuple[str, ...]
    variables: tuple[str, ...]
    hosts: tuple[str, ...]  # with {VARIABLE} in them
    licensed: bool = False


_SMTP: Final = Needs(
    ("SMTP_PASSWORD", "SMTP_USERNAME"),
    ("SMTP_HOST", "SMTP_PORT", "SMTP_SENDER_EMAIL", "SMTP_TLS"),
    ("{SMTP_HOST}",),
)
CALLBACKS: Final = {
    # container/masking.py; LiteLLM's own `datadog` would send error texts, which can quote a prompt.
    "masking.datadog": Needs(
        ("DD_API_KEY",), ("DD_ENV", "DD_SERVICE", "DD_SITE", "DD_SOURCE"), ("http-intake.logs.{DD_SITE}",)
    ),
    # Lives in litellm-enterprise, whose licence allows production use to subscribers only.
    "smtp_email": Needs((*_SMTP.secrets, "LITELLM_LICENSE"), _SMTP.variables, _SMTP.hosts, licensed=True),
}
"""The callbacks that this gateway can feed. Another one is a row here, with the variables that LiteLLM reads for it."""

ALERTING: Final = {
    "slack": Needs(("SLACK_WEBHOOK_URL",), (), ("hooks.slack.com",)),
    "email": _SMTP,
}

PROVIDERS: Final = ("azure", "bedrock", "vertex_ai")
"""The prefixes of `litellm_params.model` for which the task has credentials and a way out."""

SECTIONS: Final = ("general_settings", "litellm_settings", "router_settings")
UNSUPPORTED: Final = {
    "environment_variables": "the environment's settings give the task its variables, so name them there",
    "include": "the image holds this one file, so write the included entries into it",
}
CALLBACK_SETTINGS: Final = ("callbacks", "success_callback", "failure_callback", "service_callback")
FALLBACK_SETTINGS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks")

MAX_REQUEST_TIMEOUT: Final = 3600
"""Seconds: a target group waits no longer for the last answers of a task that goes (deregistration delay)."""

BEDROCK_ACTIONS: Final = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
"""Converse and ConverseStream have no action of their own: they need these two.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"""

BEDROCK_ROUTES: Final = ("converse", "invoke")


class Geography(NamedTuple):
    """Where an inference profile may be called, and the regions of its models beside the calling region."""

    callers: tuple[str, ...]  # beginnings of region names
    destinations: tuple[str, ...]


GEOGRAPHIES: Final = {
    "us": Geography(("us-east-", "us-west-", "ca-"), ("us-east-1", "us-east-2", "us-west-2")),
    "eu": Geography(
        ("eu-", "il-"), ("eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3")
    ),
    "apac": Geography(
        ("ap-", "me-"),
        (
            *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2"),
            *("ap-southeast-1", "ap-southeast-2", "ap-southeast-4"),
        ),
    ),
    "jp": Geography(("ap-northeast-1", "ap-northeast-3"), ("ap-northeast-1", "ap-northeast-3")),
    "au": Geography(("ap-southeast-2", "ap-southeast-4", "ap-southeast-6"), ("ap-southeast-2", "ap-southeast-4")),
    "us-gov": Geography(("us-gov-",), ("us-gov-east-1", "us-gov-west-1")),
    # No region of its own: the model is allowed in the calling region and once without a region.
    "global": Geography(("",), ("",)),
}
"""By the first label of a cross-region inference profile's id. A role needs the profile in the calling region and the
model in that region and every region that the profile routes to; for a global profile, the model's ARN without region:
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
https://docs.aws.amazon.com/bedrock/latest/userguide/geographic-cross-region-inference.html
https://docs.aws.amazon.com/bedrock/latest/userguide/global-cross-region-inference.html
A profile of an older model may route to fewer regions; then a listed ARN is one that Bedrock never asks for."""

_TEXTS: Final = frozenset(
    {"api_base", "api_key", "api_version", "aws_region_name", "model", "model_id"}
    | {"vertex_credentials", "vertex_location", "vertex_project"}
)
"""The settings of `litellm_params` that this file asks for."""

_REFERENCE: Final = "os.environ/"
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_BEDROCK_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):bedrock:(?P<region>[a-z0-9-]*):\d*:(?P<kind>[a-z-]+)/(?P<id>[^/*]+)"
)
_SECRET_SETTING: Final = re.compile(
    r"(_key|_token|_password|_secret|_credentials|_license|_webhook_url|access_key_id)$"
)
SECRET_VALUE: Final = re.compile(
    r"^(sk-|AKIA|ASIA|xox[a-z]-)\w|^-----BEGIN|^https://hooks\.slack\.com/|\"private_key\"|://[^/\s:@]+:[^/\s@]+@"
)


class ConfigError(ValueError):
    """A mistake in the file, in one sentence: the file, the entry, what is wrong and what to do."""


@dataclass(frozen=True)
class Model:
    """One entry of `model_list`: one deployment of a provider that answers for a model name."""

    name: str  # model_name, what callers ask for; entries that share it share its load
    provider: str  # one of PROVIDERS
    model: str  # litellm_params.model, with the provider's prefix
    region: str | None  # aws_region_name; None if not Bedrock
    parameters: Mapping[str, Any]  # litellm_params
    info: Mapping[str, Any]  # model_info
    entry: str  # how messages name it

    @property
    def id(self) -> str:
        """The provider's own id: the model without the prefix and, for Bedrock, without LiteLLM's route."""
        _, _, rest = self.model.partition("/")
        route, _, bare = rest.partition("/")
        return bare if self.provider == "bedrock" and route in BEDROCK_ROUTES else rest

    def bedrock_resources(self, *, partition: str, account: str) -> Iterator[str]:
        """Yield the ARNs that calling this Bedrock entry needs; `partition` and `account` may be CDK tokens."""
        invoked = str(self.parameters.get("model_id") or self.id)
        if arn := _BEDROCK_ARN.fullmatch(invoked):
            yield invoked
            if arn["kind"] not in ("inference-profile", "application-inference-profile"):
                return
            invoked = arn["id"] if arn["kind"] == "inference-profile" else self.base
        else:
            geography, _ = _geography(invoked)
            if geography:
                yield f"arn:{partition}:bedrock:{self.region}:{account}:inference-profile/{invoked}"
        geography, foundation_model = _geography(invoked)
        destinations = GEOGRAPHIES[geography].destinations if geography else ()
        for region in {self.region, *destinations}:
            yield f"arn:{partition}:bedrock:{region}::foundation-model/{foundation_model}"

    @property
    def base(self) -> str:
        """The model behind an application inference profile: what `model` names, or else model_info.base_model."""
        named = self.id if not self.id.startswith("arn:") else str(self.info.get("base_model", ""))
        return named.removeprefix("bedrock/")

    def hosts(self, variables: Mapping[str, str]) -> Iterator[str]:
        """Yield the hosts that calling this entry reaches."""
        if self.provider == "bedrock":
            yield f"bedrock-runtime.{self.region}.amazonaws.com"
        elif self.provider == "azure":
            yield urlsplit(_resolve(self.parameters["api_base"], variables)).hostname or ""
        else:
            yield "oauth2.googleapis.com"
            location = _resolve(self.parameters["vertex_location"], variables)
            if location == "global":
                yield "aiplatform.googleapis.com"
            elif "-" in location:
                yield f"{location}-aiplatform.googleapis.com"
            else:  # the multi-regions eu and us
                yield f"aiplatform.{location}.rep.googleapis.com"

    def is_priced(self) -> bool:
        """Whether LiteLLM can tell what a call costs."""
        if any(name.startswith(("input_cost_per_", "output_cost_per_")) for name in (*self.info, *self.parameters)):
            return True
        names = {self.model, self.id, f"{self.provider}/{self.id}", str(self.info.get("base_model", ""))}
        if self.provider == "bedrock":
            names |= {self.base, _geography(self.base)[1]}
        return not names.isdisjoint(_catalog()["prices"])


@dataclass(frozen=True)
class LiteLlmConfig:
    """What a valid `config.yaml` says that the rest of the code base needs. Made by `load`."""

    path: Path
    models: tuple[Model, ...]
    secrets: tuple[str, ...]  # sorted; environment variables that come from SSM SecureStrings
    variables: tuple[str, ...]  # sorted; plain environment variables beyond TASK_VARIABLES
    callbacks: tuple[str, ...]
    licensed_callbacks: tuple[str, ...]
    alerting: tuple[str, ...]
    database_pool_limit: int  # connections to the database of one worker
    request_timeout: int  # seconds
    warnings: tuple[str, ...]

    @classmethod
    def load(cls, path: Path, *, provided: Collection[str] = (), licensed: bool = False) -> LiteLlmConfig:
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

    @property
    def bedrock_regions(self) -> tuple[str, ...]:
        """The regions that the task calls Bedrock in, sorted."""
        return tuple(sorted({model.region for model in self.models if model.region}))

    @property
    def bedrock_actions(self) -> tuple[str, ...]:
        """The actions that the task role needs on `bedrock_resources`; none if no Bedrock model is listed."""
        return BEDROCK_ACTIONS if self.bedrock_regions else ()

    def bedrock_resources(self, *, partition: str, account: str) -> tuple[str, ...]:
        """ARNs of the listed models and inference profiles, sorted, none with a wildcard.

        `partition` and `account` may be CDK tokens.
        """
        arns = (
            model.bedrock_resources(partition=partition, account=account)
            for model in self.models
            if model.provider == "bedrock"
        )
        return tuple(sorted({arn for each in arns for arn in each}))

    def hosts(self, variables: Mapping[str, str]) -> tuple[str, ...]:
        """Host names that the task calls, sorted, given the values of `self.variables`."""
        hosts = {host for model in self.models for host in model.hosts(variables)}
        needs = (*(CALLBACKS[name] for name in self.callbacks), *(ALERTING[name] for name in self.alerting))
        hosts |= {host.format_map(variables) for need in needs for host in need.hosts}
        return tuple(sorted(hosts))


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
        self.check_keys("top level", document, _catalog()["top_level"])
        for key, advice in UNSUPPORTED.items():
            if key in document:
                self.refuse(key, f"this gateway does not use it: {advice}")
        sections = {name: self.mapping(name, document.get(name) or {}) for name in SECTIONS}
        for name, section in sections.items():
            self.check_keys(name, section, _catalog()["settings"][name])
        models = self.models(document.get("model_list"))
        self.check_fallbacks(models, sections)
        callbacks = self.callbacks(sections["litellm_settings"])
        alerting = self.choices("general_settings.alerting", sections["general_settings"].get("alerting"), ALERTING)
        secrets, variables = self.names(document, callbacks, alerting)
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
                f"{self.path}: {model.entry}: LiteLLM {_catalog()['litellm']} knows no price for {model.model}, so its "
                "use would cost nothing in reports and budgets; set model_info.input_cost_per_token and "
                "output_cost_per_token, or model_info.base_model."
                for model in models
                if not model.is_priced()
            ),
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
            homes = [name for name in SECTIONS if key in _catalog()["settings"][name]]
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
        self.check_keys(f"{where}.litellm_params", parameters, _catalog()["settings"]["litellm_params"])
        self.check_keys(f"{where}.model_info", info, _catalog()["settings"]["model_info"])
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
        if region not in _regions():
            self.refuse(where, f"aws_region_name {region!r} is not a region: {_suggestion(region, _regions())}")
        if model.id.startswith("arn:") and "model_id" in model.parameters:
            self.refuse(
                where, "both model and model_id are given as ARNs: name the model in one and its ARN in model_id"
            )
        invoked = str(model.parameters.get("model_id") or model.id)
        if invoked.startswith("arn:"):
            arn = _BEDROCK_ARN.fullmatch(invoked)
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
        for name in filter(None, (_profile_or_model(invoked), model.base)):
            self.check_geography(model, name)

    def check_geography(self, model: Model, name: str) -> None:
        if "*" in name or "." not in name:
            self.refuse(
                model.entry,
                f"{name!r} is not a Bedrock model id: write it as vendor.model, as in amazon.nova-2-lite-v1:0",
            )
        geography, rest = _geography(name)
        first, _, after = name.partition(".")
        if not geography and after in _catalog()["prices"]:
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

    def names(
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
        if value.startswith(_REFERENCE):
            name = value.removeprefix(_REFERENCE)
            if not _VARIABLE.fullmatch(name):
                self.refuse(where, f"{name!r} is no variable's name: use capitals, digits and underscores")
            if name in OVERWRITTEN:
                self.refuse(where, f"LiteLLM sets {name} itself and would drop this entry: write the value here")
            return name
        if _REFERENCE in value:
            self.refuse(
                where,
                "LiteLLM replaces os.environ/NAME only where it is the whole value: put all of it into one variable",
            )
        if SECRET_VALUE.search(value) or _SECRET_SETTING.search(key):
            self.refuse(where, "a secret in plain text: write os.environ/NAME and put the value into the secret NAME")
        return None


def priced_models() -> frozenset[str]:
    """The models of the gateway's providers that the pinned LiteLLM knows a price of, by LiteLLM's names for them."""
    prices: frozenset[str] = _catalog()["prices"]
    return prices


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


def image_version(dockerfile: Path) -> str:
    """The version of LiteLLM that the image is built on: the Dockerfile is the one place for it.

    Raises
    ------
    ConfigError
        The Dockerfile has no line for it.
    """
    found = re.search(r"^ARG LITELLM_VERSION=(\S+)$", dockerfile.read_text("utf-8"), re.MULTILINE)
    if not found:
        raise ConfigError(f"{dockerfile}: there is no line ARG LITELLM_VERSION=X.Y.Z: put it back")
    return found[1]


@functools.cache
def _catalog() -> dict[str, Any]:
    """What the pinned LiteLLM knows; see ops/catalog.py for the shape."""
    catalog: dict[str, Any] = json.loads(CATALOG.read_text("utf-8"))
    catalog["prices"] = frozenset(catalog["prices"])
    return catalog


@functools.cache
def _regions() -> frozenset[str]:
    """Every region with a Bedrock endpoint, from the list inside botocore."""
    session = botocore.session.Session()
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("bedrock", partition)
    )


def _geography(name: str) -> tuple[str | None, str]:
    """Split an inference profile's id into geography and model id; a model id has no geography."""
    first, _, rest = name.partition(".")
    return (first, rest) if first in GEOGRAPHIES else (None, name)


def _profile_or_model(invoked: str) -> str | None:
    """The id whose geography counts: what is invoked, unless it is an ARN that does not tell it."""
    arn = _BEDROCK_ARN.fullmatch(invoked)
    if not arn:
        return invoked
    return arn["id"] if arn["kind"] in ("inference-profile", "foundation-model") else None


def _resolve(value: str, variables: Mapping[str, str]) -> str:
    return variables[value.removeprefix(_REFERENCE)] if value.startswith(_REFERENCE) else value


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
