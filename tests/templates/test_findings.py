"""What cdk-nag's packs find beside AwsSolutions: each finding has an answer, and each answer a finding.

In every environment of the example, and in what promotes to them. `make audit` asks the same of checkov, which is not
installed here.
"""

import pytest

from ops.audit import answers, packs
from ops.audit.__main__ import of_checkov
from ops.audit.answers import Found
from ops.templates import plain
from stacks.company import EXAMPLE, load
from tests.company.synthesis import as_release
from tests.company.synthesis import synthesized as synthesized_of

OWN = load(EXAMPLE)


@pytest.fixture(scope="module")
def found() -> list[packs.Finding]:
    return [*packs.findings(as_release(OWN), OWN.environments)]


def test_each_pack_looked_at_everything(found: list[packs.Finding]) -> None:
    """An empty report would pass what follows."""
    for pack in packs.PACKS:
        assert {one.environment for one in found if one.pack == pack} == {*OWN.environments, ""}


def test_no_finding_without_an_answer_and_no_answer_without_a_finding(found: list[packs.Finding]) -> None:
    places = [Found(one.rule, one.place) for one in found]
    given = of_checkov(answers.answers(), others=True)
    assert answers.open_findings(places, given) == []
    assert answers.idle_answers(places, given) == []


def test_a_place_is_what_the_template_calls_it() -> None:
    """So that one answer is of both: checkov tells the logical id, cdk-nag the path."""
    template = synthesized_of(OWN)["prod"]["Gateway"]
    known = {plain(name) for name in template["Resources"]}
    for path in ("Edge/AccessLogs/Resource", "Migration/Provider/framework-onEvent/Resource", "Task/TaskRole/Resource"):
        assert packs.logical_id(path.split("/")) in known
    assert packs.logical_id(["Pipeline", "Image", "Image", "Resource"]) == "PipelineImage"
