"""What is around the config.yaml that is brought: a docker-compose.yaml, the values of a Helm chart, a task definition.

Each form has a module, which finds LiteLLM in the file and says of each part of it what becomes of that.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from ops.access import OpsError
from ops.importing import compose, ecs, helm
from ops.importing.bringing import Bringing
from ops.importing.ledger import Fate
from ops.importing.seen import Seen, whole
from ops.importing.source import Source, mapping_in
from ops.importing.variables import WORKERS
from stacks import CHECKOUT
from stacks.litellm_config import image_version
from stacks.settings.gateway import FARGATE_MEMORY, WORKER_CPU, WORKER_MEMORY

FORMS: Final = (compose, helm, ecs)
MOST_CPU: Final = max(FARGATE_MEMORY)


def take_around(bringing: Bringing, source: Source, paths: list[Path]) -> None:
    """Take over what is around the file: variables, the names of secrets, and how large it is.

    Raises
    ------
    OpsError
        A file cannot be read, or is none of the three: one sentence.
    """
    seen = Seen(bringing)
    if source.whole is not None:
        _take(seen, source.name, source.whole, Path(source.name))
    for path in paths:
        document = mapping_in(path)
        name = path.name if path.name != source.name else str(path)
        _take(seen, name, document, path)
    _size(bringing, seen)
    _version(bringing, seen)


def _take(seen: Seen, name: str, document: dict[str, Any], path: Path) -> None:
    form = next((form for form in FORMS if form.fits(document)), None)
    if form is None and document.get("kind") == "ConfigMap":
        seen.rest(name, document, "the image has the file, and this gateway has no ConfigMaps", but=("data",))
        return
    if form is None:
        raise OpsError(
            f"{path}: it is no docker-compose.yaml with LiteLLM in it, no values of LiteLLM's Helm chart and no task "
            "definition of ECS: name one of those with --around."
        )
    form.take(seen, name, document, path)


def _size(bringing: Bringing, seen: Seen) -> None:
    """Propose the size of the tasks, as far as it can be read, and within what Fargate and LiteLLM need."""
    set_to = whole(bringing.variables.value(*WORKERS))
    if not (seen.workers or set_to or seen.cpu or seen.memory or seen.tasks):
        return
    workers = min(seen.workers or set_to or 1, MOST_CPU // WORKER_CPU)
    wanted = max(seen.cpu or 0, workers * WORKER_CPU)
    cpu = next((size for size in FARGATE_MEMORY if size >= wanted), MOST_CPU)
    needed = max(seen.memory or 0, workers * WORKER_MEMORY)
    memory = next((size for size in FARGATE_MEMORY[cpu] if size >= needed), FARGATE_MEMORY[cpu][-1])
    tasks = max(seen.tasks or 1, 1)
    size = {
        "cpu": cpu,
        "memory": memory,
        "workers": workers,
        "min_tasks": tasks,
        "max_tasks": max(seen.most_tasks or 0, 2 * tasks),
    }
    bringing.presets["gateway"] = size
    told = ", ".join(f"{name} {value}" for name, value in size.items())
    why = (
        "how large LiteLLM was, in steps that Fargate has and with 1 vCPU and 4 GiB for each worker: the answer gateway"
    )
    bringing.ledger.note(Fate.ADDED, seen.file, (), "gateway", why, told)


def _version(bringing: Bringing, seen: Seen) -> None:
    """Say whether the image was older or newer."""
    ours = image_version(CHECKOUT / "container" / "Dockerfile")
    for label, image in seen.images.items():
        _, _, tag = image.rpartition("/")[2].partition(":")
        found = re.search(r"(?:^|-)v?(\d+)\.(\d+)\.(\d+)", tag)
        if not found:
            why = f"its tag {tag or '(none)'} names no version; this gateway has LiteLLM {ours}"
        else:
            theirs = tuple(map(int, found.groups()))
            own = tuple(map(int, ours.split(".")))
            how = "the same as" if theirs == own else "older than" if theirs < own else "newer than"
            why = f"LiteLLM {'.'.join(map(str, theirs))} is {how} this gateway's, {ours}"
            if theirs > own:
                why += ": what came since is not there yet"
        bringing.ledger.note(Fate.DROPPED, seen.image_files[label], seen.image_places[label], label, why)
