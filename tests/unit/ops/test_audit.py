"""`make audit`: what pip-audit, npm and checkov say, and that each finding has an answer and each answer a finding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ops.access import OpsError
from ops.audit import __main__ as audit
from ops.audit import answers, licences
from ops.audit.answers import Accepted, Answer, Found
from stacks import CHECKOUT
from stacks.company import EXAMPLE, load

TODAY = date(2026, 11, 28)
PIP = {
    "dependencies": [
        {"name": "idna", "version": "3.1", "vulns": []},
        {"name": "jinja2", "version": "3.1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"], "aliases": []}]},
    ],
    "fixes": [],
}
NPM = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "tar": {
            "name": "tar",
            "via": [
                {"source": 1, "name": "tar", "url": "https://github.com/advisories/GHSA-1", "severity": "high"},
                {"source": 1, "name": "tar", "url": "https://github.com/advisories/GHSA-1", "severity": "high"},
            ],
            "fixAvailable": {"name": "tar", "version": "7.0.0", "isSemVerMajor": True},
        },
        "outer": {"name": "outer", "via": ["tar"], "fixAvailable": False},
    },
}
CLEAN: dict[str, Any] = {"dependencies": [], "vulnerabilities": {}}
CHECKOV = {
    "check_type": "cloudformation",
    "results": {
        "failed_checks": [
            {
                "check_id": "CKV_AWS_1",
                "resource": "AWS::S3::Bucket.LogsBucket9C4D8843",
                "file_path": "/Gateway.template.json",
            }
        ]
    },
    "summary": {"passed": 10, "failed": 1},
}


def asks(**of: object) -> audit.Ask:
    """Tools that answer this: `pip`, `npm`, `checkov`."""

    def ask(command: Sequence[str], folder: Path) -> str:
        name = next(name for name in ("pip-audit", "checkov", "npm") if name in " ".join(command))
        return json.dumps(of.get(name.partition("-")[0], CLEAN))

    return ask


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Accepted]:
    """What may stay: nothing, until a test says otherwise."""
    accepted: list[Accepted] = []
    monkeypatch.setattr(answers, "accepted", lambda: tuple(accepted))
    return accepted


def test_every_lock_is_asked_for(given: list[Accepted]) -> None:
    asked: list[tuple[str, Path]] = []

    def ask(command: Sequence[str], folder: Path) -> str:
        asked.append((command[command.index("--requirement") + 1] if "--requirement" in command else "", folder))
        return json.dumps(CLEAN)

    assert audit.packages(TODAY, ask) == []
    assert [lock for lock, _ in asked if lock] == [*licences.PYTHON]
    assert [folder for lock, folder in asked if not lock] == [(CHECKOUT / lock).parent for lock in licences.NPM]


def test_what_is_known_is_told_with_what_mends_it(given: list[Accepted]) -> None:
    told = audit.packages(TODAY, asks(pip=PIP, npm=NPM))
    assert len(told) == len(licences.PYTHON) + len(licences.NPM)
    assert "local/litellm.txt: jinja2 has PYSEC-1, mended in 3.1.6: make lock, or answer it" in "\n".join(told)
    assert "package-lock.json: tar has GHSA-1, mended in 7.0.0: make lock" in "\n".join(told)


def test_a_package_that_could_not_be_looked_up_is_told(given: list[Accepted]) -> None:
    """pip-audit passes over it, and would end with "No known vulnerabilities found"."""
    skipped = {"dependencies": [{"name": "networkx", "skip_reason": "not found on PyPI"}]}
    told = audit.packages(TODAY, asks(pip=skipped))
    assert "requirements.txt: networkx could not be looked up (not found on PyPI): run it again" in told


def test_what_may_stay_may_stay_until_its_day(given: list[Accepted]) -> None:
    given += [Accepted("PYSEC-1", "jinja2", "nothing renders", date(2026, 12, 1))]
    assert audit.packages(TODAY, asks(pip=PIP)) == []
    assert audit.packages(date(2026, 12, 2), asks(pip=PIP)) == [
        "jinja2: PYSEC-1 was to stay until 2026-12-01: look at it anew"
    ]
    assert audit.packages(TODAY, asks()) == ["jinja2: PYSEC-1 is nowhere any more, so take its answer out"]


def test_npm_that_could_not_look_is_an_error(given: list[Accepted]) -> None:
    with pytest.raises(OpsError, match=r"npm could not look package-lock.json up \(no network\)"):
        audit.packages(TODAY, asks(npm={"message": "no network"}))


def test_checkovs_findings_are_by_stack_and_logical_id() -> None:
    assert [*audit.of_templates({"Gateway": {"Resources": {}}}, asks(checkov=CHECKOV))] == [
        Found("CKV_AWS_1", "Gateway/LogsBucket")
    ]


@pytest.mark.parametrize(("folder", "idle"), [("tokyo", True), ("us", False)])
def test_an_answer_to_nothing_is_told_of_the_example_alone(
    monkeypatch: pytest.MonkeyPatch, folder: str, idle: bool
) -> None:
    monkeypatch.setattr(audit, "synthesize", lambda _: {"Gateway": {"Resources": {}}})
    monkeypatch.setattr(audit, "company", lambda: load(EXAMPLE.parent / folder))
    monkeypatch.setattr(answers, "answers", lambda: (Answer("A", ("CKV_AWS_1", "CKV_AWS_2"), "B."),))
    told = audit.templates([*load(EXAMPLE).environments], asks(checkov=CHECKOV))
    assert audit.templates(["prod"], asks(checkov=CHECKOV)) == []
    assert told == (["CKV_AWS_2: nothing is found of it, so take it out of ops/audit/answers.yaml"] if idle else [])


def test_checkov_that_looked_at_nothing_is_an_error() -> None:
    with pytest.raises(OpsError, match="looked at no template"):
        [*audit.of_templates({}, asks(checkov={"passed": 0, "failed": 0}))]


def test_a_tool_that_prints_nothing_is_an_error(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho 'no route\nto pypi.org' >&2\nexit 1\n")
    tool.chmod(0o755)
    with pytest.raises(OpsError, match=r"^tool found nothing out \(no route to pypi.org\): look at the network\.$"):
        audit.printed([str(tool)], tmp_path)
    with pytest.raises(
        OpsError, match=r"^none did not run to its end \(FileNotFoundError\): make audit installs it\.$"
    ):
        audit.printed([str(tmp_path / "none")], tmp_path)


ANSWERS = (
    Answer("Logs", ("S3Logging", "CKV_1"), "It is a log itself", ("Gateway/Log*", "Usage/*")),
    Answer("Roles", ("Inline",), "They are the CDK's"),
)
FOUND = (
    *(Found(rule, "Gateway/Logs") for rule in ("S3Logging", "CKV_1")),
    Found("S3Logging", "Usage/Files"),
    Found("Inline", "Anywhere"),
)


def test_no_finding_without_an_answer() -> None:
    assert answers.open_findings(FOUND, ANSWERS) == []
    assert answers.open_findings(
        (*FOUND, Found("S3Logging", "Network/Flow"), Found("New", "Gateway/Logs")), ANSWERS
    ) == [
        "New at Gateway/Logs: mend it, or answer it in ops/audit/answers.yaml",
        "S3Logging at Network/Flow: mend it, or answer it in ops/audit/answers.yaml",
    ]


@pytest.mark.parametrize(
    ("gone", "told"),
    [(3, ["Inline: nothing", "Inline at *"]), (2, ["S3Logging, CKV_1 at Usage/*"]), (1, ["CKV_1: nothing"])],
)
def test_no_answer_without_a_finding(gone: int, told: list[str]) -> None:
    assert answers.idle_answers(FOUND, ANSWERS) == []
    lines = answers.idle_answers([one for number, one in enumerate(FOUND) if number != gone], ANSWERS)
    assert len(lines) == len(told)
    assert all(line.startswith(start) for line, start in zip(lines, told, strict=True))


def test_each_answer_is_a_sentence_and_is_given_once() -> None:
    given = answers.answers()
    rules = [rule for one in given for rule in one.rules for _ in one.at]
    assert rules
    for one in given:
        assert one.answer.endswith(".") and one.answer[0].isupper(), one.asks
        assert "|" not in one.answer + one.asks
    pairs = [(rule, place) for one in given for rule in one.rules for place in one.at]
    assert len(pairs) == len(set(pairs))


def test_checkovs_rules_are_told_apart() -> None:
    assert [one.rules for one in audit.of_checkov(ANSWERS)] == [("CKV_1",)]
    assert [one.rules for one in audit.of_checkov(ANSWERS, others=True)] == [("S3Logging",), ("Inline",)]
