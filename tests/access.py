"""Who gets in: docs/access.md, made of what the web ACL lets pass and of whom LiteLLM lets through.

`python -m tests.access` writes the page anew, for the example company; `tests/templates/test_access.py` compares it.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Final, NamedTuple

from stacks import CHECKOUT
from stacks.litellm_config import image_version
from stacks.onboarding import LITELLM_ROUTES as ONBOARDING_ROUTES
from stacks.settings import Environment
from stacks.smoke import LITELLM_ROUTES as SMOKE_ROUTES
from stacks.usage import LITELLM_ROUTES as USAGE_ROUTES
from tests.templates.waf import Request, WebAcl

PAGE: Final = CHECKOUT / "docs" / "access.md"
PYTHON: Final = CHECKOUT / ".tools/litellm/bin/python"
DECISIONS: Final = CHECKOUT / "tests" / "access_decisions.py"
SECONDS: Final = 600  # to import LiteLLM and to ask for each route, on a machine with much else to do

CALLERS: Final[Mapping[str, Mapping[str, object]]] = {
    "person": {"role": "internal_user", "routes": []},
    "onboarding": {"role": "proxy_admin", "routes": ONBOARDING_ROUTES},
    "usage": {"role": "proxy_admin_viewer", "routes": USAGE_ROUTES},
    "smoke": {"role": "internal_user", "routes": SMOKE_ROUTES},
}
"""Those with a key in force: the role of its user, and the routes that the key is restricted to."""
EVERYONE: Final = "without a key"
ADMINISTRATORS: Final = "administrators"
EDGES: Final = {
    "From everywhere that the load balancer lets in": (True, True),
    "From the management ranges only": (False, True),
    "From nowhere": (False, False),
}
"""By heading: whether the web ACL lets a person's network pass, and an operator's."""

INTRODUCTION: Final = """\
# Who gets in

Every route of LiteLLM {version} that a request can have ({count} of them, method by method, also those that its OpenAPI
document leaves out), by who gets an answer of it. Written by `python -m tests.access` for the example company; how it
is read, and what to do when a test says that it has changed, is in [security.md](security.md#every-route).
"""


class Row(NamedTuple):
    """A route, as `GET /key/list`, and who gets to it."""

    route: str
    edge: str  # a key of EDGES
    through: tuple[str, ...]  # of CALLERS; or EVERYONE alone; or none, for administrators alone


def decisions() -> dict[str, tuple[str, ...]]:
    """By route, whom LiteLLM lets through.

    Raises
    ------
    FileNotFoundError
        LiteLLM is not installed in .tools/litellm, as `make setup` does.
    subprocess.CalledProcessError
        LiteLLM could not be asked; its error output says why.
    """
    done = subprocess.run(
        [PYTHON, DECISIONS],
        input=json.dumps(CALLERS),
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    found: dict[str, list[str | None]] = json.loads(done.stdout.splitlines()[-1])
    return {route: (EVERYONE,) if None in through else tuple(map(str, through)) for route, through in found.items()}


def path_of(route: str) -> str:
    """A path that a route has, with a name that nothing has in the place of each parameter."""
    return re.sub(r"\{[^}]+\}", "none-such", route.partition(" ")[2])


def edge(web_acl: WebAcl, environment: Environment, route: str) -> str:
    """From where the web ACL lets a route be asked for."""
    ingress = environment.ingress
    operator = next(ingress.management_cidrs[0].hosts())
    person = next(
        address
        for cidr in ingress.cidrs
        for address in cidr.hosts()
        if not any(address in range_ for range_ in ingress.management_cidrs)
    )
    passes = tuple(
        web_acl.verdict(Request(path_of(route), str(address), route.partition(" ")[0])).status is None
        for address in (person, operator)
    )
    return next(heading for heading, who in EDGES.items() if who == passes)


def rows(web_acl: WebAcl, environment: Environment) -> list[Row]:
    """What the page is made of, in its order."""
    found = [Row(route, edge(web_acl, environment, route), through) for route, through in decisions().items()]
    return sorted(found, key=_place)


def document(found: Iterable[Row]) -> str:
    """The page."""
    listed = sorted(found, key=_place)
    lines = [
        INTRODUCTION.format(
            version=image_version(CHECKOUT / "container" / "Dockerfile"), count=f"{len(listed):,}"
        ).rstrip()
    ]
    for heading, of_edge in groupby(listed, key=lambda row: row.edge):
        lines.append(f"\n## {heading}")
        for through, of_group in groupby(of_edge, key=lambda row: row.through):
            lines.append(f"\n### {_title(through)}\n")
            lines += _by_prefix(row.route for row in of_group)
    return "\n".join(lines) + "\n"


def read(page: str) -> Iterator[Row]:
    """The rows of a page."""
    edge = title = ""
    for line in page.splitlines():
        if line.startswith("## "):
            edge = line.removeprefix("## ")
        elif line.startswith("### "):
            title = line.removeprefix("### ")
        elif line.startswith("- "):
            for path, methods in re.findall(r"`([^` ]+)` ([A-Z, ]+[A-Z])", line):
                for method in methods.split(", "):
                    yield Row(f"{method} {path}", edge, _through(title))


def changed(before: Iterable[Row], now: Iterable[Row]) -> list[str]:
    """What is not as it was, a line a route."""
    old, new = ({row.route: row for row in found} for found in (before, now))
    return [
        *(f"new: {_told(new[route])}" for route in sorted(new.keys() - old.keys())),
        *(f"gone: {_told(old[route])}" for route in sorted(old.keys() - new.keys())),
        *(
            f"was {_told(old[route])}; is {_told(new[route])}"
            for route in sorted(old.keys() & new.keys())
            if old[route] != new[route]
        ),
    ]


def _told(row: Row) -> str:
    return f"{row.route}, {row.edge[0].lower()}{row.edge[1:]}, {_title(row.through)}"


def _title(through: tuple[str, ...]) -> str:
    return EVERYONE if through == (EVERYONE,) else ", ".join((ADMINISTRATORS, *through))


def _through(title: str) -> tuple[str, ...]:
    return (EVERYONE,) if title == EVERYONE else tuple(name for name in title.split(", ") if name != ADMINISTRATORS)


def _place(row: Row) -> tuple[int, int, tuple[str, ...], str, str]:
    method, _, path = row.route.partition(" ")
    return [*EDGES].index(row.edge), row.through != (EVERYONE,), row.through, path, method


def _by_prefix(routes: Iterable[str]) -> Iterator[str]:
    """A line for all routes with the same beginning, each path once with its methods."""
    split = [(path, method) for method, _, path in (route.partition(" ") for route in routes)]
    for _, together in groupby(split, key=lambda one: prefix(f"{one[1]} {one[0]}")):
        paths = groupby(together, key=lambda one: one[0])
        yield "- " + "; ".join(f"`{path}` {', '.join(method for _, method in methods)}" for path, methods in paths)


def prefix(route: str) -> str:
    """The beginning of a route's path, by which the page has its lines."""
    words = route.partition(" ")[2].split("/")
    return "/".join(words[: 3 if re.fullmatch(r"v\d\w*|openai|public|management", words[1]) else 2])


def main() -> None:
    """Write the page."""
    from ops.templates import synthesize  # not for who only reads the page
    from stacks.company import company

    template = synthesize("prod")["Gateway"]
    PAGE.write_text(document(rows(WebAcl(template), company().environments["prod"])), "utf-8")


if __name__ == "__main__":
    main()
