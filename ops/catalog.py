"""Writes `stacks/litellm_config/catalog.json`: what the pinned LiteLLM knows, so that synth needs no LiteLLM.

    python -m ops.catalog [SITE_PACKAGES]

SITE_PACKAGES is the folder that LiteLLM is installed in, by default that of the virtual environment `.tools/litellm`.
Its source is read, not run. The file holds:

- `litellm`: the version;
- `top_level`: the keys of config.yaml;
- `settings`: per section of config.yaml, the names that LiteLLM reads, and those of `litellm_params` and `model_info`;
- `sent_on`: parameters of an entry that LiteLLM reads where it speaks to the gateway's providers, or sends to them;
- `providers`: the prefixes of LiteLLM's providers, also of those that this gateway does not serve;
- `prices`: the models of the gateway's providers that have a price, with their prices in US dollars;
- `modes`: what those of them are for that are not for chats, as in image_generation;
- `mode_names`: every mode that the list has;
- `price_names`: every name of a price that the list or an entry may have;
- `token_count_models`: the model of Bedrock's, and if need be the region, with which LiteLLM counts another's tokens.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from stacks import CHECKOUT
from stacks.litellm_config import ROWS

CATALOG: Final = CHECKOUT / "stacks" / "litellm_config" / "catalog.json"
PRICE_MAP: Final = "model_prices_and_context_window_backup.json"

PROVIDERS: Final = frozenset(name for row in ROWS for name in row.priced_as)
"""Values of `litellm_provider` in the price map whose models are kept; those like vertex_ai-language-models too."""

PRICE: Final = re.compile(r"cost|uplift_multiplier")
"""What a name of the price map has in it if it is a price, or a factor of one."""

PROVIDER_PARAMETERS: Final = ("extra_body", *(name for row in ROWS for name in row.parameters))
"""Parameters of an entry that LiteLLM hands to a provider without naming them in a class."""

PROVIDER_FOLDERS: Final = sorted({folder for row in ROWS for folder in row.folders or row.names})
"""Where below `llms` LiteLLM reads parameters of a provider's own, such as top_k, out of an entry."""

READ_FROM: Final = ("optional_params", "litellm_params", "inference_params", "non_default_params", "kwargs")
"""What it calls them in there, and in its proxy and its router."""


def catalog(site_packages: Path) -> dict[str, Any]:
    """Read what the LiteLLM in a site-packages folder knows.

    Raises
    ------
    FileNotFoundError
        If LiteLLM is not installed there.

    """
    package = site_packages / "litellm"
    versions = [found.version for found in importlib.metadata.distributions(name="litellm", path=[str(site_packages)])]
    if not versions:
        raise FileNotFoundError(f"{site_packages}: LiteLLM is not installed here; name the site-packages that has it.")
    prices: dict[str, dict[str, Any]] = json.loads((package / PRICE_MAP).read_text("utf-8"))
    server = (package / "proxy" / "proxy_server.py").read_text("utf-8")
    types = [package / "types" / "router.py", package / "types" / "utils.py", package / "proxy" / "_types.py"]
    return {
        "litellm": versions[0],
        "top_level": _sorted(_keys_read(_class(server, "ProxyConfig"), "config"), ["include"]),
        "settings": {
            "general_settings": _sorted(
                _fields(types, "ConfigGeneralSettings"),
                *(
                    _keys_read(file.read_text("utf-8"), "general_settings")
                    for file in (package / "proxy").rglob("*.py")
                ),
            ),
            "litellm_settings": _sorted(
                _module_variables(package / "__init__.py"),
                ["set_verbose"],  # which it imports
                _keys_read(server, "litellm_settings"),
                re.findall(r'\bkey == "(\w+)"', server),
            ),
            "router_settings": _sorted(_router_arguments(package)),
            "litellm_params": _sorted(
                _fields(types, "LiteLLM_Params"),
                _fields(types, "LiteLLMParamsTypedDict"),
                _call_parameters(package),
                PROVIDER_PARAMETERS,
            ),
            "model_info": _sorted(_fields(types, "ModelInfo"), ["mode"], *prices.values()),
        },
        "sent_on": _sorted(_provider_parameters(package), ["anthropic_beta"]),
        "providers": _sorted(_members(types[1], "LlmProviders")),
        "prices": {
            name: {key: model[key] for key in sorted(model) if PRICE.search(key) and _is_number(model[key])}
            for name, model in sorted(prices.items())
            if _is_ours(model) and _is_priced(model)
        },
        "modes": {
            name: mode
            for name, model in sorted(prices.items())
            if _is_ours(model) and (mode := _mode(model)) not in ("", "chat")
        },
        "mode_names": _sorted(filter(None, map(_mode, prices.values()))),
        "price_names": _sorted(
            (name for name in _fields(types, "CustomPricingLiteLLMParams") if PRICE.search(name)),
            (name for model in prices.values() for name in model if PRICE.search(name) and _is_number(model[name])),
        ),
        "token_count_models": {
            name: {key: value for key, value in model["token_count_model"].items() if key in ("model", "region")}
            for name, model in sorted(prices.items())
            if _is_ours(model) and "token_count_model" in model
        },
    }


def _sorted(*names: Iterable[str]) -> list[str]:
    return sorted({name for each in names for name in each})


def _is_ours(model: dict[str, Any]) -> bool:
    return str(model.get("litellm_provider")).partition("-")[0] in PROVIDERS


def _mode(model: dict[str, Any]) -> str:
    """What a model is for: a word; the first entry of the list, which explains the others, has a sentence."""
    mode = str(model.get("mode") or "")
    return mode if mode.isidentifier() else ""


def _is_priced(model: dict[str, Any]) -> bool:
    return any(re.match(r"(in|out)put_cost_per_", name) and value is not None for name, value in model.items())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _class(source: str, name: str) -> str:
    """The text of a class."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])
    raise LookupError(f"LiteLLM has no class {name} any more: read its new source and mend ops/catalog.py")


def _keys_read(source: str, mapping: str) -> list[str]:
    """Names read as mapping.get("name"), mapping["name"] or "name" in mapping."""
    read = rf"""\b{mapping}(?:\.get\(\s*|\[)["'](\w+)["']|["'](\w+)["'] in {mapping}\b"""
    return [before or after for before, after in re.findall(read, source)]


def _module_variables(file: Path) -> Iterator[str]:
    """Yield the lower-case names that a module assigns: `litellm_settings` sets them by name."""
    for node in ast.parse(file.read_text("utf-8")).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        yield from (target.id for target in targets if isinstance(target, ast.Name) and re.match("[a-z]", target.id))


def _fields(files: Iterable[Path], name: str) -> Iterator[str]:
    """Yield the fields of a class and of its bases, where the files hold them."""
    files = list(files)
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name == name:
                yield from (
                    item.target.id
                    for item in node.body
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
                )
                for base in node.bases:
                    if isinstance(base, ast.Name):
                        yield from _fields(files, base.id)
                return


def _router_arguments(package: Path) -> Iterator[str]:
    """Yield the arguments of Router.__init__ without those that the proxy sets itself."""
    managed = re.search(
        r"ROUTER_SETTINGS_MANAGED_OUTSIDE_CONFIG[^{]*\{([^}]*)\}", (package / "constants.py").read_text("utf-8")
    )
    outside = {"self", "model_list", *re.findall(r'"(\w+)"', managed[1] if managed else "")}
    router = next(
        node
        for node in ast.parse((package / "router.py").read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "Router"
    )
    for node in router.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            arguments = (*node.args.args, *node.args.kwonlyargs)
            yield from (argument.arg for argument in arguments if argument.arg not in outside)


def _call_parameters(package: Path) -> list[str]:
    """Parameters of a chat completion or an embedding, which an entry may give a default."""
    constants = (package / "constants.py").read_text("utf-8")
    tables = re.findall(r"\nDEFAULT_(?:CHAT_COMPLETION|EMBEDDING)_PARAM_VALUES[^{]*\{([^}]*)\}", constants)
    return re.findall(r'"(\w+)":', "".join(tables))


def _provider_parameters(package: Path) -> list[str]:
    """Parameters that LiteLLM reads by name where it speaks to the gateway's providers, or chooses an entry."""
    files = [file for folder in PROVIDER_FOLDERS for file in (package / "llms" / folder).rglob("*.py")]
    files += [
        package / "router.py",
        package / "proxy" / "utils.py",
        package / "router_strategy" / "tag_based_routing.py",
    ]
    read = rf"""\b(?:{"|".join(READ_FROM)})(?:\.(?:get|pop)\(\s*|\[)["']([A-Za-z]\w+)["']"""
    return [name for file in files for name in re.findall(read, file.read_text("utf-8"))]


def _members(file: Path, name: str) -> Iterator[str]:
    """Yield the values of an enumeration of texts."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name == name:
            yield from (
                item.value.value
                for item in node.body
                if isinstance(item, ast.Assign)
                and isinstance(item.value, ast.Constant)
                and isinstance(item.value.value, str)
            )


def main() -> None:
    """Write the catalog of the LiteLLM that the first argument, or `.tools/litellm`, holds."""
    site_packages = (
        Path(sys.argv[1]) if sys.argv[1:] else next(CHECKOUT.glob(".tools/litellm/lib/python*/site-packages"))
    )
    CATALOG.write_text(json.dumps(catalog(site_packages), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
