"""A task definition of ECS with LiteLLM in it: as `aws ecs describe-task-definition` prints it, as it is registered, or
of a CloudFormation template.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ops.access import OpsError
from ops.importing.seen import Seen, is_litellm, reason, whole
from stacks.litellm_config.file import Place

_TASK: Final = "AWS::ECS::TaskDefinition"
_REST: Final = "the task definition of this gateway has its own"


def fits(document: Mapping[str, Any]) -> bool:
    """Whether it is one at all."""
    return _definition(document) is not None


def take(seen: Seen, file: str, document: Mapping[str, Any], path: Path) -> None:
    """Take over what is LiteLLM's.

    Raises
    ------
    OpsError
        There is no LiteLLM in it.
    """
    place, definition = _definition(document) or ((), {})
    containers = _of(definition, "containerDefinitions")
    listed = [each for each in containers if isinstance(each, dict)] if isinstance(containers, list) else []
    names = [str(_of(each, "name")) for each in listed]
    own = next((each for each in listed if _is_litellm(each)), listed[0] if len(listed) == 1 else None)
    if own is None:
        raise OpsError(f"{path}: none of its containers is LiteLLM: it has {', '.join(names) or 'none'}.")
    _note_around(seen, file, document, place)
    for key, value in definition.items():
        at = (*place, key)
        if key.lower() == "containerdefinitions":
            for index, each in enumerate(value):
                if each is own:
                    _container(seen, file, (*at, index), own)
                else:
                    seen.hide(each)
                    given = each if isinstance(each, dict) else {}
                    seen.drop(file, (*at, index), reason(_of(given, "image"), _of(given, "name")))
        elif key.lower() in ("cpu", "memory") and whole(value):
            setattr(seen, key.lower(), whole(value))
            seen.change(file, at, f"gateway.{key.lower()}")
        else:
            seen.drop(file, at, _REST)


def _definition(document: Mapping[str, Any]) -> tuple[Place, Mapping[str, Any]] | None:
    """The definition in a document, and where."""
    if isinstance(_of(document, "containerDefinitions"), list):
        return (), document
    inner = document.get("taskDefinition")
    if isinstance(inner, dict) and isinstance(_of(inner, "containerDefinitions"), list):
        return ("taskDefinition",), inner
    resources = document.get("Resources")
    for name, resource in resources.items() if isinstance(resources, dict) else ():
        if isinstance(resource, dict) and resource.get("Type") == _TASK:
            properties = resource.get("Properties")
            if isinstance(properties, dict) and isinstance(_of(properties, "containerDefinitions"), list):
                return ("Resources", name, "Properties"), properties
    return None


def _of(mapping: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - anything that JSON has
    """A field, as the API writes it or as CloudFormation does."""
    return mapping.get(name, mapping.get(name[0].upper() + name[1:]))


def _note_around(seen: Seen, file: str, document: Mapping[str, Any], place: Place) -> None:
    """Note what is beside the definition."""
    value: Any = document
    for depth, step in enumerate(place):
        for key in value:
            if key != step:
                seen.hide(value[key], str(key))
                seen.drop(file, (*place[:depth], key), _REST)
        value = value[step]


def _is_litellm(container: Mapping[str, Any]) -> bool:
    words = (_of(container, "image"), _of(container, "name"))
    return any(is_litellm(word) for word in words) or "litellm" in str(_of(container, "command"))


def _container(seen: Seen, file: str, place: Place, container: Mapping[str, Any]) -> None:
    for key, value in container.items():
        at, name = (*place, key), key.lower()
        if name == "image":
            seen.image(file, at, str(value))
        elif name in ("command", "entrypoint"):
            seen.command(file, at, value)
        elif name in ("environment", "secrets") and isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict) and _of(item, "name"):
                    plain = _of(item, "value") if name == "environment" else None
                    _variable(seen, file, (*at, index), str(_of(item, "name")), plain, is_secret=name == "secrets")
                else:
                    seen.drop(file, (*at, index), _REST)
        elif name in ("cpu", "memory", "memoryreservation") and whole(value):
            field = "cpu" if name == "cpu" else "memory"
            if getattr(seen, field) is None:
                setattr(seen, field, whole(value))
            seen.change(file, at, f"gateway.{field}")
        elif name == "environmentfiles":
            seen.decide(file, at, "files of variables in Amazon S3 are not read: name their plain variables yourself")
        else:
            seen.hide(value, str(key))
            seen.drop(file, at, _REST)


def _variable(seen: Seen, file: str, place: Place, name: str, value: object, *, is_secret: bool) -> None:
    seen.variable(file, place, name, value if isinstance(value, str | int | float) else None)
    if is_secret:
        seen.bringing.variables.secrets.add(name)
        seen.bringing.variables.unknown.discard(name)
