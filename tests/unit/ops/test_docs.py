"""The documentation says what is there: both READMEs alike, tables as the code has it, paths and targets that exist."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops import about, costs, diagram, docs, settings_reference
from ops.init.questions import KEYS
from ops.templates import Facts, synthesize
from stacks import CHECKOUT
from stacks.company import OWN, SETTINGS, company, environments
from stacks.settings import Environment, Releases
from tests.aws_cli import Command

DOCUMENTS = (
    *("README.md", "README.ja.md", "CHANGELOG.md"),
    *(str(path.relative_to(CHECKOUT)) for path in sorted((CHECKOUT / "docs").rglob("*.md"))),
)
OPERATIONS = [name for name in DOCUMENTS if name.startswith("docs/operations/")]
# A company's own folder, which the product's repository has not, and the names in it.
OF_A_COMPANY = {
    OWN.name,
    *(f"{OWN.name}/{name}" for name in (SETTINGS, "config.yaml", "answers.yaml", "snapshots", "stateful.json")),
}
# Where those files were before version 2.0.0: pages on that version name them.
MOVED = {"stacks/environments.py", "container/config.yaml", "tests/templates/stateful.json"}
OF_VERSION_1 = ("CHANGELOG.md", "docs/upgrading.md")
FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)  # in a list it is indented


def text(document: str) -> str:
    return (CHECKOUT / document).read_text("utf-8")


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
    places = {path.name for path in CHECKOUT.iterdir() if path.is_dir() and not path.name.startswith(".")} - {OWN.name}
    made = {line.strip("/\n") for line in text(".gitignore").splitlines()}
    words = [
        word
        for span in (*spans(document), *(block for _, block in code(document)))
        for word in re.findall(r"(?<![\w/.:$-])[\w.-]+(?:/[\w.-]+)*/?(?![\w*:.])", span)
    ]
    paths = [word for word in words if "/" in word and word.split("/")[0] in places - made]
    missing = {path for path in paths if not (CHECKOUT / path).exists()}
    assert missing - (MOVED | {"tests/templates/__snapshots__"} if document in OF_VERSION_1 else set()) == set()
    assert {word.rstrip("/") for word in words if word.startswith(f"{OWN.name}/")} <= OF_A_COMPANY
    assert paths or document not in ("README.md", "README.ja.md", "docs/design.md")


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name not in OF_VERSION_1])
def test_nobody_is_sent_to_where_a_companys_files_were(document: str) -> None:
    assert not [path for path in MOVED if path in text(document)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_resolves(document: str) -> None:
    for link in links(document):
        if link.startswith("https://"):
            continue
        place, _, anchor = link.partition("#")
        target = (CHECKOUT / document).parent / place if place else CHECKOUT / document
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


# --- Tables that come from the code ---------------------------------------------------------------------------------


def test_the_tables_are_those_of_the_code() -> None:
    """`make docs` writes them: the settings, the example's environments, and what they cost at rest."""
    assert [file.name for file, written in docs.files(company()).items() if file.read_text("utf-8") != written] == []


def test_every_setting_has_a_meaning() -> None:
    for model, meanings in ((Environment, settings_reference.ENVIRONMENT), (Releases, settings_reference.RELEASES)):
        assert {name for name, _, _ in settings_reference.settings(model)} == meanings.keys()


def test_the_costs_are_in_the_readme_with_their_prices() -> None:
    *drivers, total = table("README.md", "Fargate on ARM, GB")
    assert {name: price for name, price, *_ in drivers} == costs.PRICES
    dollars = [[int(cell) for cell in cells] for _, _, *cells in drivers]
    assert [int(cell) for cell in total[2:]] == [sum(column) for column in zip(*dollars, strict=True)]


def changed(one: Environment, setting: str) -> Environment:
    """The environment with `group.name=value`, checked as any."""
    path, _, value = setting.partition("=")
    group, _, name = path.partition(".")
    changed_group = dict(getattr(one, group)) | {name: ast.literal_eval(value)}
    return Environment(**dict(one) | {group: type(getattr(one, group))(**changed_group)})


def test_the_levers_save_what_the_prices_say() -> None:
    for setting, name, saved, _ in table("docs/operations/cost-levers.md", "prod"):
        one, facts = environments()[name], Facts(synthesize(name))
        before, after = (costs.quantities(each, facts) for each in (one, changed(one, setting[1:-1])))
        exact = sum(costs.monthly(before[driver] - after[driver], price) for driver, price in costs.PRICES.items())
        assert int(saved) == costs.whole(exact), setting


# --- Versions -------------------------------------------------------------------------------------------------------


def test_the_changelog_begins_with_the_products_version() -> None:
    versions = re.findall(r"^## (.*)$", text("CHANGELOG.md"), re.MULTILINE)
    dated = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})", version) for version in versions]
    assert all(dated), versions
    numbers = [tuple(map(int, found[1].split("."))) for found in dated if found]
    assert numbers == sorted(numbers, reverse=True)
    assert ".".join(map(str, numbers[0])) == about.product_version()
    assert [found[2] for found in dated if found] == sorted((found[2] for found in dated if found), reverse=True)


def test_every_kind_of_change_is_one_of_keep_a_changelog() -> None:
    kinds = set(re.findall(r"^### (.*)$", text("CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


# --- The picture ----------------------------------------------------------------------------------------------------


def test_the_picture_is_in_step_with_the_templates() -> None:
    assert diagram.picture(diagram.DRAWN) == diagram.PICTURE.read_text("utf-8"), "run: make diagram"


def test_every_answer_of_init_has_its_key() -> None:
    named = {key for table in tables("docs/init.md") for row in table for key in re.findall(r"`(\w+)`", " ".join(row))}
    assert named == {part for key in (*KEYS.company, *KEYS.environment) for part in key.split(".")}
