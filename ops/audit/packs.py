"""What cdk-nag's packs find beside AwsSolutions, which every synthesis applies: NIST 800-53 R5, HIPAA, PCI DSS 3.2.1.

They are of no use at each synthesis: what they find is answered for the whole product. `app.py` applies them where the
context `packs` asks for it, as the tests do once, in a synthesis that they make anyway (`tests/company/synthesis.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

PACKS: Final = {"NIST.800.53.R5": "NIST 800-53 R5", "HIPAA.Security": "HIPAA", "PCI.DSS.321": "PCI DSS 3.2.1"}
"""What a rule's name begins with in the CDK's report, and the pack that it is of."""

REPORT: Final = "validation-report.json"


class Finding(NamedTuple):
    """A rule of a pack that something breaks: by its name in the pack, and by the environment and `Stack/LogicalId`.

    The environment is "" of what promotes releases.
    """

    pack: str
    rule: str
    environment: str
    place: str


def of_pack(rule: str) -> bool:
    """Whether a rule in the CDK's report is of one of the packs."""
    return rule.rpartition("-")[0] in PACKS


def findings(folder: Path, environments: Collection[str]) -> Iterator[Finding]:
    """What the packs have found, in a folder that `app.py` wrote with them of these environments."""
    report = json.loads((folder / REPORT).read_text("utf-8"))
    for plugin in report["pluginReports"]:
        for violation in plugin["violations"]:
            if of_pack(violation["ruleName"]):
                pack, _, rule = violation["ruleName"].rpartition("-")
                for construct in violation["violatingConstructs"]:
                    path = construct["constructPath"].split("/")
                    environment = path.pop(0) if path[0] in environments else ""
                    yield Finding(pack, rule, environment, f"{path[0]}/{logical_id(path[1:])}")


def logical_id(path: Sequence[str]) -> str:
    """What the CDK calls a resource in the template, without the digits behind it: `Stack.allocateLogicalId`."""
    kept = [re.sub(r"[^A-Za-z0-9]", "", part) for part in path if part not in ("Resource", "Default")]
    return "".join(part for part, before in zip(kept, ["", *kept], strict=False) if part != before)
