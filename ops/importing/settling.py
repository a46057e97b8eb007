"""What becomes of each variable that was met, once it is known what config.yaml refers to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ops.importing.bringing import Bringing, Met
from ops.importing.ledger import Fate
from ops.importing.variables import REGIONS, STORED, WORKERS, called, is_secret, without_place
from ops.secrets import MADE_BY_DEPLOYMENT
from stacks.litellm_config import CORE_SECRETS, PROVIDER_SETTINGS

_NOWHERE: Final = "nothing in config.yaml refers to it"
_LICENCE: Final = (
    "if the company holds a licence, set litellm_license=True in the environment's settings: make secrets asks for it"
)


def settle(bringing: Bringing, secrets: Collection[str]) -> None:
    """Note what becomes of each; `secrets` are those that config.yaml comes to."""
    referred = bringing.references()
    for met in bringing.met:
        fate, why = _settled(met, bringing, referred, secrets)
        bringing.ledger.note(fate, met.file, met.place, met.label, why)


def _settled(met: Met, bringing: Bringing, referred: Collection[str], secrets: Collection[str]) -> tuple[Fate, str]:
    name = called(met.name)
    if met.name in REGIONS:
        return Fate.CHANGED, "the region that is written into entries without one, and proposed for the environments"
    if met.name in bringing.used:
        return Fate.CHANGED, "its value is written out where config.yaml refers to it"
    if met.name in WORKERS:
        return Fate.CHANGED, "gateway.workers"
    if name == "LITELLM_LICENSE":
        return Fate.DECIDE, _LICENCE
    if name in PROVIDER_SETTINGS and name in referred:
        setting = name.lower() if name.lower() == PROVIDER_SETTINGS[name] else PROVIDER_SETTINGS[name]
        return Fate.CHANGED, f"providers.{setting} of the environment, which make init asks for"
    if name == "DD_SITE":
        return Fate.CHANGED, "providers.dd_site of the environment, as the answer datadog.site"
    if not {met.name, name} & set(referred) and (why := without_place(met.name)):
        return Fate.DROPPED, why
    if name in secrets and name not in CORE_SECRETS:
        made = name in MADE_BY_DEPLOYMENT
        return Fate.CHANGED, "the deployment makes it" if made else f"a secret: {STORED} its value as {name}"
    if name in referred and not is_secret(name):
        return Fate.CHANGED, f"{name} in variables of the environment"
    return Fate.DROPPED, without_place(name) or _NOWHERE
