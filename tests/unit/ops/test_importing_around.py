"""ops/importing: what is taken over of a docker-compose.yaml, the values of a Helm chart, a task definition of ECS."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.access import OpsError
from ops.importing.__main__ import begun, config_text, main, preview
from ops.importing.bringing import Bringing
from ops.importing.ledger import Fate
from ops.importing.report import Report
from ops.importing.seen import cpu_units, mib
from ops.importing.tree import scalars
from stacks.company import load

IMPORTED = Path(__file__).with_name("imported")
SETS = {
    "compose": ("compose-config.yaml", "docker-compose.yaml"),
    "helm": ("values.yaml",),
    "ecs": ("task-config.yaml", "task-definition.json"),
}
SECRET = (
    *("sk-0f9e8d7c6b5a4321", "correct-horse-battery", "AKIA0123456789ABCDEF", "battery-staple-7", "swordfish-9"),
    *("wJalrXUtnFEMI0K7MDENG0bPxRfiCYEXAMPLEKEY", "0f9e8d7c6b5a43210f9e8d7c6b5a4321", "NoTaGrEaTpAsSwOrD"),
    *("pk-lf-0123456789", "0123456789abcdef0123456789abcdef"),
)


def brought(name: str) -> tuple[Bringing, Report]:
    path, *around = (IMPORTED / file for file in SETS[name])
    found = begun(path, around)
    _, report = preview(found)
    return found.bringing, report


def why(bringing: Bringing, fate: Fate) -> dict[str, str]:
    return {entry.label: entry.why for entry in bringing.ledger.told(fate)}


def documents(name: str) -> dict[str, Any]:
    """The parts of a set that are not config.yaml, by file."""
    found: dict[str, Any] = {}
    for file in SETS[name]:
        document = yaml.safe_load((IMPORTED / file).read_text("utf-8"))
        if "model_list" not in document:
            found[file] = {key: value for key, value in document.items() if key != "proxy_config"}
    return found


@pytest.mark.parametrize("name", SETS)
def test_every_value_around_it_is_named_and_no_secret_is(name: str) -> None:
    bringing, report = brought(name)
    for file, document in documents(name).items():
        kept = [place for place, _ in scalars(document) if bringing.ledger.fate(file, place) is Fate.KEPT]
        assert kept == []
    written = report.text("X") + config_text(bringing) + repr(bringing.presets) + repr(bringing.ledger)
    assert not [secret for secret in SECRET if secret in written]


def test_a_compose_file() -> None:
    bringing, report = brought("compose")
    dropped = why(bringing, Fate.DROPPED)
    assert dropped["services.db"] == "Aurora PostgreSQL is in its place, and starts empty"
    assert "Valkey" in dropped["services.cache"] and "load balancer" in dropped["services.proxy"]
    assert "no part of the gateway" in dropped["services.notes"]
    assert "LiteLLM 1.81.3 is older than this gateway's" in dropped["services.litellm.image"]
    assert "nothing in config.yaml refers to it" in dropped["services.litellm.environment.TEAM_NAME"]
    presets = bringing.presets
    assert presets["gateway"] == {"cpu": 2048, "memory": 8192, "workers": 2, "min_tasks": 3, "max_tasks": 6}
    assert presets["azure_api_base"] == "https://acme-llm.openai.azure.com/"
    assert presets["variables"] == {"AZURE_EU_BASE": "https://acme-eu.openai.azure.com/"}
    assert (presets["region"], presets["domain"], presets["hosted_zone"]) == (
        *("us-west-2", "llm.acme.example", "acme.example"),
    )
    assert {"AZURE_API_KEY", "AZURE_EU_KEY"} < set(report.secrets)
    document = bringing.tree.document()
    assert document["model_list"][0]["litellm_params"]["aws_region_name"] == "us-west-2"
    assert document["general_settings"]["store_model_in_db"] is True


def test_values_of_the_helm_chart() -> None:
    bringing, report = brought("helm")
    size = {"cpu": 2048, "memory": 9216, "workers": 2, "min_tasks": 3, "max_tasks": 9}
    assert bringing.presets["gateway"] == size
    assert "newer than this gateway's" in why(bringing, Fate.DROPPED)["image.tag"]
    decide = why(bringing, Fate.DECIDE)
    assert "litellm-env is in the cluster" in decide["environmentSecrets"]
    assert "llm.acme.example" in decide["ingress.hosts"]
    assert bringing.presets["datadog.site"] == "datadoghq.eu"
    assert "AZURE_API_KEY" in report.secrets
    document = bringing.tree.document()
    assert document["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"
    assert document["model_list"][0]["litellm_params"]["aws_region_name"] == "eu-central-1"  # the pod's
    assert "NAT gateways" in why(bringing, Fate.DROPPED)["envVars.HTTPS_PROXY"]


def test_a_task_definition_as_it_is_described_and_of_a_template(tmp_path: Path) -> None:
    bringing, report = brought("ecs")
    document = bringing.tree.document()
    assert document["model_list"][1]["litellm_params"]["api_version"] == "2024-10-21"
    assert bringing.presets["vertex_project"] == "acme-llm-1234"
    assert bringing.presets["gateway"]["workers"] == 2
    assert "the same as" in why(bringing, Fate.DROPPED)["taskDefinition.containerDefinitions 1.image"]
    assert "litellm_license=True" in "".join(why(bringing, Fate.DECIDE).values())
    assert "VERTEX_CREDENTIALS" in report.secrets
    described = json.loads((IMPORTED / "task-definition.json").read_text("utf-8"))["taskDefinition"]
    properties = {key[0].upper() + key[1:]: value for key, value in described.items()}
    template = {"Resources": {"Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": properties}}}
    file = tmp_path / "template.json"
    file.write_text(json.dumps(template), "utf-8")
    found = begun(IMPORTED / "task-config.yaml", [file])
    preview(found)
    other = found.bringing
    assert other.presets == bringing.presets and other.variables.secrets == bringing.variables.secrets


def test_a_file_of_variables_is_read_where_it_is(tmp_path: Path) -> None:
    shutil.copy2(IMPORTED / "compose-config.yaml", tmp_path / "config.yaml")
    compose = tmp_path / "compose.yaml"
    compose.write_text("services: {litellm: {image: litellm/litellm, env_file: [.env, more.env]}}\n", "utf-8")
    env = "export AZURE_EU_BASE='https://acme-eu.openai.azure.com'\n# A comment\nAZURE_EU_KEY=q7hunter2hunter2Z\n"
    (tmp_path / ".env").write_text(env, "utf-8")
    found = begun(tmp_path / "config.yaml", [compose])
    _, report = preview(found)
    assert found.bringing.presets["variables"] == {"AZURE_EU_BASE": "https://acme-eu.openai.azure.com"}
    assert "more.env is not there to be read" in why(found.bringing, Fate.DECIDE)["services.litellm.env_file"]
    assert "q7hunter2hunter2Z" not in report.text("X")


def test_what_was_read_is_the_default_of_what_is_asked(tmp_path: Path) -> None:
    answers = tmp_path / "given.yaml"
    given = {"account": "111111111111", "hosted_zone_id": "Z0111111ACME", "cidrs": ["203.0.113.0/24"]}
    answers.write_text(yaml.safe_dump({"environments": {"prod": given}}), "utf-8")
    config, around = (str(IMPORTED / file) for file in SETS["compose"])
    assert main([config, "--around", around, "--answers", str(answers)], folder=tmp_path / "company") == 0
    own = load(tmp_path / "company")
    prod = own.environments["prod"]
    assert (prod.region, prod.domain, prod.hosted_zone.name) == ("us-west-2", "llm.acme.example", "acme.example")
    assert (prod.gateway.workers, prod.gateway.min_tasks, prod.gateway.max_tasks) == (2, 3, 6)
    assert prod.variables == {"AZURE_EU_BASE": "https://acme-eu.openai.azure.com/"}
    assert len(prod.litellm_config(own.config).models) == 3
    for file in (tmp_path / "company").iterdir():
        assert not file.is_file() or not [secret for secret in SECRET if secret in file.read_text("utf-8")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("services: {db: {image: postgres}}\n", "none of its services is LiteLLM: it has db"),
        ('{"containerDefinitions": [{"name": "a"}, {"name": "b"}]}', "none of its containers is LiteLLM: it has a, b"),
        ('{"a": 1}', "it is no docker-compose.yaml with LiteLLM in it"),
        ("", "it is empty"),
        ('{"containerDefinitions": "secret-9', "not valid"),
    ],
)
def test_what_is_no_such_file_is_refused_in_a_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    for name in ("around.yaml", "around.json"):
        file = tmp_path / name
        file.write_text(text, "utf-8")
        if name.endswith("json") and text.startswith("services"):
            continue
        with pytest.raises(OpsError) as refused:
            begun(IMPORTED / "task-config.yaml", [file])
        assert sentence in str(refused.value) and "secret-9" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512m", 512), ("2Gi", 2048), ("6g", 6144), ("1.5G", 1536), ("4096", None), (4294967296, 4096), ("a lot", None)],
)
def test_memory_in_mib(text: object, size: int | None) -> None:
    assert mib(text) == size


@pytest.mark.parametrize(("text", "units"), [("500m", 512), ("2", 2048), (0.5, 512), ("many", None)])
def test_cpu_in_units(text: object, units: int | None) -> None:
    assert cpu_units(text) == units
