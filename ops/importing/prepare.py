"""What is known to be otherwise here, changed before the reader looks: variables, secrets, callbacks."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from ops.importing import secret
from ops.importing.bringing import SECTIONS, Bringing, Met
from ops.importing.ledger import Fate
from ops.importing.variables import REGIONS, RENAMED, STATIC, STORED, called, is_secret
from stacks.litellm_config import CORE_SECRETS, SECRET_SUFFIXES
from stacks.litellm_config.file import Place
from stacks.litellm_config.providers import HOSTS
from stacks.litellm_config.rules.own_hosts import is_at
from stacks.litellm_config.rules.references import is_secret as is_secret_field
from stacks.litellm_config.variables import REFERENCE, is_for_all_of_aws

_SHELL: Final = re.compile(
    r"\$\{(?P<braced>[A-Za-z_]\w*)((?P<how>:?[-=?+])(?P<value>[^}]*))?\}|\$(?P<plain>[A-Za-z_]\w*)"
)
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_ROLE: Final = (
    "the role of the task calls Bedrock; keys of another account are secrets of your own names, as in "
    "os.environ/OTHER_ACCESS_KEY (docs/config.md)"
)
CALLBACK_LISTS: Final = ("callbacks", "success_callback", "failure_callback", "service_callback", "input_callback")
DATADOG: Final = "masking.datadog"
_DATADOG_WHY: Final = (
    "records go to Datadog by this gateway's own callback, without prompts, answers and error texts, which LiteLLM's "
    "would send"
)
_MAIL_WHY: Final = (
    "the callback is of litellm-enterprise, whose licence is needed in production: LiteLLM's own alerting sends the "
    "same mails"
)


def prepare(bringing: Bringing) -> None:
    """Make every change that needs no judge."""
    for key in [key for key in bringing.tree.document() if str(key).startswith("x-")]:
        bringing.tree.remove((key,))  # which `source` has noted
    for section in SECTIONS:
        if not isinstance(bringing.tree.get((section,), {}), dict):
            bringing.decide((section,), "it must be a mapping of names to values")
    _environment_variables(bringing)
    for place, value in bringing.tree.scalars():  # before anything is said of any of it
        if secret.secret_in(_key(place), value) and not _is_file(_key(place), str(value)):
            bringing.hidden.add(value)
    _static_keys(bringing)
    for place, value in bringing.tree.scalars():
        if isinstance(value, str):
            _by_shell(bringing, place, value)
    for place, value in bringing.tree.scalars():
        if isinstance(value, str) and value.startswith(REFERENCE):
            _reference(bringing, place, value.removeprefix(REFERENCE))
    _master_key(bringing)
    _secrets(bringing)
    _callbacks(bringing)


def take(bringing: Bringing, file: str, place: Place, label: str, name: str, value: object) -> None:
    """Note a variable that is set somewhere; a value that is None is not in the files."""
    text = None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    found = _SHELL.fullmatch(text or "")
    if found and _default(found) and not is_secret(name):
        text = _default(found)
    elif text is not None and (text.startswith(REFERENCE) or _SHELL.search(text) or "$(" in text or "{{" in text):
        text = None
    if is_secret(name) or (text and secret.secret_in(name.lower(), text)):
        bringing.hidden.add(text)
        bringing.variables.secrets.add(name)
    elif text is None:
        bringing.variables.unknown.add(name)
    else:
        bringing.variables.plain.setdefault(name, text)
    bringing.met.append(Met(file, place, label, name))


def _environment_variables(bringing: Bringing) -> None:
    given = bringing.tree.get(("environment_variables",))
    if isinstance(given, dict):
        for name, value in given.items():
            place = ("environment_variables", name)
            take(bringing, bringing.file, place, bringing.label(place), str(name), value)
    if bringing.tree.has(("environment_variables",)):
        bringing.tree.remove(("environment_variables",))


def _static_keys(bringing: Bringing) -> None:
    """Take out keys of AWS that are written out; those by reference are the reader's."""
    holders = [(*place, "litellm_params") for place, _ in bringing.entries()]
    credentials = bringing.tree.get(("credential_list",), [])
    if isinstance(credentials, list):
        holders += [("credential_list", index, "credential_values") for index in range(len(credentials))]
    for holder in holders:
        for key in STATIC:
            value = bringing.tree.get((*holder, key))
            if isinstance(value, str) and not value.startswith((REFERENCE, "$")):
                bringing.hidden.add(value)
                bringing.drop((*holder, key), _ROLE)


def _by_shell(bringing: Bringing, place: Place, value: str) -> None:
    """Write ${NAME} as LiteLLM has it, or what it stands for."""
    key = _key(place)
    if found := _SHELL.fullmatch(value):
        name = found["braced"] or found["plain"]
        default = _default(found)
        if default and bringing.variables.value(name) is None and not is_secret(name) and not is_secret_field(key, "x"):
            bringing.change(place, default, f"nothing replaces {value} here: this is its default", default)
        else:
            new = f"{REFERENCE}{name}"
            bringing.change(place, new, f"nothing replaces ${{{name}}} here, and LiteLLM replaces this", new)
        return
    names = [found["braced"] for found in _SHELL.finditer(value) if found["braced"]]
    if not names or is_secret_field(key, "x"):
        return
    known = {name: bringing.known(name) for name in names}
    missing = [name for name, text in known.items() if text is None]
    if missing:
        bringing.decide(
            _unit(place), f"{', '.join(missing)} is not known, and nothing replaces it here: write the text itself"
        )
        return
    new = _SHELL.sub(lambda found: known.get(found["braced"]) or found[0], value)
    bringing.change(place, new, "nothing replaces variables within a text here: their values are written out", new)


def _default(found: re.Match[str]) -> str | None:
    """What a variable of a shell stands for where it is not set."""
    return found["value"] or None if (found["how"] or "").lstrip(":") in ("-", "=") else None


def _unit(place: Place) -> Place:
    return place[:2] if place[0] == "model_list" else place


def _reference(bringing: Bringing, place: Place, name: str) -> None:
    """Give a variable the name that it has here, or put its value in its place."""
    key = _key(place)
    if key == "aws_region_name":
        _region(bringing, place, name)
        return
    new = re.sub(r"[^A-Z0-9_]", "_", name.upper()) if not _NAME.fullmatch(name) else name
    standard = (key in STATIC and name == key.upper()) or name == "AWS_BEARER_TOKEN_BEDROCK"
    why = "this gateway has it under this name" if new in RENAMED else "a variable's name is of capitals"
    if is_for_all_of_aws(new) and not standard:
        why = f"{new} would be for every call of AWS"
    new = new if standard else called(new)
    if is_secret_field(key, "x") and not new.endswith(SECRET_SUFFIXES) and new not in CORE_SECRETS and not standard:
        new, why = f"{new}{secret.ending(key)}", "what a secret is called by ends so here, or it would be plain"
    if new == name:
        return
    bringing.change(place, f"{REFERENCE}{new}", why, f"{REFERENCE}{new}")
    if name in bringing.variables.plain and not is_secret(new):
        bringing.variables.plain.setdefault(new, bringing.variables.plain[name])
    if is_secret(new) and name not in bringing.variables.secrets:
        bringing.hidden.add(bringing.variables.plain.pop(name, None))


def _region(bringing: Bringing, place: Place, name: str) -> None:
    if region := bringing.variables.value(name):
        why = f"what {name} is: what the role may call follows from the region, so it is written out"
        bringing.change(place, region, why, region)
    elif name in REGIONS and name != "AWS_REGION":
        own = f"{REFERENCE}AWS_REGION"
        bringing.change(place, own, f"{name} is not set here: this is the environment's own region", own)


def _master_key(bringing: Bringing) -> None:
    place, own = ("general_settings", "master_key"), f"{REFERENCE}LITELLM_MASTER_KEY"
    given = bringing.tree.get(place)
    if given is None or given == own:
        return
    if not str(given).startswith(REFERENCE):
        bringing.hidden.add(given)
    why = "the gateway's own functions ask with this one, of which make secrets makes the value"
    bringing.change(place, own, why, own)


def _secrets(bringing: Bringing) -> None:
    """Put a reference in the place of every secret that is written out."""
    for place, value in bringing.tree.scalars():
        key = _key(place)
        if value in (None, "") or isinstance(value, dict | list):
            continue
        if not secret.secret_in(key, value) and not (isinstance(value, str) and bringing.hidden.has(value)):
            continue
        if _is_file(key, str(value)):
            continue  # of Google's key: the reader has a sentence for it
        bringing.hidden.add(value)
        name = _name(bringing, place, key, str(value))
        bringing.from_fields.setdefault(name, []).append(bringing.label(place))
        word = str(value).partition(" ")[0] if re.match(r"(?i)(bearer|basic|token) \S", str(value)) else ""
        inside = "pass_through_endpoints" in place and "headers" in place and word
        new = f"{word} {REFERENCE}{name}" if inside else f"{REFERENCE}{name}"
        whole = f", with the word {word} before it" if word and not inside else ""
        why = f"a secret was written out: {STORED} its value as {name}{whole}"
        bringing.change(place, new, why, new)


def _is_file(key: str, value: str) -> bool:
    return key in ("vertex_credentials", "vertex_ai_credentials") and not value.lstrip().startswith("{")


def _name(bringing: Bringing, place: Place, key: str, value: str) -> str:
    """The name of a secret: the same for the same value, and another one for another value of the same kind."""
    if value in bringing.given:
        return bringing.given[value]
    provider = entry = ""
    if place[0] == "model_list":
        model = bringing.tree.get((*place[:2], "litellm_params", "model"), "")
        own = bringing.tree.get((*place[:2], "litellm_params", "custom_llm_provider"), "")
        provider = str(own or (str(model).partition("/")[0] if "/" in str(model) else ""))
        entry = str(bringing.tree.get((*place[:2], "model_name"), "") or "")
        entry = "" if bringing.hidden.has(entry) else entry
    usual, other = secret.variable_of(place, key, value, provider=provider, entry=entry or f"entry {place[1:2]}")
    usual = RENAMED.get(usual, usual)
    usual = other if _is_elsewhere(bringing, place, provider) else usual
    taken = {*bringing.given.values(), *CORE_SECRETS, *bringing.references()}
    names = (usual, other, *(f"{_stem(other)}_{number}{secret.ending(key, value)}" for number in range(2, 1000)))
    name = next(each for each in names if each not in taken)
    bringing.given[value] = name
    return name


def _is_elsewhere(bringing: Bringing, place: Place, provider: str) -> bool:
    """Whether an entry of a provider with one host is called at another one, whose key is not the provider's."""
    base = bringing.tree.get((*place[:2], "litellm_params", "api_base")) if place[0] == "model_list" else None
    host = HOSTS.get(provider)
    called = urlsplit(str(base)).hostname or "" if base else ""
    return bool(base and host) and not is_at(called, str(host))


def _stem(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in SECRET_SUFFIXES if name.endswith(suffix)), name)


def _callbacks(bringing: Bringing) -> None:
    """Have the callbacks that this gateway has in another way done in that way."""
    mail = datadog = False
    for key in CALLBACK_LISTS:
        place: Place = ("litellm_settings", key)
        given = bringing.tree.get(place)
        if isinstance(given, str):
            bringing.change(place, [given], "LiteLLM takes a list", f"[{given}]")
            given = [given]
        for index, name in enumerate(list(given) if isinstance(given, list) else ()):
            if name == "datadog":
                datadog = True
                bringing.drop((*place, index), f"now {DATADOG} in callbacks: {_DATADOG_WHY}", Fate.CHANGED)
            elif name == "smtp_email":
                mail = True
                bringing.drop((*place, index), f"now email in general_settings.alerting: {_MAIL_WHY}", Fate.CHANGED)
    if datadog:
        bringing.complete(("litellm_settings", "callbacks"), DATADOG, _DATADOG_WHY)
        if bringing.tree.has(("callback_settings", "datadog")):
            bringing.drop(("callback_settings", "datadog"), _DATADOG_WHY)
    if mail:
        bringing.complete(("general_settings", "alerting"), "email", _MAIL_WHY)


def _key(place: Place) -> str:
    return next((step for step in reversed(place) if isinstance(step, str)), "")
