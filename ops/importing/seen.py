"""What is found around LiteLLM, in whatever form, and what is noted of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ops.importing import secret
from ops.importing.bringing import Bringing
from ops.importing.ledger import Fate
from ops.importing.prepare import take
from ops.importing.tree import scalars
from stacks.litellm_config.file import Place

OTHERS: Final = (
    (r"postgres|pgvector|mysql|mariadb|pgbouncer", "Aurora PostgreSQL is in its place, and starts empty"),
    (
        r"redis|valkey",
        "what tasks share is in a Valkey of the gateway's own, where the environment's settings have cache",
    ),
    (r"nginx|traefik|caddy|haproxy|envoy|ingress", "the load balancer is in its place, with a certificate of its own"),
    (r"prometheus|grafana|otel|jaeger|loki|datadog|langfuse|clickhouse", "alarms, a dashboard and Datadog are there"),
    (r"watchtower|certbot|letsencrypt", "releases and certificates are AWS's here"),
)
"""What runs beside LiteLLM, by its image or name, and why it is not brought over."""

_OTHERWISE: Final = "it is no part of the gateway: deploy it elsewhere, if it is still needed"
_FLAGS_OF_SIZE: Final = ("--num_workers", "--num-workers")


@dataclass
class Seen:
    """Of all the files around LiteLLM together."""

    bringing: Bringing
    file: str = ""  # the one that told the size last
    workers: int | None = None
    cpu: int | None = None  # CPU units, 1024 = 1 vCPU
    memory: int | None = None  # MiB
    tasks: int | None = None
    most_tasks: int | None = None
    images: dict[str, str] = field(default_factory=dict)  # by label
    image_places: dict[str, Place] = field(default_factory=dict)
    image_files: dict[str, str] = field(default_factory=dict)

    def drop(self, file: str, place: Place, why: str) -> None:
        """Note that what is at a place is not brought over."""
        self.bringing.ledger.note(Fate.DROPPED, file, place, label(place), why)

    def decide(self, file: str, place: Place, why: str, name: str = "") -> None:
        """Note what a person has to decide."""
        self.bringing.ledger.note(Fate.DECIDE, file, place, name or label(place), self.bringing.hidden.clean(why))

    def change(self, file: str, place: Place, why: str) -> None:
        """Note what becomes a setting."""
        self.file = file
        self.bringing.ledger.note(Fate.CHANGED, file, place, label(place), why)

    def rest(self, file: str, mapping: Mapping[str, Any], why: str, *, but: Collection[str] = ()) -> None:
        """Note the rest of a mapping at the top of a file as not brought over."""
        for key in mapping:
            if key not in but:
                self.drop(file, (key,), why)

    def hide(self, value: Any, key: str = "") -> None:  # noqa: ANN401 - anything that YAML has
        """Remember every secret below a value, whatever becomes of it."""
        for place, each in scalars(value):
            own = next((step for step in reversed(place) if isinstance(step, str)), key)
            if secret.secret_in(own, each) or (isinstance(each, str) and secret.is_secret_name(own.upper())):
                self.bringing.hidden.add(each)

    def variable(self, file: str, place: Place, name: str, value: object) -> None:
        """Take one variable."""
        take(self.bringing, file, place, f"{label(place)} ({name})" if name not in place else label(place), name, value)

    def image(self, file: str, place: Place, image: str) -> None:
        """Note the image that LiteLLM was started from."""
        told = label(place)
        self.images[told], self.image_places[told], self.image_files[told] = image, place, file

    def command(self, file: str, place: Place, words: object) -> None:
        """Take over of a command what is a setting here."""
        given = words.split() if isinstance(words, str) else words if isinstance(words, list) else []
        texts = [str(word) for word in given]
        for index, word in enumerate(texts):
            name, equals, value = word.partition("=")
            value = value if equals else (texts[index + 1] if index + 1 < len(texts) else "")
            if name in _FLAGS_OF_SIZE and value.isdigit():
                self.workers = int(value)
            if secret.secret_in(name.lstrip("-").replace("-", "_"), value):
                self.bringing.hidden.add(value)
        kept = ", with gateway.workers for --num_workers" if self.workers else ""
        self.drop(file, place, f"container/entrypoint.sh starts LiteLLM{kept}")


def reason(*words: object) -> str:
    """Why something that runs beside LiteLLM is not brought over."""
    text = " ".join(str(word) for word in words if word).lower()
    return next((why for pattern, why in OTHERS if re.search(pattern, text)), _OTHERWISE)


def label(place: Place) -> str:
    """How a person calls a place of such a file."""
    text = ""
    for step in place:
        text += f" {step + 1}" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def is_litellm(image: object) -> bool:
    """Whether an image is LiteLLM's, or one that is made of it."""
    return "litellm" in str(image).lower() and not re.search(r"litellm-?(ui|dashboard|docs)", str(image).lower())


def mib(text: object) -> int | None:
    """Memory in MiB: as Docker or Kubernetes write it, or a number of MiB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", str(text).strip().lower())
    if not found:
        return None
    size = float(found[1]) * {"": 1 / 1024**2, "k": 1 / 1024, "m": 1, "g": 1024, "t": 1024**2}[found[2]]
    return int(size) or None


def cpu_units(text: object) -> int | None:
    """CPU in units of 1/1024 vCPU: as Docker or Kubernetes write it, 500m or 2."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", str(text).strip())
    return int(float(found[1]) * (1024 / 1000 if found[2] else 1024)) if found else None


def whole(value: object) -> int | None:
    """A whole number above 0, if it is one."""
    text = str(value)
    return int(text) if text.isdigit() and int(text) > 0 and not isinstance(value, bool) else None
