"""Settings are read: each finding becomes a line for who wrote them, and environments are held against one another."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stacks.settings.environment import Environment
from stacks.settings.releases import Releases
from stacks.settings.values import Settings, SettingsError

Read = TypeVar("Read", bound=Settings | None)


def read(settings: Callable[[], Read]) -> Read:
    """What `settings` returns: a function named after its environment, or after what else it describes.

    Raises
    ------
    SettingsError
        A line a finding: the environment, the setting, what is wrong with it and what to do.
    """
    try:
        return settings()
    except ValidationError as error:
        raise SettingsError("\n".join(findings(settings.__name__, error))) from error


def findings(name: str, error: ValidationError) -> Iterator[str]:
    """Yield a line for each finding in settings that are called `name`: the setting, what is wrong and what to do."""
    whole = error.title in (Environment.__name__, Releases.__name__)
    group = () if whole else (re.sub(r"\B([A-Z])", r"_\1", error.title).lower(),)
    # A list whose items are refused counts as empty too: that is no finding of its own.
    lists = {finding["loc"][:-1] for finding in error.errors()}
    for finding in error.errors():
        if not finding["loc"] or finding["loc"] not in lists:
            yield _finding(name, (*group, *finding["loc"]), _words(finding), finding["input"])


def by_name(environments: Iterable[Environment]) -> dict[str, Environment]:
    """The environments by name.

    Raises
    ------
    SettingsError
        Two have one name, one domain or one channel for alarms in one account, or their VPCs' ranges overlap, so that
        they could never be peered.
    """
    environments = tuple(environments)
    for one, other in combinations(environments, 2):
        if one.name == other.name:
            raise SettingsError(f"two environments are called {one.name}: give each its own name")
        if one.domain == other.domain:
            raise SettingsError(f"{one.name} and {other.name} have one domain, {one.domain}: give each its own")
        if taken := one.derived_names & other.derived_names:
            raise SettingsError(
                f"{one.name} and {other.name} both need the name {min(taken)}: give one of them another domain"
            )
        if one.account == other.account:
            _share_account(one, other)
        shared = one.network.vpc is not None and other.network.vpc is not None
        if shared and one.network.vpc.id == other.network.vpc.id:  # type: ignore[union-attr]
            _share_vpc(one, other)
        elif one.network.cidr.overlaps(other.network.cidr):
            raise SettingsError(
                f"{one.name} and {other.name} have overlapping ranges, {one.network.cidr} and {other.network.cidr}: "
                "give each its own network.cidr"
            )
    return {environment.name: environment for environment in environments}


def _words(finding: ErrorDetails) -> str:
    """Pydantic's words, but for those that speak of Python."""
    context = finding.get("ctx", {})
    match finding["type"]:
        case "too_short" if not context["actual_length"]:
            return f"Value error, is empty: name at least {context['min_length']}"
        case "too_short":
            return f"Value error, has {context['actual_length']}: name at least {context['min_length']}"
        case "too_long":
            return f"Value error, has {context['actual_length']}: name at most {context['max_length']}"
    return finding["msg"]


def _share_account(one: Environment, other: Environment) -> None:
    """Refuse what an account has once: Amazon Q Developer takes one configuration for a channel."""
    channel = one.alarms.channel
    if channel and channel == other.alarms.channel:
        raise SettingsError(
            f"{one.name} and {other.name} are in one account and have one alarms.channel, {channel}, which Amazon Q "
            "Developer serves once an account: give each its own"
        )


def _share_vpc(one: Environment, other: Environment) -> None:
    """Refuse what a VPC has once: its range."""
    if one.network.cidr != other.network.cidr:
        raise SettingsError(
            f"{one.name} and {other.name} are in one VPC, and network.cidr is {one.network.cidr} and "
            f"{other.network.cidr}: write the VPC's own range"
        )


def _finding(name: str, location: tuple[int | str, ...], message: str, value: object) -> str:
    place = ".".join(map(str, location))
    ours = message.startswith("Value error, ")  # and then it names the value
    message = message.removeprefix("Value error, ")
    if message == "Extra inputs are not permitted":
        message = "there is no such setting: see stacks/settings for those that there are"
    elif message == "Field required":
        message = "is not set: it has no default, so give it a value"
    elif not ours and isinstance(value, str | int | float | None):
        message = f"{value!r}: {message[0].lower()}{message[1:]}"
    finding = f"{name}: {place}: {message}" if place else f"{name}: {message}"
    # A value that is quoted may have anything in it, and a finding is a line.
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in finding)
