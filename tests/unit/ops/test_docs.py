"""The documentation says what is there: twins alike in two languages, parts as the code has them, paths that exist."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest

from ops import (
    about,
    alarms_reference,
    commands_reference,
    diagram,
    docs,
    permissions_reference,
    settings_reference,
)
from ops.access import OpsError
from ops.cost.parts import at_rest, dollars, independence
from ops.cost.prices import HOURS, Prices, prices_of
from ops.cost.table import rows, whole
from ops.init.questions import KEYS
from ops.templates import Facts, plain, synthesize
from stacks import CHECKOUT
from stacks.company import OWN, SETTINGS, company, environments
from stacks.settings import Environment, Releases
from tests.aws_cli import Command

DOCUMENTS = (
    *("README.md", "README.ja.md", "CHANGELOG.md", "CONTRIBUTING.md", ".github/pull_request_template.md"),
    *(str(path.relative_to(CHECKOUT)) for path in sorted((CHECKOUT / "docs").rglob("*.md"))),
)
# A page in Japanese, and the same in English.
TWINS = {name: name.replace(".ja.md", ".md") for name in DOCUMENTS if name.endswith(".ja.md")}
COMMANDS = "docs/commands.ja.md"  # made of the Makefile's words on one side, and of its own on the other
DECISIONS = [name for name in DOCUMENTS if re.fullmatch(r"docs/decisions/\d{4}-.*", name)]
README_LINES = 150  # the most: whoever comes here wants to know what it is, and where to read on
# A company's own folder, which the product's repository has not, and the names in it.
OF_A_COMPANY = {
    OWN.name,
    *(f"{OWN.name}/{name}" for name in (SETTINGS, "config.yaml", "answers.yaml", "import.md")),
    *(f"{OWN.name}/{name}" for name in ("snapshots", "stateful.json")),
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


@cache
def led_to(document: str) -> frozenset[Path]:
    """The files that a document has links to."""
    return frozenset(((CHECKOUT / document).parent / link.partition("#")[0]).resolve() for link in links(document))


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


# --- Twins in two languages -------------------------------------------------------------------------------------------

of_each_pair = pytest.mark.parametrize(("japanese", "english"), TWINS.items(), ids=TWINS)


@of_each_pair
def test_twins_have_the_same_sections(japanese: str, english: str) -> None:
    assert headings(japanese) == headings(english)


@of_each_pair
def test_twins_have_the_same_code_blocks_but_for_comments(japanese: str, english: str) -> None:
    assert code(japanese) == code(english)


@pytest.mark.parametrize("japanese", [name for name in TWINS if name != COMMANDS])
def test_twins_name_the_same_code(japanese: str) -> None:
    assert sorted(spans(japanese)) == sorted(spans(TWINS[japanese]))


@of_each_pair
def test_twins_link_to_the_same_places(japanese: str, english: str) -> None:
    """In Japanese where there is such a page; each also leads to the other."""

    def places(document: str) -> set[str]:
        found = {link.partition("#")[0].replace(".ja.md", ".md") for link in links(document)}
        return found - {"", Path(english).name}

    assert places(japanese) == places(english)
    assert Path(english).name in links(japanese)
    assert Path(japanese).name in links(english)


@pytest.mark.parametrize("japanese", TWINS)
def test_a_page_in_japanese_leads_to_pages_in_japanese(japanese: str) -> None:
    places = {link.partition("#")[0] for link in links(japanese)} - {"", Path(TWINS[japanese]).name}
    pages = {(CHECKOUT / japanese).parent / place for place in places if place.endswith(".md") and ".ja." not in place}
    assert not [page for page in pages if page.with_suffix(".ja.md").is_file()]


@of_each_pair
def test_twins_have_the_same_figures_in_their_tables(japanese: str, english: str) -> None:
    def figures(document: str) -> list[list[list[list[str]]]]:
        return [
            [[re.findall(r"(?<!\w)\d[\d.,–]*", cell) for cell in row[1:-1]] for row in rows]  # noqa: RUF001
            for rows in tables(document)
        ]

    assert figures(japanese) == figures(english)


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name not in TWINS])
def test_documents_but_the_japanese_ones_are_in_english(document: str) -> None:
    words = "".join(line for line in text(document).splitlines() if ".ja.md" not in line)
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


def test_the_commands_are_those_of_the_makefile() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text("Makefile"), re.MULTILINE)
    for page in ("docs/commands.md", COMMANDS):
        assert {name for row in tables(page)[0] for name in re.findall(r"`make ([\w-]+)", row[0])} == set(phony.split())


@pytest.mark.parametrize("document", ["README.md", "README.ja.md"])
def test_a_readme_is_short(document: str) -> None:
    assert len(text(document).splitlines()) <= README_LINES


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name.startswith("docs/")])
def test_every_page_is_led_to(document: str) -> None:
    """From another page than its twin."""
    own, page = {document, TWINS.get(document)}, (CHECKOUT / document).resolve()
    assert any(page in led_to(name) for name in DOCUMENTS if name not in own)


@pytest.mark.parametrize("document", DECISIONS)
def test_every_decision_has_its_four_parts(document: str) -> None:
    title, *parts = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    assert title.startswith(f"{Path(document).name[:4]} ")
    assert parts == ["Context", "Decision", "What was tried", "Consequences"]
    assert f"[{title}]({Path(document).name})" in text("docs/decisions/README.md")


def test_decisions_are_numbered_from_one() -> None:
    assert [int(Path(name).name[:4]) for name in DECISIONS] == [*range(1, len(DECISIONS) + 1)]


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
    assert paths or document != "docs/design.md"


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


@pytest.mark.parametrize("document", ["docs/local.md", "docs/local.ja.md"])
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


# --- What comes from the code ---------------------------------------------------------------------------------------


def test_what_is_made_is_that_of_the_code() -> None:
    """`make docs` writes it: settings, commands, alarms, permissions, the example's environments and their costs."""
    assert [file.name for file, written in docs.files(company()).items() if file.read_text("utf-8") != written] == []


def test_every_setting_has_a_meaning() -> None:
    for model, meanings in ((Environment, settings_reference.ENVIRONMENT), (Releases, settings_reference.RELEASES)):
        assert {name for name, _, _ in settings_reference.settings(model)} == meanings.keys()


def test_an_alarm_has_a_place_on_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [Facts(synthesize("prod"))]
    monkeypatch.setattr(alarms_reference, "SECTIONS", {"All": ("Cpu", "Gone")})
    with pytest.raises(OpsError, match=r"does not say where .*\bMemory\b.* belongs"):
        alarms_reference.tables(own)
    everyone = [*alarms_reference._described(own), "Gone"]
    monkeypatch.setattr(alarms_reference, "SECTIONS", {"All": everyone})
    with pytest.raises(OpsError, match="has Gone, which is no alarm"):
        alarms_reference.tables(own)


def test_an_alarm_says_the_same_everywhere() -> None:
    def facts(description: str) -> Facts:
        alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmDescription": description}}
        return Facts({"Observability": {"Resources": {"Cpu0123ABCD": alarm}}})

    said = "It is busy. Threshold: 85 %, since it is scaled at 60 %. First: Look."
    assert alarms_reference._described([facts(said)] * 2) == {
        "Cpu": ("It is busy.", "85 %, since it is scaled at 60 %.", "Look.")
    }
    with pytest.raises(OpsError, match="Cpu does not say the same in every environment"):
        alarms_reference._described([facts(said), facts(said.replace("85", "90"))])
    with pytest.raises(OpsError, match="Cpu does not say what it means"):
        alarms_reference._described([facts("It is busy.")])


def test_a_command_is_said_in_japanese_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_reference, "JAPANESE", dict(commands_reference.JAPANESE) | {"gone": "なし"})
    with pytest.raises(OpsError, match="see gone"):
        commands_reference.documents()


def test_every_role_is_among_the_permissions() -> None:
    """With each of its actions."""
    facts = Facts(synthesize(permissions_reference.ENVIRONMENT))
    page = text("docs/permissions.md")
    titles = re.findall(r"^### (.*)$", page, re.MULTILINE)
    roles = [plain(name.partition("/")[2]) for name in facts.resources("AWS::IAM::Role")]
    users = [plain(name.partition("/")[2]) for name in facts.resources("AWS::IAM::User")]
    assert sorted(titles) == sorted(roles + users)
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for policy in facts.resources(kind).values():
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                for action in actions if isinstance(actions, list) else [actions]:
                    assert f"`{action}`" in page


def test_the_costs_are_there_with_their_prices() -> None:
    *drivers, total = table("docs/environments.md", "Fargate on ARM, GB")
    prices = prices_of(next(iter(environments().values())).region)
    *lines, whole = rows([Facts(synthesize(name)) for name in company().environments], prices)
    assert drivers == lines
    assert total[2:] == whole[2:]


def changed(one: Environment, setting: str) -> Environment:
    """The environment with `group.name=value`, checked as any."""
    path, _, value = setting.partition("=")
    group, _, name = path.partition(".")
    changed_group = dict(getattr(one, group)) | {name: ast.literal_eval(value)}
    return Environment(**dict(one) | {group: type(getattr(one, group))(**changed_group)})


def saved(facts: Facts, prices: Prices, setting: str) -> float:
    """US dollars a month that an environment costs less with a setting."""
    spare = [line for line, without in independence(facts) if without == setting]
    if spare and not setting.startswith("gateway."):
        return dollars(spare, prices)
    kind, path = {
        "database.min_capacity": ("AWS::RDS::DBCluster", ("ServerlessV2ScalingConfiguration", "MinCapacity")),
        "gateway.min_tasks": ("AWS::ApplicationAutoScaling::ScalableTarget", ("MinCapacity",)),
    }[setting.partition("=")[0]]
    less = Facts(deepcopy(dict(facts.templates)))
    properties = less.only(kind)
    for name in path[:-1]:
        properties = properties[name]
    properties[path[-1]] = ast.literal_eval(setting.partition("=")[2])
    return dollars(at_rest(facts), prices) - dollars(at_rest(less), prices)


def test_the_levers_save_what_the_prices_say() -> None:
    for setting, name, told, _ in table("docs/operations/cost-levers.md", "prod"):
        one, facts = environments()[name], Facts(synthesize(name))
        assert changed(one, setting[1:-1]) != one
        assert int(told) == whole(saved(facts, prices_of(one.region), setting[1:-1])), setting


def test_what_dev_has_saves_what_the_prices_say() -> None:
    """Each by itself, beside the others."""
    facts, prices = Facts(synthesize("dev")), prices_of("ap-northeast-1")

    def without(kind: str, *, but: str = "", **properties: object) -> Facts:
        """Without the resources of this kind, or with other properties of them."""
        found = Facts(deepcopy(dict(facts.templates)))
        for template in found.templates.values():
            for name, resource in [*template["Resources"].items()]:
                if resource["Type"] == kind and but in name:
                    if properties:
                        resource["Properties"] |= properties
                    else:
                        del template["Resources"][name]
        return found

    usual = [{"CapacityProvider": "FARGATE", "Weight": 1}]
    rest = dollars(at_rest(facts), prices)
    gateway = prices.of("NAT gateway", HOURS) + prices.of("Public IPv4 address", HOURS)
    more = {
        "sleep.awake": dollars(at_rest(without("AWS::Scheduler::Schedule", but="Sleep")), prices) - rest,
        "network.nat_instance": dollars(at_rest(without("AWS::EC2::Instance")), prices) + gateway - rest,
        "gateway.spot": dollars(at_rest(without("AWS::ECS::Service", CapacityProviderStrategy=usual)), prices) - rest,
    }
    assert {row[0].strip("`"): int(row[1]) for row in table("docs/operations/cost-levers.md", "`sleep.awake`")} == {
        name: whole(amount) for name, amount in more.items()
    }


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
