"""What the rules say of a synthesis: cdk-nag and CloudFormation's own validation in its report, and cfn-lint."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ops import remembered
from ops.audit.packs import of_pack
from tests.company.synthesis import REPORT

TOLD = "Annotation::litellm:"
"""What a synthesis tells of a company's settings, such as a price that changes soon, is to be known and is no rule."""

IGNORED = ("W3005", "W3010", "E3703")
"""Of cfn-lint. W3005: a DependsOn that a reference implies already: the CDK writes both. W3010: zones are settings.
E3703: passes on as an error that Fn::Sub is nicer than Fn::Join, which CDK Pipelines uses in its actions."""


def violations(synthesized: Path) -> Iterator[str]:
    """Each construct that breaks a rule, in the folder of `tests.company.synthesis.checked`."""
    report = json.loads((synthesized / REPORT).read_text())
    for plugin in report["pluginReports"]:
        for violation in plugin["violations"]:
            if violation["severity"] == "warning" and violation["ruleName"].startswith(TOLD):
                continue
            if of_pack(violation["ruleName"]):  # whose findings have answers, not acknowledgments: test_findings.py
                continue
            for construct in violation["violatingConstructs"]:
                yield f"{violation['ruleName']} at {construct['constructPath']}"


CFN_LINT = "import gc, sys; gc.disable(); from cfnlint.runner import main; sys.exit(main())"
"""The command, which keeps most of what it makes: not to look for what nobody needs any more is a fifth faster."""


def lint(synthesized: Path) -> str:
    """What cfn-lint says of the folder's templates, nothing if all are well.

    Of each by itself, so that a change of one stack has that one looked at; of those that it has not seen, by one
    process.
    """
    found = sorted(each for place in (".", "assembly-*") for each in synthesized.glob(f"{place}/*.template.json"))
    assert found
    rules = remembered.text_of("requirements.txt")
    keys = {each: remembered.digest_of(rules, *IGNORED, each.read_text("utf-8")) for each in found}
    unknown = [each for each in found if not remembered.is_known("cfn-lint", keys[each])]
    if unknown:
        run = subprocess.run(
            [sys.executable, "-c", CFN_LINT, "--ignore-checks", *IGNORED, "--", *map(str, unknown)],
            cwd=synthesized,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            return run.stdout + run.stderr
    for each in unknown:
        remembered.document("cfn-lint", keys[each], lambda: "well")
    return ""
