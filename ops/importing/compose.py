"""A docker-compose.yaml with LiteLLM in it.

https://docs.docker.com/reference/compose-file/services/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ops.access import OpsError
from ops.importing.seen import Seen, cpu_units, is_litellm, mib, reason, whole
from stacks.litellm_config.file import Place

_OURS: Final = {
    "ports": "the load balancer serves HTTPS on port 443",
    "expose": "the load balancer serves HTTPS on port 443",
    "volumes": "the image has config.yaml, and a task keeps no files",
    "configs": "the image has config.yaml, and a task keeps no files",
    "secrets": "secrets come from Parameter Store: make secrets stores them",
    "depends_on": "what it depended on is not brought over as a service",
    "healthcheck": "the task definition has its own",
    "restart": "ECS starts a task anew that ends",
    "networks": "the network is made by the deployment",
    "logging": "the log is in CloudWatch",
    "build": "the image is container/Dockerfile",
}
_REST: Final = "the task definition of this gateway has its own"


def fits(document: Mapping[str, Any]) -> bool:
    """Whether it is one at all."""
    services = document.get("services")
    return isinstance(services, dict) and any(isinstance(each, dict) for each in services.values())


def take(seen: Seen, file: str, document: Mapping[str, Any], path: Path) -> None:
    """Take over what is LiteLLM's.

    Raises
    ------
    OpsError
        There is no LiteLLM in it.
    """
    services: Mapping[str, Any] = document["services"]
    own = next((name for name, each in services.items() if _is_litellm(name, each)), None)
    if own is None:
        raise OpsError(f"{path}: none of its services is LiteLLM: it has {', '.join(map(str, services))}.")
    for name, service in services.items():
        if name == own:
            _service(seen, file, ("services", name), service, path)
        else:
            seen.hide(service)
            given: Any = service if isinstance(service, dict) else {}
            seen.drop(file, ("services", name), reason(given.get("image"), name))
    seen.hide({key: value for key, value in document.items() if key != "services"})
    seen.rest(file, document, _REST, but=("services",))


def _is_litellm(name: object, service: object) -> bool:
    if not isinstance(service, dict):
        return False
    return is_litellm(service.get("image") or name) or "litellm" in str(service.get("command", ""))


def _service(seen: Seen, file: str, place: Place, service: Mapping[str, Any], path: Path) -> None:
    for key, value in service.items():
        at = (*place, key)
        if key == "image":
            seen.image(file, at, str(value))
        elif key == "environment":
            _environment(seen, file, at, value)
        elif key == "env_file":
            _env_files(seen, file, at, value, path)
        elif key in ("command", "entrypoint"):
            seen.command(file, at, value)
        elif key == "deploy" and isinstance(value, dict):
            _deploy(seen, file, at, value)
        elif key in ("cpus", "mem_limit"):
            _limits(seen, file, place, {key: value})
        elif key == "labels":
            seen.hide(value)
            _host(seen, file, at, value)
        else:
            seen.hide(value, str(key))
            seen.drop(file, at, _OURS.get(key, _REST))


def _environment(seen: Seen, file: str, place: Place, given: object) -> None:
    if isinstance(given, dict):
        for name, value in given.items():
            seen.variable(file, (*place, name), str(name), value)
    for index, item in enumerate(given if isinstance(given, list) else ()):
        name, equals, value = str(item).partition("=")
        seen.variable(file, (*place, index), name, value if equals else None)


def _env_files(seen: Seen, file: str, place: Place, given: object, path: Path) -> None:
    """Take the variables of the files that are there; of one that is not, a person has to say them."""
    names = given if isinstance(given, list) else [given]
    missing = []
    for each in names:
        name = str(each.get("path") if isinstance(each, dict) else each)
        found = path.parent / name
        if not found.is_file():
            missing.append(name)
            continue
        for number, line in enumerate(found.read_text("utf-8", errors="replace").splitlines()):
            key, equals, value = line.strip().removeprefix("export ").partition("=")
            if equals and re.fullmatch(r"[A-Za-z_]\w*", key.strip()):
                seen.variable(name, (number,), key.strip(), value.strip().strip("\"'"))
    if missing:
        seen.decide(file, place, f"{', '.join(missing)} is not there to be read: name its plain variables yourself")
    else:
        seen.change(file, place, "its variables are taken as those of environment are")


def _deploy(seen: Seen, file: str, place: Place, deploy: Mapping[str, Any]) -> None:
    for key, value in deploy.items():
        if key == "replicas" and whole(value):
            seen.tasks = whole(value)
            seen.change(file, (*place, key), "gateway.min_tasks")
        elif key == "resources" and isinstance(value, dict):
            for kind in ("reservations", "limits"):
                if isinstance(value.get(kind), dict):
                    _limits(seen, file, (*place, key, kind), value[kind])
            for kind in value.keys() - {"reservations", "limits"}:
                seen.drop(file, (*place, key, kind), _REST)
        else:
            seen.drop(file, (*place, key), _REST)


def _limits(seen: Seen, file: str, place: Place, limits: Mapping[str, Any]) -> None:
    for key, value in limits.items():
        if key == "cpus" and (units := cpu_units(value)):
            seen.cpu = units
            seen.change(file, (*place, key), "gateway.cpu")
        elif key in ("memory", "mem_limit") and (size := mib(value)):
            seen.memory = size
            seen.change(file, (*place, key), "gateway.memory")
        else:
            seen.drop(file, (*place, key), _REST)


def _host(seen: Seen, file: str, place: Place, labels: object) -> None:
    """The name that a proxy served LiteLLM by, as Traefik's rule has it."""
    found = re.search(r"Host\(`([a-z0-9.-]+)`", str(labels))
    if found:
        seen.bringing.presets.setdefault("domain", found[1])
        seen.decide(
            file, place, f"{found[1]}: if the gateway is to have this name, answer domain and its hosted zone by it"
        )
    else:
        seen.drop(file, place, _REST)
