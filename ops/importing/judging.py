"""The reader of stacks/litellm_config judges what is written, and what it refuses is mended until it accepts all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from ops.access import OpsError
from ops.importing.bringing import Bringing
from ops.importing.ledger import Fate
from ops.importing.mending import mended
from ops.importing.needed import add_coming_prices
from stacks.litellm_config import ConfigError, LiteLlmConfig, Refusal, RefusedError
from stacks.litellm_config.file import Place
from stacks.settings import Environment
from stacks.settings.gateway import RESERVED_CONNECTIONS

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # a person waits for it
_MOST = 1000
"""Each round makes a change, and none is taken back."""

_ANSWER = "or bring the file again with its value in the answer variables of each environment"

_ITEMS = frozenset(
    {"agent_list", "agents", "credential_list", "guardrails", "mcp_tools", "model_list", "policies", "prompts"}
)
_ITEMS_OF = frozenset({"pass_through_endpoints", "default_team_settings", "plugins", "custom_provider_map"})


Reader = Callable[[Path], LiteLlmConfig]
"""Reads a config.yaml as an environment does."""


def reader_of(environment: Environment) -> Reader:
    """The reader of an environment."""
    return environment.litellm_config


def judged(
    bringing: Bringing, readers: Sequence[Reader], environments: Sequence[Environment] = ()
) -> tuple[LiteLlmConfig, tuple[str, ...]]:
    """Mend the document until every reader takes it, and the databases of the environments its connections.

    The answer is what the first of them reads, and what any of them warns of.

    Raises
    ------
    OpsError
        No model is left: why, a sentence for each.
    """
    for _ in range(_MOST):
        before = bringing.tree.document()
        try:
            configs = _read(bringing, readers)
        except RefusedError as error:
            _mend(bringing, error.refusals)
            if bringing.tree.document() == before:
                _leave_out(bringing, bringing.tree.place(error.refusals[0].place), error.refusals[0])
            continue
        if not add_coming_prices(bringing, configs[0]) and not _fits(bringing, environments, configs[0]):
            warnings = [text.partition(": ")[2] for each in configs for text in each.warnings]
            return configs[0], tuple(dict.fromkeys(bringing.hidden.clean(text) for text in warnings))
    raise OpsError(f"{bringing.file}: it could not be brought over in {_MOST} rounds.")  # pragma: no cover


def _read(bringing: Bringing, readers: Sequence[Reader]) -> list[LiteLlmConfig]:
    """The document as each reads it.

    Raises
    ------
    RefusedError
        With all that any of them refuses.
    """
    refusals: dict[Refusal, None] = {}
    configs = []
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "config.yaml"
        file.write_text(
            yaml.dump(bringing.tree.document(), Dumper=_DUMPER, sort_keys=False, allow_unicode=True), "utf-8"
        )
        for read in readers:
            try:
                configs.append(read(file))
            except RefusedError as error:
                refusals |= dict.fromkeys(error.refusals)
            except ConfigError as error:
                raise OpsError(bringing.hidden.clean(f"{bringing.file}: {error}".replace(f"{file}: ", ""))) from None
    if refusals:
        raise RefusedError("", refusals)
    return configs


def _mend(bringing: Bringing, refusals: Sequence[Refusal]) -> None:
    """Mend each; what an earlier one has changed is left to the next round."""
    if any(refusal.place == ("model_list",) and "at least one" in refusal.problem for refusal in refusals):
        raise OpsError(_nothing_left(bringing))
    for refusal, place in [(each, bringing.tree.place(each.place)) for each in refusals]:
        before = bringing.tree.document()
        holder = bringing.tree.get(place[:-1]) if len(place) > 1 else before
        if not isinstance(holder, dict | list):
            continue
        try:
            if not mended(bringing, refusal, place):
                _leave_out(bringing, place, refusal)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            # It is not as its sentence has it any more.
            continue


def _leave_out(bringing: Bringing, place: Place, refusal: Refusal) -> None:
    """Leave out what the refusal is of as a whole, for a person to decide."""
    unit = _unit(bringing, place)
    items = bringing.tree.get(unit)
    if refusal.of and isinstance(items, list) and refusal.of in items:
        unit = (*unit, items.index(refusal.of))
    more = f"; {_ANSWER}" if refusal.problem.startswith("nothing provides ") else ""
    if unit:
        bringing.decide(unit, f"{refusal.problem}{more}")


def _unit(bringing: Bringing, place: Place) -> Place:
    """The least around a place that can be left out: an entry of a list of entries, or a value."""
    if place and place[0] in _ITEMS and len(place) > 1:
        return place[:2]
    if len(place) > 2 and place[1] in _ITEMS_OF:
        return place[:3]
    if len(place) > 1 and place[0] == "mcp_servers":
        return place[:2]
    while place and not bringing.tree.has(place):
        place = place[:-1]
    return place


def _fits(bringing: Bringing, environments: Sequence[Environment], config: LiteLlmConfig) -> bool:
    """Lower the database's connections of a worker to what every environment's database takes; whether it had to."""
    place = ("general_settings", "database_connection_pool_limit")
    limit = config.database_pool_limit
    most = min((_most_connections(environment) for environment in environments), default=limit)
    if limit <= most or most < 1:
        return False
    why = f"a deployment would ask the database for more connections than it takes with {limit} for each worker"
    bringing.change(place, most, why, str(most))
    return True


def _most_connections(environment: Environment) -> int:
    """As `Environment.check_connections` reckons."""
    workers = 2 * environment.gateway.max_tasks * environment.gateway.workers + 1
    return (environment.database.max_connections - RESERVED_CONNECTIONS) // workers


def _nothing_left(bringing: Bringing) -> str:
    out = [*bringing.ledger.told(Fate.DECIDE), *bringing.ledger.told(Fate.DROPPED)]
    told = [f"{each.label}: {each.why}" for each in out if each.place[:1] == ("model_list",)]
    reasons = "\n".join(f"{line}." for line in dict.fromkeys(told))
    return f"{bringing.file}: none of its models can be brought over, and nothing was written.\n{reasons}"
