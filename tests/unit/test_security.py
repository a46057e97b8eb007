"""docs/security.md: each threat has its tests, and each question its answer's place, in both languages."""

from __future__ import annotations

import re

import pytest

from stacks import CHECKOUT
from tests.unit.ops.test_docs import table, tables

PAGES = ("docs/security.md", "docs/security.ja.md")


@pytest.mark.parametrize("page", PAGES)
def test_each_threat_is_shown_to_be_stopped(page: str) -> None:
    """That the files are there is held for every page (`ops/test_docs.py`); here, that they are tests."""
    threats = table(page, "`tests/e2e/test_edge.py`, `tests/templates/test_web_acl.py`, `tests/templates/test_edge.py`")
    assert len(threats) >= 10
    for threat in threats:
        shown = re.findall(r"`(tests/[\w/]+\.py)`", threat[-1])
        assert shown, threat[0]
        for name in shown:
            text = (CHECKOUT / name).read_text("utf-8")
            assert re.search(r"^(    )?def test_|^INVARIANTS\b|^def (leaks|unexplained)\(", text, re.MULTILINE), name


def test_both_pages_name_the_same_tests() -> None:
    english, japanese = (re.findall(r"`(tests/[\w/]+\.py)`", (CHECKOUT / page).read_text("utf-8")) for page in PAGES)
    assert english == japanese


@pytest.mark.parametrize("page", PAGES)
def test_each_question_of_an_auditor_leads_somewhere(page: str) -> None:
    (audit,) = {row[-1] for rows in tables(page) for row in rows if row[-1].startswith("`make audit`")}
    questions = table(page, audit)
    assert len(questions) >= 10
    assert [row for row in questions if "](" not in row[-1]] == []


def test_github_shows_how_to_report_a_weakness() -> None:
    """https://docs.github.com/en/code-security/getting-started/adding-a-security-policy-to-your-repository."""
    text = (CHECKOUT / "SECURITY.md").read_text("utf-8")
    assert "Report a vulnerability" in text
    for link in re.findall(r"\]\((?!https:)([^)#]+)", text):
        assert (CHECKOUT / link).is_file(), link
