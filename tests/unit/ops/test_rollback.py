"""ops/rollback.py against a CloudFormation in memory that keeps the rules about exports."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore import exceptions as aws

from ops import rollback
from ops.access import Access, OpsError
from ops.assembly import Assembly
from tests.unit.ops.fake_cloudformation import DEV, FakeAws, Stack, assembly, refused, template

NETWORK, GATEWAY, SMOKE = "litellm-dev-network", "litellm-dev-gateway", "litellm-dev-smoke"
ROLE = "arn:${AWS::Partition}:iam::111111111111:role/execution"


@pytest.fixture
def fake() -> FakeAws:
    return FakeAws()


@pytest.fixture
def release(tmp_path: Path) -> Assembly:
    """Of three stacks, in this order."""
    return Assembly.load(assembly(tmp_path / "cdk.out", "Network", "Gateway", "Smoke", role=ROLE))


def _put_back(fake: FakeAws, saved: rollback.Saved) -> tuple[rollback.PutBack, list[str]]:
    said: list[str] = []
    return rollback.put_back(fake.access(), saved, say=said.append, wait=fake.tick), said


def test_what_is_deployed_is_saved_in_the_order_of_deployment(fake: FakeAws, release: Assembly, tmp_path: Path) -> None:
    fake.deploy("litellm-dev-old", template(old="1"))  # no release has it any more
    fake.deploy(GATEWAY, template(task="1"), role="arn:of-an-earlier-deployment", tags={"service": "gateway"})
    fake.deploy(NETWORK, template(vpc="1"), parameters={"BootstrapVersion": "/cdk-bootstrap/hnb659fds/version"})
    fake.deploy("litellm-stg-network", template())
    folder = tmp_path / "before"
    saved = rollback.save(fake.access(), release)
    saved.write(folder)
    network, gateway, old = saved.stacks
    assert (network.name, gateway.name, old.name) == (NETWORK, GATEWAY, "litellm-dev-old")
    assert json.loads(gateway.template) == template(task="1")
    assert gateway.tags == {"service": "gateway"}
    assert network.parameters == {"BootstrapVersion": "/cdk-bootstrap/hnb659fds/version"}
    roles = ("arn:aws:iam::111111111111:role/execution", "arn:of-an-earlier-deployment", None)
    assert (network.role, gateway.role, old.role) == roles
    assert rollback.Saved.read(folder, "dev") == saved
    assert (folder.stat().st_mode & 0o777, (folder / "stacks.json").stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize("state", ["REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"])
def test_a_stack_without_resources_counts_as_none(fake: FakeAws, release: Assembly, state: str) -> None:
    fake.deploy(NETWORK, template(), status=state)
    assert rollback.save(fake.access(), release) == rollback.Saved(environment="dev", stacks=())


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("UPDATE_IN_PROGRESS", "another deployment is at work on litellm-dev-gateway (UPDATE_IN_PROGRESS): wait"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait until it has ended"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name litellm-dev-gateway"),
        ("UPDATE_FAILED", "rollback-stack --stack-name litellm-dev-gateway"),
        ("DELETE_FAILED", "delete-stack --stack-name litellm-dev-gateway"),
    ],
)
def test_a_stack_that_cannot_be_updated_is_refused(fake: FakeAws, release: Assembly, state: str, advice: str) -> None:
    fake.deploy(GATEWAY, template(), status=state)
    with pytest.raises(OpsError) as refusal:
        rollback.save(fake.access(), release)
    assert advice in str(refusal.value)


def test_a_stack_that_was_never_made_counts_as_none_in_whatever_state(fake: FakeAws, release: Assembly) -> None:
    fake.deploy(GATEWAY, template(), status="DELETE_FAILED")
    assert rollback.save(fake.access(), release, but=(GATEWAY,)) == rollback.Saved(environment="dev", stacks=())


def test_a_broken_stack_that_the_release_has_not_is_left_out(fake: FakeAws, release: Assembly) -> None:
    fake.deploy(NETWORK, template())
    fake.deploy("litellm-dev-old", template(), status="DELETE_FAILED")
    assert rollback.save(fake.access(), release).names == {NETWORK}


@pytest.mark.parametrize("content", [None, "not JSON", '{"environment": "dev"}'])
def test_a_folder_without_what_was_saved_is_refused(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "stacks.json").write_text(content)
    with pytest.raises(OpsError, match="does not have what was deployed before: give the folder of"):
        rollback.Saved.read(tmp_path, "dev")


def test_what_was_saved_of_another_environment_is_refused(tmp_path: Path) -> None:
    rollback.Saved(environment="stg", stacks=()).write(tmp_path)
    with pytest.raises(OpsError, match="deployed in stg, not in dev"):
        rollback.Saved.read(tmp_path, "dev")


def test_only_what_differs_is_put_back_with_all_that_it_had(fake: FakeAws, release: Assembly) -> None:
    fake.deploy(NETWORK, template(vpc="1"))
    gateway = fake.deploy(
        GATEWAY,
        template(task="1"),
        parameters={"BootstrapVersion": "/cdk-bootstrap", "Size": "small", "Password": "****"},
        tags={"service": "gateway", "owner": "sre"},
    )
    saved = rollback.save(fake.access(), release)
    gateway.template, gateway.tags = template(task="2"), {"service": "gateway"}
    gateway.parameters = {"BootstrapVersion": "/cdk-bootstrap", "Size": "large", "Password": "****"}
    outcome, said = _put_back(fake, saved)
    assert outcome == rollback.PutBack(restored=(GATEWAY,), failed={}, new=())
    assert (gateway.template, gateway.tags) == (template(task="1"), {"service": "gateway", "owner": "sre"})
    (request,) = fake.updates
    assert request["RoleARN"] == "arn:aws:iam::111111111111:role/execution"
    assert request["Parameters"] == [
        {"ParameterKey": "BootstrapVersion", "UsePreviousValue": True},
        {"ParameterKey": "Size", "ParameterValue": "small"},
        {"ParameterKey": "Password", "UsePreviousValue": True},
    ]
    assert said == [
        f"  {GATEWAY}: UPDATE_IN_PROGRESS",
        f"  {GATEWAY}: UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        f"  {GATEWAY}: UPDATE_COMPLETE",
    ]


def test_changed_tags_alone_are_put_back(fake: FakeAws, release: Assembly) -> None:
    network = fake.deploy(NETWORK, template(vpc="1"), tags={"service": "gateway"})
    saved = rollback.save(fake.access(), release)
    network.tags = {}
    assert _put_back(fake, saved)[0].restored == (NETWORK,)
    assert network.tags == {"service": "gateway"}


def test_it_waits_for_what_cloudformation_is_doing(fake: FakeAws, release: Assembly) -> None:
    network = fake.deploy(NETWORK, template(vpc="1"))
    saved = rollback.save(fake.access(), release)
    network.update(template(vpc="2"))
    assert _put_back(fake, saved)[0].restored == (NETWORK,)
    assert network.template == template(vpc="1")


def test_nothing_is_done_where_nothing_differs(fake: FakeAws, release: Assembly) -> None:
    fake.deploy(NETWORK, template(vpc="1"))
    saved = rollback.save(fake.access(), release)
    outcome, said = _put_back(fake, saved)
    assert outcome.nothing
    assert outcome.text() == "  Nothing differs from what was deployed before."
    assert (fake.updates, said) == ([], [])


def _exports_added(fake: FakeAws) -> None:
    fake.stacks[NETWORK].template = template(vpc="2", exports=["group"])
    fake.stacks[GATEWAY].template = template(task="2", imports=["group"])


def _exports_removed(fake: FakeAws) -> None:
    fake.stacks[GATEWAY].template = template(task="2")
    fake.stacks[NETWORK].template = template(vpc="2")


@pytest.mark.parametrize(
    ("exported", "change", "order"),
    [
        ([], _exports_added, [GATEWAY, NETWORK]),
        (["group"], _exports_removed, [GATEWAY, NETWORK, GATEWAY]),  # refused at first
    ],
)
def test_exports_in_use_decide_the_order(
    fake: FakeAws, release: Assembly, exported: list[str], change: Callable[[FakeAws], None], order: list[str]
) -> None:
    fake.deploy(NETWORK, template(vpc="1", exports=exported))
    fake.deploy(GATEWAY, template(task="1", imports=exported))
    before, saved = fake.templates(), rollback.save(fake.access(), release)
    change(fake)
    outcome, _ = _put_back(fake, saved)
    assert not outcome.failed
    assert fake.templates() == before
    assert [request["StackName"] for request in fake.updates] == order


def test_what_looks_values_up_is_updated_after_those_that_have_them(fake: FakeAws, release: Assembly) -> None:
    """The smoke test's stack stands for it: the release has failed before it, and what it was deployed with is gone."""
    fake.deploy(NETWORK, template(vpc="1"))
    fake.deploy(GATEWAY, template(balancer="1"))
    smoke = fake.deploy(SMOKE, template(alarm="1", looks_up=["balancer"]))
    saved = rollback.save(fake.access(), release)
    fake.stacks[GATEWAY].template = template(balancer="2")
    smoke.looked_up = {"balancer": "replaced by the release"}
    outcome, _ = _put_back(fake, saved)
    assert (outcome.restored, outcome.failed) == ((GATEWAY,), {})
    assert smoke.looked_up == {"balancer": "1"}
    assert [request["StackName"] for request in fake.updates] == [GATEWAY, SMOKE]


def test_what_the_release_no_longer_has_is_looked_up_once_it_is_back(fake: FakeAws, release: Assembly) -> None:
    fake.deploy(GATEWAY, template(balancer="1"))
    smoke = fake.deploy(SMOKE, template(alarm="1", looks_up=["balancer"]))
    saved = rollback.save(fake.access(), release)
    fake.stacks[GATEWAY].template = template(entrance="1")
    smoke.template = template(alarm="2", looks_up=["entrance"])
    outcome, _ = _put_back(fake, saved)
    assert (set(outcome.restored), outcome.failed) == ({GATEWAY, SMOKE}, {})
    assert smoke.template == template(alarm="1", looks_up=["balancer"])
    assert [request["StackName"] for request in fake.updates] == [GATEWAY, SMOKE]


def test_outputs_of_other_stacks_are_looked_up_too() -> None:
    """As releases before had them, which may be what is put back."""
    alarm = {"Type": "AWS::Some::Thing", "Properties": {"Of": {"Fn::GetStackOutput": {"StackName": GATEWAY}}}}
    bootstrap = {"Type": "AWS::SSM::Parameter::Value<String>", "Description": "Version of the bootstrap [cdk:skip]"}
    for resource, looks_up in ((alarm, True), ({"Type": "AWS::Some::Thing"}, False)):
        document = {"Parameters": {"BootstrapVersion": bootstrap}, "Resources": {"Alarm": resource}}
        saved = rollback.SavedStack(name=SMOKE, template=json.dumps(document), parameters={}, tags={}, role=None)
        assert rollback._looks_up(saved) is looks_up


def test_the_reason_is_asked_for_with_credentials_of_after_the_wait(fake: FakeAws, release: Assembly) -> None:
    """A role's are good for an hour, which an update may take."""
    gateway = fake.deploy(GATEWAY, template(task="1"))
    saved = rollback.save(fake.access(), release)
    gateway.template = template(task="2")
    fake.failures[GATEWAY] = ("Service", "the image is gone")
    waited = 0

    class Session:
        def __init__(self) -> None:
            self.since = waited

        def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's
            return self if service == "cloudformation" else fake.client(service)

        def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 - boto3's
            if self.since < waited:
                raise refused("The security token included in the request is expired", "ExpiredToken")
            return getattr(fake, operation)

    class ByRole(Access):
        def acting_as(self, role: str) -> Any:  # noqa: ANN401 - boto3's
            return Session()

    def hour() -> None:
        nonlocal waited
        waited += 1
        fake.tick()

    outcome = rollback.put_back(ByRole(DEV, cast("boto3.Session", fake)), saved, say=lambda _: None, wait=hour)
    assert waited
    assert outcome.failed == {GATEWAY: "Service: the image is gone"}


def test_a_stack_that_fails_is_named_with_the_first_resource_that_did(fake: FakeAws, release: Assembly) -> None:
    fake.deploy(NETWORK, template(vpc="1"))
    gateway = fake.deploy(GATEWAY, template(task="1"))
    saved = rollback.save(fake.access(), release)
    fake.stacks[NETWORK].template, gateway.template = template(vpc="2"), template(task="2")
    gateway.event("UPDATE_FAILED", "of an operation long ago", "Old")
    fake.failures[GATEWAY] = ("Service", "the image is gone")
    outcome, _ = _put_back(fake, saved)
    assert outcome.restored == (NETWORK,)
    assert outcome.failed == {GATEWAY: "Service: the image is gone"}
    assert len(fake.updates) == 2  # not tried again
    assert f"  {GATEWAY}: not put back: Service: the image is gone" in outcome.text()


def test_an_export_that_a_new_stack_uses_is_kept(fake: FakeAws, release: Assembly) -> None:
    """A new stack stays, and must not keep the old gateway from coming back."""
    fake.deploy(GATEWAY, template(task="1"))
    saved = rollback.save(fake.access(), release)
    fake.stacks[GATEWAY].template = template(task="2", exports=["task", "bucket"])
    fake.deploy(SMOKE, template(imports=["task"]))
    outcome, _ = _put_back(fake, saved)
    assert outcome == rollback.PutBack(restored=(GATEWAY,), failed={}, new=(SMOKE,))
    assert fake.stacks[GATEWAY].template == template(task="1", exports=["task"])  # "bucket" is of a new resource
    assert outcome.text() == f"  {GATEWAY}: put back\n  {SMOKE}: stays, though it is new"


def test_an_export_of_a_new_resource_in_use_by_a_new_stack_is_told(fake: FakeAws, release: Assembly) -> None:
    fake.deploy(GATEWAY, template(task="1"))
    saved = rollback.save(fake.access(), release)
    fake.stacks[GATEWAY].template = template(task="2", exports=["bucket"])
    fake.deploy(SMOKE, template(imports=["bucket"]))
    outcome, _ = _put_back(fake, saved)
    assert outcome.failed == {GATEWAY: f"Export bucket cannot be deleted as it is in use by {SMOKE}"}


def test_a_hidden_value_that_cannot_be_kept_is_not_made_up(fake: FakeAws, release: Assembly) -> None:
    gateway = fake.deploy(GATEWAY, template(task="1"), parameters={"Password": "****"})
    saved = rollback.save(fake.access(), release)
    gateway.template, gateway.parameters = template(task="2"), {}
    outcome, _ = _put_back(fake, saved)
    assert "its parameter Password is hidden" in outcome.failed[GATEWAY]
    assert fake.updates == []


def test_a_stack_that_cannot_be_updated_is_told_with_what_to_do(fake: FakeAws, release: Assembly) -> None:
    gateway = fake.deploy(GATEWAY, template(task="1"))
    fake.deploy(NETWORK, template(vpc="1"))
    saved = rollback.save(fake.access(), release)
    gateway.template, gateway.status = template(task="2"), "UPDATE_ROLLBACK_FAILED"
    del fake.stacks[NETWORK]
    outcome, _ = _put_back(fake, saved)
    assert "continue-update-rollback --stack-name litellm-dev-gateway" in outcome.failed[GATEWAY]
    assert outcome.failed[NETWORK] == "it is gone: deploy the release that had it"


def test_a_role_without_permission_is_an_error_and_no_reason(
    fake: FakeAws, release: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = fake.deploy(GATEWAY, template(task="1"))
    saved = rollback.save(fake.access(), release)
    gateway.template = template(task="2")

    def denied(**_: Any) -> None:  # noqa: ANN401
        raise refused("not authorized", "AccessDenied")

    monkeypatch.setattr(fake, "update_stack", denied)
    with pytest.raises(aws.ClientError, match="AccessDenied"):
        _put_back(fake, saved)


def test_a_template_in_yaml_is_compared_as_text() -> None:
    assert rollback._document("Resources: {}") == "Resources: {}"
    assert rollback._with_exports("Resources: {}", "{}") == "Resources: {}"


def test_what_cloudformation_rolled_back_itself_has_the_stacks_own_reason() -> None:
    fake, stack = FakeAws(), Stack(NETWORK, template())
    fake.stacks[NETWORK] = stack
    stack.update(template(), failing="Export a cannot be deleted as it is in use by b")
    assert rollback.failure(fake, NETWORK) == "Export a cannot be deleted as it is in use by b"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "Error: {}",
        "Error: {}\n\nLogs: /aws/lambda/x\n\n    at async Runtime.handler (file:///var/a.mjs:3:29)\n    at b",
        "{}\n  at /a.js:1:2",
    ],
)
def test_a_functions_sentence_is_told_without_what_the_framework_puts_around_it(around: str) -> None:
    sentence = "the database migration failed (exit code 3) at 10:20:30"
    assert rollback.TRACE.sub("", around.format(sentence)) == sentence
