"""The values of LiteLLM's Helm chart, deploy/charts/litellm-helm of its repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ops.importing.seen import Seen, cpu_units, mib, whole
from stacks.litellm_config.file import Place

_MARKS: Final = (
    "environmentSecrets",
    "environmentConfigMaps",
    "masterkey",
    "masterkeySecretName",
    "proxy_config",
    "proxyConfigMap",
    "migrationJob",
)
"""What that chart's values have and hardly another's."""

_REST: Final = "it is of Kubernetes, and this gateway runs on ECS"
_REASONS: Final = {
    "db": "Aurora PostgreSQL is in its place, and starts empty",
    "postgresql": "Aurora PostgreSQL is in its place, and starts empty",
    "redis": "what tasks share is in a Valkey of the gateway's own, where the environment's settings have cache",
    "masterkey": "a new one is made by make secrets, as LITELLM_MASTER_KEY",
    "masterkeySecretName": "a new one is made by make secrets, as LITELLM_MASTER_KEY",
    "masterkeySecretKey": "a new one is made by make secrets, as LITELLM_MASTER_KEY",
    "migrationJob": "each release migrates the database before it is rolled out",
    "logLevel": "this gateway sets it itself",
    "proxyConfigMap": "the image has config.yaml",
    "service": "the load balancer serves HTTPS on port 443",
    "proxy_config": "the config.yaml that was named counts, and not this one",
    "serviceMonitor": "alarms, a dashboard and Datadog are there",
}


def fits(document: Mapping[str, Any]) -> bool:
    """Whether it is one at all."""
    return any(key in document for key in _MARKS)


def take(seen: Seen, file: str, document: Mapping[str, Any], _: Path) -> None:
    """Take over what is a setting here."""
    for key, value in document.items():
        taken = _TAKEN.get(key)
        if key == "proxy_config" and seen.bringing.file == file:
            continue  # the file itself
        if taken and taken[0](value):
            taken[1](seen, file, key, value)
        else:
            seen.hide(value, str(key))
            seen.drop(file, (key,), _REASONS.get(key, _REST))


def _number(seen: Seen, file: str, key: str, value: object) -> None:
    field, setting = _NUMBERS[key]
    setattr(seen, field, whole(value))
    seen.change(file, (key,), setting)


def _variables(seen: Seen, file: str, key: str, value: Mapping[str, Any]) -> None:
    for name, each in value.items():
        seen.variable(file, (key, name), str(name), each)


def _elsewhere(seen: Seen, file: str, key: str, value: object) -> None:
    what = "secrets by the names that config.yaml has" if key == "environmentSecrets" else "plain variables"
    names = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    seen.decide(file, (key,), f"{names} is in the cluster, and not in the files: give its {what}")


def _command(seen: Seen, file: str, key: str, value: object) -> None:
    seen.command(file, (key,), value)


def _image(seen: Seen, file: str, _: str, image: Mapping[str, Any]) -> None:
    for key in image:
        if key == "tag" and image[key]:
            seen.image(file, ("image", key), f"{image.get('repository', 'litellm')}:{image[key]}")
        else:
            seen.drop(file, ("image", key), "the image is container/Dockerfile")


def _scaling(seen: Seen, file: str, key: str, scaling: Mapping[str, Any]) -> None:
    for name, value in scaling.items():
        if scaling.get("enabled") is True and name in ("minReplicas", "maxReplicas") and whole(value):
            setattr(seen, "tasks" if name == "minReplicas" else "most_tasks", whole(value))
            seen.change(file, (key, name), "gateway.min_tasks" if name == "minReplicas" else "gateway.max_tasks")
        else:
            seen.drop(file, (key, name), "tasks are added by CPU and by the requests in hand")


def _resources(seen: Seen, file: str, _: str, resources: Mapping[str, Any]) -> None:
    """The limits count before the requests."""
    for kind in ("requests", "limits", *(key for key in resources if key not in ("requests", "limits"))):
        given = resources.get(kind)
        if not isinstance(given, dict):
            if kind in resources:
                seen.drop(file, ("resources", kind), _REST)
            continue
        for name, value in given.items():
            place = ("resources", kind, name)
            if name == "cpu" and (units := cpu_units(value)):
                seen.cpu = units
                seen.change(file, place, "gateway.cpu")
            elif name == "memory" and (size := mib(value)):
                seen.memory = size
                seen.change(file, place, "gateway.memory")
            else:
                seen.drop(file, place, _REST)


def _listed(seen: Seen, file: str, key: str, given: list[Any]) -> None:
    for index, item in enumerate(given):
        place: Place = (key, index)
        if not isinstance(item, dict) or "name" not in item:
            seen.drop(file, place, _REST)
            continue
        seen.variable(file, place, str(item["name"]), item.get("value"))
        if isinstance(item.get("valueFrom"), dict) and "secretKeyRef" in item["valueFrom"]:
            seen.bringing.variables.secrets.add(str(item["name"]))
            seen.bringing.variables.unknown.discard(str(item["name"]))


def _ingress(seen: Seen, file: str, _: str, ingress: Mapping[str, Any]) -> None:
    hosts = ingress.get("hosts")
    names = [str(each.get("host")) for each in hosts if isinstance(each, dict)] if isinstance(hosts, list) else []
    for key, value in ingress.items():
        seen.hide(value, str(key))
        if key == "hosts" and names and ingress.get("enabled") is True:
            seen.bringing.presets.setdefault("domain", names[0])
            why = f"{', '.join(names)}: if the gateway is to have this name, answer domain and its hosted zone by it"
            seen.decide(file, ("ingress", key), why)
        else:
            seen.drop(file, ("ingress", key), "the load balancer is in its place")


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_number(value: object) -> bool:
    return whole(value) is not None


_NUMBERS: Final = {
    "replicaCount": ("tasks", "gateway.min_tasks"),
    "numWorkers": ("workers", "gateway.workers"),
}
_TAKEN: Final[Mapping[str, tuple[Callable[[Any], bool], Callable[[Seen, str, str, Any], None]]]] = {
    "args": (bool, _command),
    "autoscaling": (_is_mapping, _scaling),
    "command": (bool, _command),
    "envVars": (_is_mapping, _variables),
    "environmentConfigMaps": (bool, _elsewhere),
    "environmentSecrets": (bool, _elsewhere),
    "extraEnvVars": (_is_list, _listed),
    "image": (_is_mapping, _image),
    "ingress": (_is_mapping, _ingress),
    "keda": (_is_mapping, _scaling),
    "numWorkers": (_is_number, _number),
    "replicaCount": (_is_number, _number),
    "resources": (_is_mapping, _resources),
}
"""What is a setting here: what it must be for that, and what takes it."""
