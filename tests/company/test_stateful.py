"""Changes that lose data are caught before they ship: the templates against the company's record, `stateful.json`."""

import pytest

from ops.stateful import stateful_types
from stacks.company import Company
from tests.company.stateful import COMMAND, judge, read
from tests.company.synthesis import Templates


def test_no_data_is_lost(own: Company, templates: Templates) -> None:
    """Read the message: it says what CloudFormation would do, and what to do instead."""
    verdict = judge(read(own.record), templates)
    if verdict.lost:
        pytest.fail(f"{verdict.lost}\nTo lose that data when this is deployed: {COMMAND} ARGS=--accept", pytrace=False)
    if verdict.behind:
        lines = "\n".join(verdict.behind)
        pytest.fail(f"Nothing is lost, but the record is to be renewed ({COMMAND}) for:\n{lines}", pytrace=False)


def test_the_record_has_all_that_holds_data(own: Company, templates: Templates) -> None:
    record = read(own.record)
    for environment, stacks in templates.items():
        holding = {
            (stack, logical_id)
            for stack, template in stacks.items()
            for logical_id, resource in template["Resources"].items()
            if resource["Type"] in stateful_types()
        }
        recorded = {(stack, logical_id) for stack, found in record.get(environment, {}).items() for logical_id in found}
        assert holding <= recorded, environment
