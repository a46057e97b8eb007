"""The file that is brought: LiteLLM's config.yaml, by itself or in what installs it, with all that it includes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ops.access import OpsError
from ops.importing.ledger import Fate, Ledger
from stacks.litellm_config import ConfigError, StrictLoader
from stacks.litellm_config.file import read
from stacks.litellm_config.rules.keys import ANCHORS

_INCLUDE: Final = "include"


@dataclass(frozen=True)
class Source:
    """What the file says, with all that it includes; `whole` is the file itself where that has more than LiteLLM's."""

    name: str
    document: dict[str, Any]
    whole: dict[str, Any] | None = None


def source_in(path: Path, ledger: Ledger) -> Source:
    """Read a config.yaml, or the values of LiteLLM's Helm chart or a ConfigMap that has one in it.

    Raises
    ------
    OpsError
        It cannot be read, or lists no models: one sentence.
    """
    document = mapping_in(path)
    inner, whole = _inside(path, document)
    merged = _with_included(path, inner, ledger)
    for key in [key for key in merged if str(key).startswith(ANCHORS)]:
        why = "it is there for YAML's anchors, and what they stand for is written where they were referred to"
        ledger.note(Fate.DROPPED, path.name, (key,), key, why)
    models = merged.get("model_list")
    if not models and {"general_settings", "litellm_settings", "router_settings"} & merged.keys():
        raise OpsError(
            f"{path}: it has no model_list. If the models are in LiteLLM's database, as people have added them in the "
            "admin UI, write them into the file first, as GET /model/info of the old one tells them; here the file is "
            "the one list."
        )
    if not isinstance(models, list) or not models:
        raise OpsError(
            f"{path}: it has no model_list, so it is no config.yaml of LiteLLM: name the file that its option --config "
            "names, and what is around it with --around."
        )
    return Source(path.name, merged, whole)


def mapping_in(path: Path) -> dict[str, Any]:
    """A file of YAML or JSON with a mapping at its top.

    Raises
    ------
    OpsError
        There is none such: one sentence, which quotes nothing of the file.
    """
    if path.is_dir():
        raise OpsError(f"{path}: it is a folder: name the file in it.")
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise OpsError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError:
        raise OpsError(f"{path}: it is no text in UTF-8: name a file of YAML or JSON.") from None
    if not text.strip():
        raise OpsError(f"{path}: it is empty.")
    if path.suffix == ".json":
        return _json(path, text)
    try:
        return read(path).document
    except ConfigError as error:
        raise OpsError(str(error)) from None


def _json(path: Path, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except RecursionError:
        raise OpsError(f"{path}: it is nested too deeply to be read.") from None
    except ValueError as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise OpsError(f"{path}: line {line}: not valid JSON.") from None
    if not isinstance(document, dict):
        raise OpsError(f"{path}: it must be a mapping of names to values.")
    return document


def _inside(path: Path, document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """LiteLLM's part of a document, and the document where that is more."""
    if isinstance(document.get("proxy_config"), dict):
        return document["proxy_config"], document
    data = document.get("data")
    if document.get("kind") == "ConfigMap" and isinstance(data, dict):
        for text in data.values():
            if isinstance(text, str) and "model_list" in text:
                try:
                    inner = yaml.load(text, StrictLoader)  # noqa: S506 - it is a SafeLoader
                except yaml.YAMLError:
                    raise OpsError(f"{path}: what the ConfigMap has is not valid YAML.") from None
                if isinstance(inner, dict):
                    return inner, document
    return document, None


def _with_included(path: Path, document: dict[str, Any], ledger: Ledger) -> dict[str, Any]:
    """The document with what it includes, as LiteLLM does it: lists are joined, and of anything else the later counts.

    Read in LiteLLM 1.106.12, proxy/common_utils/config_includes.py.
    """
    merged = {key: value for key, value in document.items() if key != _INCLUDE}
    waiting = [(name, path) for name in _included(path, document)]
    seen: set[Path] = set()
    while waiting:
        name, by = waiting.pop(0)
        beside, root = (by.parent / name).resolve(), (path.parent / name).resolve()
        file = beside if beside.exists() or not root.exists() else root
        if file in seen:
            continue
        seen.add(file)
        found = mapping_in(file)
        waiting += [(each, file) for each in _included(file, found)]
        for key, value in found.items():
            if key == _INCLUDE:
                continue
            before = merged.get(key)
            merged[key] = [*before, *value] if isinstance(before, list) and isinstance(value, list) else value
    if _INCLUDE in document:
        names = ", ".join(sorted(file.name for file in seen))
        why = f"this gateway has one file: what {names} has is written into it" if names else "it includes nothing"
        ledger.note(Fate.CHANGED, path.name, (_INCLUDE,), _INCLUDE, why)
    return merged


def _included(path: Path, document: dict[str, Any]) -> list[str]:
    names = document.get(_INCLUDE, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise OpsError(f"{path}: include must be a list of files, as in [models.yaml].")
    return names
