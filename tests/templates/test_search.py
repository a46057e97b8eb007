"""Settings and lists of models are searched, not sampled: whatever Hypothesis draws is refused in words, or works.

`make test` tries some, the same each time. A nightly run tries many: HYPOTHESIS_PROFILE=nightly. What it finds becomes
an example here, and the stacks or the settings are mended.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
import yaml
from hypothesis import Phase, event, example, find, given, settings
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import DrawFn, composite, tuples
from pydantic import BaseModel

from stacks.company import EXAMPLE, load
from stacks.environment_stage import EnvironmentStage
from stacks.litellm_config import ConfigError, load_config
from stacks.settings import Environment, Releases, SettingsError, by_name, read
from tests.company.invariants import Deployed, broken
from tests.company.strategies import Written, config_files, environments, releases, served, spoiled
from tests.company.synthesis import by_stack, context
from tests.searched import searched

# Of the kinds that a rule was made for after somebody, or a search, had come upon one: tried each time.
ONE: Written = {
    "name": "dev",
    "account": "111111111111",
    "hosted_zone": {"id": "Z0123456789ABC", "name": "example.com"},
    "domain": "llm.example.com",
    "network": {"zones": ("ap-northeast-1a", "ap-northeast-1c"), "cidr": "10.0.0.0/16"},
    "ingress": {"public": False, "cidrs": ("10.0.0.0/8",), "management_cidrs": ("10.1.0.0/16",)},
}
THREE_ZONES = ("ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d")
FOUND_SETTINGS: tuple[Written, ...] = (
    ONE | {"network": {"zones": THREE_ZONES, "cidr": "10.0.0.0/22"}},
    ONE | {"network": ONE["network"] | {"cidr": "0.0.0.0/16"}},
    ONE | {"network": ONE["network"] | {"cidr": "8.8.0.0/16"}},
    ONE | {"domain": f"{'a' * 60}.example.com"},
    ONE | {"report": {"channel": "C0123456789", "timezone": "localtime"}},
    ONE | {"report": {"channel": "C0123456789", "timezone": "Asia/Tokyo", "hour": 8}},
    ONE | {"tags": {"team": "a", "Team": "b"}},
    ONE | {"tags": {"\u30c1\u30fc\u30e0": "sre"}},
    ONE | {"name": "dev\u2028"},
)
FOUND_FILES: tuple[Written, ...] = (
    {"model_list": [{"model_name": "a", "litellm_params": {"model": 5}}]},
    {"model_list": [{"model_name": "a\u2028b", "litellm_params": {"model": "bedrock/x"}}]},
    {"model_list": [{"model_name": "a", "litellm_params": {"model": "azure/b", "api_base": ["c"]}}]},
    {"model_list": {"a": "b"}, "general_settings": [1]},
    {"general_settings": {"alerting": {"slack": True}}},
    {"router_settings": {"model_group_alias": {"a": {"model": None}}}},
)
COMPANIES = sorted(file.parent for file in EXAMPLE.parent.glob("*/environments.py"))


def known(*found: Written) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Tried each time, before anything is drawn."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        for each in found:
            test = example(written=each)(test)
        return test

    return decorate


def in_words(problem: Exception, names: frozenset[str]) -> None:
    """A refusal is a sentence or a few, each of which names the setting that it is of."""
    lines = str(problem).splitlines()
    assert 1 <= len(lines) <= 40
    for line in lines:
        assert "Value error" not in line and "pydantic" not in line, line
        assert names & set(_words(line)), f"names no setting: {line}"


def _words(line: str) -> Iterator[str]:
    for word in line.replace(":", " ").replace(",", " ").split():
        yield word
        yield from word.split(".")


def fields(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """The name of every setting, with those of its groups before it."""
    for name, field in model.model_fields.items():
        yield f"{before}{name}"
        for group in _models(field.annotation):
            yield from fields(group, f"{before}{name}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in getattr(annotation, "__args__", ()):
        yield from _models(each)


def changed(value: BaseModel, before: str = "") -> Iterator[str]:
    """The settings that have another value than their own default; those without one have."""
    for name, field in type(value).model_fields.items():
        found = getattr(value, name)
        if field.is_required() or found != field.get_default(call_default_factory=True):
            yield f"{before}{name}"
        for each in found if isinstance(found, tuple) else (found,):
            if isinstance(each, BaseModel):
                yield from changed(each, f"{before}{name}.")


ALL = {f"environment.{name}" for name in fields(Environment)} | {f"releases.{name}" for name in fields(Releases)}
NAMES = frozenset(part for name in ALL for part in name.split("."))


def environment_of(written: Written) -> Environment:
    """The environment that is written, as the settings' file would make it."""

    def drawn() -> Environment:
        return Environment.model_validate(written)

    return read(drawn)


def releases_of(written: Written) -> Releases:
    """What promotes, as the settings' file would make it."""

    def drawn() -> Releases:
        return Releases.model_validate(written)

    return read(drawn)


@searched(200, 20_000)
@known(*FOUND_SETTINGS)
@given(written=spoiled(environments()))
def test_an_environment_is_read_or_refused_in_words(written: Written) -> None:
    try:
        environment_of(written)
    except SettingsError as problem:
        in_words(problem, NAMES | set(written))


@searched(100, 5_000)
@given(spoiled(releases()))
def test_releases_are_read_or_refused_in_words(written: Written) -> None:
    try:
        releases_of(written).among(("dev", "prod"))
    except SettingsError as problem:
        in_words(problem, NAMES | set(written))


@searched(100, 10_000)
@given(environments(), environments())
def test_two_environments_are_read_or_refused_in_words(one: Written, other: Written) -> None:
    try:
        by_name(map(environment_of, (one, other | {"account": one["account"], "name": "other"})))
    except SettingsError as problem:
        in_words(problem, NAMES)


@searched(300, 20_000)
@known(*FOUND_FILES)
@given(written=spoiled(config_files()))
def test_a_config_file_is_read_or_refused_in_words(tmp_path_factory: pytest.TempPathFactory, written: Written) -> None:
    file = tmp_path_factory.getbasetemp() / "spoiled.yaml"
    file.write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")
    try:
        load_config(file, provided=("AZURE_API_BASE", "AZURE_OTHER_BASE", "VERTEXAI_PROJECT", "VERTEXAI_LOCATION"))
    except ConfigError as problem:
        in_lines(problem, file)


def in_lines(problem: ConfigError, file: Path) -> None:
    """Each mistake is a line, which names the file and ends as a sentence does, and none is told twice."""
    lines = str(problem).splitlines()
    assert len(set(lines)) == len(lines)
    assert [line for line in lines if not line.startswith(f"{file}: ") or not line.endswith(".")] == []


@composite
def both(draw: DrawFn) -> tuple[Written, Written]:
    """A config.yaml, and an environment that has what it asks for."""
    config = draw(config_files())
    names = tuple(dict.fromkeys(entry["model_name"] for entry in config["model_list"]))
    return config, served(config, draw(environments(names)))


@searched(15, 400)
@given(both())
def test_whatever_is_drawn_is_refused_in_words_or_synthesizes(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[Written, Written]
) -> None:
    config, written = drawn
    folder = tmp_path_factory.mktemp("drawn")
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    try:
        environment = environment_of(written)
        templates = synthesized(environment, file, folder / "cdk.out")
    except SettingsError as problem:
        event("settings refused")
        in_words(problem, NAMES)
        return
    except ConfigError as problem:
        event("config.yaml refused")
        in_lines(problem, file)
        return
    event("synthesized")
    found = broken(
        Deployed(
            environment=environment,
            config=environment.litellm_config(file),
            templates=templates,
        )
    )
    assert not found, "\n".join(found)


def synthesized(environment: Environment, config: Path, outdir: Path) -> dict[str, Any]:
    """The environment's templates by stack."""
    app = cdk.App(outdir=str(outdir), context=context())
    stage = EnvironmentStage(app, environment=environment, config_file=config)
    assert stage.database.termination_protection is environment.deletion_protection
    return by_stack(app.synth().get_nested_assembly(f"assembly-{environment.name}"))


# --- Nothing is left out ----------------------------------------------------------------------------------------------


def test_every_setting_is_changed_by_an_example_company() -> None:
    found: set[str] = set()
    for folder in COMPANIES:
        own = load(folder)
        found |= {f"environment.{name}" for each in own.environments.values() for name in changed(each)}
        found |= {f"releases.{name}" for name in changed(own.releases)} if own.releases else set()
    assert ALL - found == set()


READS: dict[str, Callable[[Written], BaseModel]] = {"environment": environment_of, "releases": releases_of}


def _changes(kind: str, written: Written) -> set[str]:
    """The settings that a draw has otherwise than by default; none if it is refused."""
    try:
        return {f"{kind}.{name}" for name in changed(READS[kind](written))}
    except SettingsError:
        return set()


def test_every_setting_is_changed_by_a_draw() -> None:
    """All of them by draws until there is none left: to look for one alone would begin anew with each."""
    found: set[str] = set()

    def complete(drawn: tuple[Written, Written]) -> bool:
        environment, promoting = drawn
        found.update(_changes("environment", environment), _changes("releases", promoting))
        return found >= ALL

    patient = settings(searched(3000, 3000), phases=[Phase.generate])
    try:
        find(tuples(environments(), releases()), complete, settings=patient)
    except NoSuchExample:
        assert found >= ALL, f"changed by no draw: {', '.join(sorted(ALL - found))}"
