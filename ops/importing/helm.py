"""The values of LiteLLM's Helm chart, deploy/charts/litellm-helm of its repository."""

from __future__ import annotations

from collections.abc import Mapping
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
    "redis": "this gateway has no Redis (docs/decisions/0016-no-redis.md)",
    "masterkey": "a new one is made by make secrets, as LITELLM_MASTER_KEY",
    "masterkeySecretName": "a new one is made by make secrets, as LITELLM_MASTER_KEY",
    "masterkeySecretKey": "a new one is made by make secrets, as LITELLM_MASTER_KEY",
    "migrationJob": "each release migrates the database before it is rolled out",
    "logLevel": "this gateway sets it itself",
    "proxyConfigMap": "the image has config.yaml",
    "service": "the load balancer serves HTTPS on port 443",
    "serviceMonitor": "alarms, a dashboard and Datadog are there",
}


def fits(document: Mapping[str, Any]) -> bool:
    """Whether it is one at all."""
    return any(key in document for key in _MARKS)


def take(seen: Seen, file: str, document: Mapping[str, Any], _: Path) -> None:
    """Take over what is a setting here."""
    for key, value in document.items():
        place: Place = (key,)
        if key == "proxy_config":
            if seen.bringing.file != file:
                seen.hide(value)
                seen.drop(file, place, "the config.yaml that was named counts, and not this one")
            continue
        if key == "image" and isinstance(value, dict):
            _image(seen, file, value)
        elif key in ("replicaCount", "numWorkers") and whole(value):
            setattr(seen, "tasks" if key == "replicaCount" else "workers", whole(value))
            seen.change(file, place, "gateway.min_tasks" if key == "replicaCount" else "gateway.workers")
        elif key in ("autoscaling", "keda") and isinstance(value, dict):
            _scaling(seen, file, key, value)
        elif key == "resources" and isinstance(value, dict):
            _resources(seen, file, value)
        elif key == "envVars" and isinstance(value, dict):
            for name, each in value.items():
                seen.variable(file, (key, name), str(name), each)
        elif key == "extraEnvVars" and isinstance(value, list):
            _listed(seen, file, key, value)
        elif key in ("environmentSecrets", "environmentConfigMaps") and value:
            what = "secrets by the names that config.yaml has" if key == "environmentSecrets" else "plain variables"
            told = f"{', '.join(map(str, value))} is in the cluster, and not in the files: give its {what}"
            seen.decide(file, place, told)
        elif key in ("command", "args"):
            seen.command(file, place, value)
        elif key == "ingress" and isinstance(value, dict):
            _ingress(seen, file, value)
        else:
            seen.hide(value, str(key))
            seen.drop(file, place, _REASONS.get(key, _REST))


def _image(seen: Seen, file: str, image: Mapping[str, Any]) -> None:
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


def _resources(seen: Seen, file: str, resources: Mapping[str, Any]) -> None:
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


def _ingress(seen: Seen, file: str, ingress: Mapping[str, Any]) -> None:
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
