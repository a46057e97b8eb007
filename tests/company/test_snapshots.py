"""Records every template of every environment, so that a pull request shows what a change does to each.

`make snapshots` accepts the templates as they are now.
"""

import difflib
import json
import re
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from stacks.company import Company
from tests.company.synthesis import Templates

# The names of uploaded files, which are hashes of their content. The image's tag stays: it says what is deployed.
ASSET_KEY = re.compile(r"[0-9a-f]{64}(?=\.(zip|json))")
MOST_LINES = 60  # of a changed template
ACCEPT = "make snapshots accepts them as they are now: look at what changes, and commit it"


def _extension(folder: Path) -> type[JSONSnapshotExtension]:
    """Writes each template as `Stack.json` into the folder."""
    members = {
        "dirname": classmethod(lambda _, **__: str(folder)),
        "get_file_basename": classmethod(lambda _, index, **__: str(index)),
    }
    return type("Recorded", (JSONSnapshotExtension,), members)


@pytest.mark.filterwarnings("ignore:(?s).*Can not relate snapshot location")  # it is in the company's folder
def test_every_template_is_as_recorded(own: Company, templates: Templates, snapshot: SnapshotAssertion) -> None:
    changes: dict[str, str] = {}
    for environment, stacks in templates.items():
        extension = _extension(own.snapshots / environment)
        for stack, template in stacks.items():
            found = json.loads(ASSET_KEY.sub("ASSET", json.dumps(template)))
            if found != snapshot(extension_class=extension, name=stack):
                changes[f"{environment}/{stack}"] = _difference(own.snapshots / environment / f"{stack}.json", found)
    if changes:
        shown = "\n".join(f"{name}:\n{difference}" for name, difference in changes.items() if difference)
        pytest.fail(f"not as recorded in {own.snapshots}: {', '.join(changes)}; {ACCEPT}\n{shown}", pytrace=False)


def test_nothing_is_recorded_that_is_there_no_more(
    own: Company, templates: Templates, request: pytest.FixtureRequest
) -> None:
    known = {own.snapshots / environment / f"{stack}.json" for environment, of in templates.items() for stack in of}
    gone = sorted(set(own.snapshots.glob("*/*.json")) - known)
    if request.config.getoption("update_snapshots"):
        for path in gone:
            path.unlink()
    elif gone:
        names = ", ".join(f"{path.parent.name}/{path.stem}" for path in gone)
        pytest.fail(f"recorded, but there no more: {names}; {ACCEPT}", pytrace=False)


def _difference(file: Path, found: object) -> str:
    """What is new and what is gone, as `diff -u` shows it; nothing if none was recorded."""
    if not file.exists():
        return ""
    before, after = (
        json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (json.loads(file.read_text()), found)
    )
    lines = list(difflib.unified_diff(before, after, "recorded", "now", lineterm="", n=2))
    more = [f"… and {len(lines) - MOST_LINES} lines more"] if len(lines) > MOST_LINES else []
    return "\n".join(lines[:MOST_LINES] + more)
