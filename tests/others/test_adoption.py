"""The checkout is taken over as a company does it: its files laid in, accepted by the commands, and its suite passes.

One company is, whose gateway runs too, and another one's gateway is run by the same suite where its files are. They are
as different as can be. That the templates of every other company of `tests/companies` obey the rules is asked by
`test_companies.py`, which takes no copy and no command.

Files of a LiteLLM that ran elsewhere are brought over by `make import`, and answer.
"""

import os
import shutil
import subprocess
from pathlib import Path

import yaml

from local.gateway import LocalGateway
from ops import remembered
from stacks import CHECKOUT
from stacks.company import EXAMPLE, load
from tests.checkout import copy_checkout

COMPANIES = EXAMPLE.parent
ADOPTED = "europe"
"""An internal gateway of Bedrock and each provider with its own API, with no more settings than there have to be."""
RUNNING = "azure-only"
"""A public one of Azure alone, with alarms, a bill and releases."""
# What the product's tests are run with already.
INSTALLED = ("--old-file=.venv/.done", "--old-file=node_modules/.done", "--old-file=.tools/litellm/.done")

Done = subprocess.CompletedProcess[str]


def adopt(name: str, folder: Path) -> Path:
    """A copy of the checkout with the company's two files in `company/`, which remembers what this one does."""
    copy_checkout(folder, without=("company/",))
    remembered.FOLDER.mkdir(parents=True, exist_ok=True)
    (folder / ".cache").mkdir()
    (folder / ".cache" / remembered.FOLDER.name).symlink_to(remembered.FOLDER)
    (folder / "company").mkdir()
    for file in ("environments.py", "config.yaml"):
        shutil.copy2(COMPANIES / name / file, folder / "company" / file)
    return folder


def make(folder: Path, *arguments: str) -> Done:
    """A command, in one process, as of somebody who has set nothing."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CDK_VALIDATION", "COMPANY", "COMPANY_UNDER_TEST", "MAKEFLAGS")
        and not name.startswith(("PYTEST_", "AWS_"))
    }
    command = ("make", "--no-print-directory", *INSTALLED, "WORKERS=0", *arguments)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def well(done: Done) -> str:
    """What it printed; it must have ended well."""
    assert done.returncode == 0, f"{done.args}: {done.stdout[-6000:]}{done.stderr[-3000:]}"
    return done.stdout


def test_a_companys_files_are_accepted_and_its_suite_passes(tmp_path: Path) -> None:
    folder = adopt(ADOPTED, tmp_path / "checkout")
    before = make(folder, "company", "ARGS=--ignore=tests/company/e2e --deselect=tests/company/test_rules.py")
    assert before.returncode != 0
    assert "make snapshots accepts them as they are now" in before.stdout
    assert "the record is to be renewed (make stateful)" in before.stdout
    well(make(folder, "snapshots"))
    well(make(folder, "stateful", "ARGS=--accept"))
    assert sorted(path.name for path in (folder / "company").iterdir() if path.name != "__pycache__") == [
        *("config.yaml", "environments.py", "snapshots", "stateful.json"),
    ]
    printed = well(make(folder, "company"))
    assert " passed" in printed
    assert "tests/company/e2e" in printed


def test_another_companys_gateway_runs() -> None:
    other = f"COMPANY={(COMPANIES / RUNNING).relative_to(CHECKOUT)}"
    printed = well(make(CHECKOUT, "company", other, "ARGS=-k test_running"))
    assert " passed" in printed
    assert "tests/company/e2e" in printed


PUBLISHED = CHECKOUT / "tests" / "unit" / "ops" / "imported" / "published.yaml"
CORPUS = CHECKOUT / "tests" / "unit" / "litellm_config" / "corpus"
BROUGHT = (
    *("bedrock-keys-of-the-standard-names", "bedrock-region-of-a-shell", "azure-version-as-a-day"),
    *("vertex-with-a-region-of-aws", "entry-provider-by-parameter", "whole-of-a-container-service"),
)
"""Each of the reader's corpus is refused as it is, for another reason; together they are one file here."""
ANSWERS = {
    "environments": {
        "prod": {
            "account": "111111111111",
            "region": "us-west-2",
            "hosted_zone": "example.com",
            "hosted_zone_id": "Z0111111EXAMPLE",
            "cidrs": ["203.0.113.0/24"],
            "azure_api_base": "https://example-llm.openai.azure.com",
            "vertex_project": "example-llm",
        }
    }
}


def from_elsewhere() -> dict[str, dict[str, list[str]]]:
    """The published set-up with the entries and the settings of the others; the names of models tell whose they are."""
    document = yaml.safe_load(PUBLISHED.read_text("utf-8"))
    for name in BROUGHT:
        other = yaml.safe_load((CORPUS / f"{name}.yaml").read_text("utf-8"))
        for entry in other.pop("model_list"):
            document["model_list"].append({**entry, "model_name": f"{name}-{entry['model_name']}"})
        for section, settings in other.items():
            document[section] = {**settings, **document.get(section, {})}
    return dict(document)


def test_files_from_elsewhere_are_brought_over_and_answer(tmp_path: Path) -> None:
    config, answers, folder = tmp_path / "config.yaml", tmp_path / "answers.yaml", tmp_path / "company"
    config.write_text(yaml.safe_dump(from_elsewhere(), sort_keys=False), "utf-8")
    answers.write_text(yaml.safe_dump(ANSWERS), "utf-8")
    printed = well(make(CHECKOUT, "import", f"FILE={config}", f"ARGS=--answers {answers} --into {folder}"))
    assert " 0 to decide" in printed
    with LocalGateway(tmp_path / "state", own=load(folder), report=lambda _: None) as gateway:
        key = gateway.user_key("brought@example.com")
        names = dict.fromkeys(model.name.replace("*", "-5") for model in gateway.config.models)
        assert len(names) == 3 + len(BROUGHT) + 1
        body = {"messages": [{"role": "user", "content": "Hello"}]}
        answered = {
            name: gateway.api("POST", "/v1/chat/completions", key=key, json={"model": name, **body}) for name in names
        }
    assert {name: answer.text for name, answer in answered.items() if answer.status_code != 200} == {}
