"""The documentation says what is there: both READMEs alike, tables as the code has it, paths and targets that exist."""

from __future__ import annotations

import ast
import ipaddress
import os
import re
import shutil
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ops import diagram
from stacks.company import environments
from stacks.settings import Environment, Settings
from tests.aws_cli import Command

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    *("README.md", "README.ja.md"),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
)
OPERATIONS = [name for name in DOCUMENTS if name.startswith("docs/operations/")]
DEPLOYED = ("dev", "stg", "prod")
HOURS = 730  # in a month, as AWS reckons
FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)  # in a list it is indented


def text(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


def prose(document: str) -> str:
    """A document without its code blocks."""
    return FENCE.sub("", text(document))


def headings(document: str) -> list[str]:
    return re.findall(r"^(#+) ", prose(document), re.MULTILINE)


def code(document: str) -> list[tuple[str, str]]:
    """The language and the text of each code block, without comments, which are translated."""
    return [(language, re.sub(r"[ ]*# .*", "", block)) for language, block in FENCE.findall(text(document))]


def spans(document: str) -> list[str]:
    """Code within a sentence."""
    return re.findall(r"`([^`\n]+)`", prose(document))


def links(document: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(document))


def anchors(document: str) -> set[str]:
    """What a link within the document can lead to: GitHub's ids of the headings."""
    titles = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def tables(document: str) -> list[list[list[str]]]:
    """The cells of every table, row by row, without the line below the head."""
    found: list[list[list[str]]] = [[]]
    for line in prose(document).splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [[row for row in table if set("".join(row)) != {"-"}] for table in found if table]


def table(document: str, contains: str) -> list[list[str]]:
    """The rows, without the head, of the one table that has a cell."""
    (found,) = (rows for rows in tables(document) if any(contains in row for row in rows))
    return found[1:]


# --- Both READMEs ---------------------------------------------------------------------------------------------------


def test_the_readmes_have_the_same_sections() -> None:
    assert headings("README.ja.md") == headings("README.md")


def test_the_readmes_have_the_same_code_blocks_but_for_comments() -> None:
    assert code("README.ja.md") == code("README.md")


def test_the_readmes_name_the_same_code() -> None:
    assert sorted(spans("README.ja.md")) == sorted(spans("README.md"))


def test_the_readmes_link_to_the_same_places() -> None:
    def elsewhere(document: str) -> set[str]:
        return {link for link in links(document) if not link.startswith(("#", "README"))}

    assert elsewhere("README.ja.md") == elsewhere("README.md")


def test_the_readmes_have_the_same_figures_in_their_tables() -> None:
    def figures(document: str) -> list[list[list[list[str]]]]:
        return [
            [[re.findall(r"(?<!\w)\d[\d.,–]*", cell) for cell in row[1:-1]] for row in rows]  # noqa: RUF001
            for rows in tables(document)
        ]

    assert figures("README.ja.md") == figures("README.md")


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name != "README.ja.md"])
def test_documents_but_the_japanese_one_are_in_english(document: str) -> None:
    words = "".join(line for line in text(document).splitlines() if "README.ja.md" not in line)
    assert not re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]", words)


# --- What they say --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_version_is_the_images(document: str) -> None:
    (version,) = re.findall(r"^ARG LITELLM_VERSION=(\S+)$", text("container/Dockerfile"), re.MULTILINE)
    named = re.findall(r"LiteLLM(?: Proxy\]\([^)]*\))? (\d+\.\d+\.\d+)(?! could)", prose(document))
    named = [found for found in named if found != "1.84.0"]  # where an advisory was mended
    assert set(named) <= {version}
    assert named or not document.startswith("README")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_target_of_make_exists(document: str) -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text("Makefile"), re.MULTILINE)
    commands = "\n".join((*spans(document), *(block for _, block in code(document))))
    named = re.findall(r"\bmake ([a-z0-9][a-z0-9-]*)", commands)
    assert set(named) <= set(phony.split())


def test_the_readme_names_every_target_of_make() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text("Makefile"), re.MULTILINE)
    named = {name for span in spans("README.md") for name in re.findall(r"^make ([a-z0-9][a-z0-9-]*)", span)}
    assert named == set(phony.split())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_exists(document: str) -> None:
    places = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    made = {line.strip("/\n") for line in text(".gitignore").splitlines()}
    paths = [
        word
        for span in (*spans(document), *(block for _, block in code(document)))
        for word in re.findall(r"(?<![\w/.:$-])[\w.-]+(?:/[\w.-]+)*/?(?![\w*:.])", span)
        if "/" in word and word.split("/")[0] in places - made
    ]
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing
    assert paths or document in OPERATIONS


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_resolves(document: str) -> None:
    for link in links(document):
        if link.startswith("https://"):
            continue
        place, _, anchor = link.partition("#")
        target = (ROOT / document).parent / place if place else ROOT / document
        assert target.is_file(), link
        assert not anchor or anchor in anchors(str(target)), link


@pytest.mark.parametrize("document", ["README.md", "README.ja.md"])
def test_the_sample_output_is_between_its_markers(document: str) -> None:
    assert len(re.findall(r"<!-- make-up-output -->.*<!-- /make-up-output -->", text(document), re.DOTALL)) == 1


# --- Commands -------------------------------------------------------------------------------------------------------

# Names from outside of a block, values split into words on purpose, and `cd` without `exit`, which would end a person's
# shell; the rest of shellcheck holds.
SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "shellcheck"
NOT_IN_DOCUMENTS = "SC2034,SC2086,SC2154,SC2164"


def scripts(document: str) -> list[str]:
    """The blocks of shell, without the indentation of a list around them."""
    return [
        re.sub(r"^ {2,3}", "", block, flags=re.MULTILINE)
        for language, block in FENCE.findall(text(document))
        if language == "sh"
    ]


AWS_CALLS = [(document, found) for document in DOCUMENTS for found in Command.of_script("\n".join(scripts(document)))]


@pytest.mark.parametrize(
    ("document", "command"),
    AWS_CALLS,
    ids=[f"{document}-{found.service}-{found.name}" for document, found in AWS_CALLS],
)
def test_every_command_of_aws_exists(document: str, command: Command) -> None:
    assert not command.findings(), document


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if scripts(name)])
def test_every_script_is_well_formed(document: str) -> None:
    for script in scripts(document):
        check = subprocess.run(
            [SHELLCHECK, "--shell=bash", f"--exclude={NOT_IN_DOCUMENTS}", "--severity=warning", "-"],
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check.returncode, check.stdout


# --- Tables that come from the settings -----------------------------------------------------------------------------


def settings(model: type[Settings], prefix: str = "", optional: bool = False) -> Iterator[tuple[str, str, str]]:
    """Name, type and default of every setting, groups resolved; nothing in an optional group is required by itself."""
    for name, field in model.model_fields.items():
        kind, default = field.annotation, field.default
        if typing.get_origin(kind) in (types.UnionType, typing.Union):
            (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
        if isinstance(kind, type) and issubclass(kind, Settings):
            yield from settings(kind, f"{prefix}{name}.", optional=optional or default is None)
        elif groups := [one for one in typing.get_args(kind) if isinstance(one, type) and issubclass(one, Settings)]:
            yield from settings(groups[0], f"{prefix}{name}[].")  # what each of them needs
        else:
            yield f"`{prefix}{name}`", f"`{type_name(kind)}`", default_of(field, "none" if optional else "required")


def default_of(field: FieldInfo, otherwise: str) -> str:
    if field.default is PydanticUndefined:
        return otherwise
    return "none" if field.default is None else f"`{field.default}`"


def type_name(kind: Any) -> str:  # noqa: ANN401 - an annotation
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin:
        return f"{origin.__name__}[{', '.join('...' if part is ... else type_name(part) for part in arguments)}]"
    return "IPv4Network" if kind is ipaddress.IPv4Network else str(kind.__name__)


def test_the_settings_are_those_of_the_models() -> None:
    assert [tuple(row[:3]) for row in table("README.md", "`name`")] == list(settings(Environment))


def test_the_environments_are_those_of_the_settings() -> None:
    chosen = [environments()[name] for name in DEPLOYED]
    yes_no = {True: "yes", False: "no"}
    expected = {
        "Availability zones": [str(len(one.network.zones)) for one in chosen],
        "NAT gateways": [str(one.network.nat_gateways) for one in chosen],
        "Interface endpoints": [str(len(one.network.interface_endpoints)) for one in chosen],
        "Tasks": [f"{one.gateway.min_tasks}–{one.gateway.max_tasks}" for one in chosen],  # noqa: RUF001
        "Aurora capacity (ACU)": [
            f"{one.database.min_capacity:g}–{one.database.max_capacity:g}"  # noqa: RUF001
            for one in chosen
        ],
        "Aurora reader": [yes_no[one.database.reader] for one in chosen],
        "Backups (days)": [str(one.database.backup_days) for one in chosen],
        "Logs (days)": [str(one.log_retention_days) for one in chosen],
        "Deletion protection": [yes_no[one.deletion_protection] for one in chosen],
    }
    rows = {name: cells for name, *cells in table("README.md", "Availability zones")}
    assert {name: rows.get(name) for name in expected} == expected


def quantities(one: Environment) -> dict[str, float]:
    """How many of each cost driver an environment has at rest."""
    zones, tasks = len(one.network.zones), one.gateway.min_tasks
    return {
        "NAT gateways": one.network.nat_gateways,
        "Fargate on ARM, vCPU": tasks * one.gateway.cpu / 1024,
        "Fargate on ARM, GB": tasks * one.gateway.memory / 1024,
        "Aurora Serverless v2, ACU": one.database.min_capacity * (1 + one.database.reader),
        "Application Load Balancer": 1,
        "Interface endpoints, each per zone": len(one.network.interface_endpoints) * zones,
        "Public IPv4 addresses": zones * one.ingress.public + one.network.nat_gateways,
        "AWS WAF, web ACL": 1,
        "AWS WAF, rules": 7,
        "AWS KMS, keys": 2,  # the database's, and that of the topic of mail events
        "Route 53, hosted zone": 1,  # Cloud Map's
        # Each figure of an alarm counts; and Application Auto Scaling makes two alarms for each of two policies.
        "CloudWatch alarms": figures_of_alarms(one.name) + 4,
    }


synthesized = cache(diagram.synthesize)  # takes seconds


def figures_of_alarms(environment: str) -> int:
    """How many metrics an environment's alarms look at: one each, and with metric math those that it reckons with."""
    template = synthesized(environment)["Observability"]
    alarms = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    return sum(
        sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1 for alarm in alarms
    )


def dollars(quantity: float, price: str) -> int:
    """Whole dollars a month, half a one rounded up; a price is per hour or per month."""
    return int(quantity * float(price.split()[0]) * (HOURS if "/h" in price else 1) + 0.5)


def test_the_costs_are_the_prices_times_what_the_settings_say() -> None:
    *drivers, total = table("README.md", "Fargate on ARM, GB")
    found = {name: [int(cell) for cell in cells] for name, _, *cells in drivers}
    expected = {
        name: [dollars(quantities(environments()[each])[name], price) for each in DEPLOYED]
        for name, price, *_ in drivers
    }
    assert found == expected
    assert found.keys() == quantities(environments()["dev"]).keys()
    assert [int(cell) for cell in total[2:]] == [sum(column) for column in zip(*found.values(), strict=True)]


def changed(one: Environment, setting: str) -> Environment:
    """The environment with `group.name=value`, checked as any."""
    path, _, value = setting.partition("=")
    group, _, name = path.partition(".")
    changed_group = dict(getattr(one, group)) | {name: ast.literal_eval(value)}
    return Environment(**dict(one) | {group: type(getattr(one, group))(**changed_group)})


def test_the_levers_save_what_the_prices_say() -> None:
    *drivers, _ = table("README.md", "Fargate on ARM, GB")
    levers = table("docs/operations/cost-levers.md", "prod")
    for setting, name, saved, _ in levers:
        before, after = (
            quantities(one) for one in (environments()[name], changed(environments()[name], setting[1:-1]))
        )
        exact = sum(
            (before[driver] - after[driver]) * float(price.split()[0]) * (HOURS if "/h" in price else 1)
            for driver, price, *_ in drivers
        )
        assert int(saved) == int(exact + 0.5), setting


# --- The picture ----------------------------------------------------------------------------------------------------


def test_the_picture_is_in_step_with_the_templates() -> None:
    drawn = diagram.draw(synthesized(diagram.ENVIRONMENT))
    assert drawn == diagram.PICTURE.read_text("utf-8"), "run: make diagram"


def test_a_text_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit in 100 pixels"):
        list(diagram.card(diagram.Box(0, 0, 100, 40), "network", "A title that is far too long"))
