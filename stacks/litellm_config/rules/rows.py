"""What an entry's provider asks of it, as its row in stacks/litellm_config/providers.py says."""

from __future__ import annotations

from stacks.litellm_config.file import Place
from stacks.litellm_config.model import Model
from stacks.litellm_config.rules.addresses import check_address
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.variables import REFERENCE, SECRET_SUFFIXES, Needs


def check(reading: Reading, place: Place, model: Model) -> None:
    """Refuse an entry that lacks what a call takes, or has it in another form."""
    row, given = model.row, model.parameters
    for key in dict.fromkeys(row.wanted()):
        if key in given and not isinstance(given[key], str):
            reading.refuse((*place, "litellm_params"), f"{key} is to be text: put it in quotes", at=(key,))
    if given.get("aws_region_name") and "aws_region_name" not in row.region:
        told = f"aws_region_name means nothing to {model.provider}: remove it"
        reading.refuse(place, told, at=("litellm_params", "aws_region_name"))
    missing = [names[0] for names in row.needs if not any(name in given or name in row.implied for name in names)]
    if missing:
        _refuse(reading, place, model, missing)
    for key in row.addresses:
        check_address(reading, place, given, key)
    _check_ways(reading, place, model)
    row.check(reading, place, model)


def needs(model: Model) -> Needs:
    """The variables that LiteLLM takes by itself for what an entry leaves out."""
    row, given = model.row, model.parameters
    whole = [way for way in row.ways if all(given.get(key) for key in way.parameters)]
    names = [
        row.variables[key]
        for key in row.implied
        if not given.get(key) and not (whole and any(key in way.parameters for way in row.ways))
    ]
    secrets = tuple(name for name in names if name.endswith(SECRET_SUFFIXES))
    return Needs(secrets, tuple(name for name in names if name not in secrets), ())


def _check_ways(reading: Reading, place: Place, model: Model) -> None:
    """Refuse an entry that has none of the ways to sign in whole."""
    ways, given = model.row.ways, model.parameters
    if not ways or any(all(given.get(key) or key in model.row.implied for key in way.parameters) for way in ways):
        return
    for way in ways:
        begun = [key for key in way.parameters if key in given]
        if way.what and begun:
            lacking = [key for key in way.parameters if not given.get(key)]
            *first, last = way.parameters
            reading.refuse(
                place,
                f"litellm_params has {begun[0]} but no {', '.join(lacking)}: {way.what} takes {', '.join(first)} and "
                f"{last}",
                at=("litellm_params", begun[0]),
            )
            return
    _refuse(reading, place, model, ways[0].parameters)


def _refuse(reading: Reading, place: Place, model: Model, missing: tuple[str, ...] | list[str]) -> None:
    example = model.row.variables.get(missing[0], "NAME")
    reading.refuse(
        place, f"litellm_params has no {', '.join(missing)}: {model.provider} needs it, as in {REFERENCE}{example}"
    )
