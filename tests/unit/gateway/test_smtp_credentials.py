"""The function that makes the SMTP credentials, as CloudFormation calls it, against a small IAM and Parameter Store.

Both take only what botocore's own description of them allows, and answer only what it promises.
"""

import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import validate_parameters

from tests.unit.handlers import load_handler

REGION = "ap-northeast-1"
USER = "litellm-dev-gateway-SmtpCredentialsUser-0A1B2C3D"
USERNAME, PASSWORD = "/litellm/dev/SMTP_USERNAME", "/litellm/dev/SMTP_PASSWORD"
ANOTHERS = "/litellm/dev/SMTP_HOST"
AWS_EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@dataclass
class Account:
    """IAM and Parameter Store of one account: what is there, what was asked, and what is to fail."""

    keys: dict[str, str] = field(default_factory=dict)
    """The secrets of the user's access keys, by the keys' ids."""
    versions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    failures: dict[tuple[str, int], str] = field(default_factory=dict)
    """AWS's error code by operation and the number of the call that fails with it; "lost": done, but not answered."""
    secrets: set[str] = field(default_factory=set)
    """Every key id, secret and password that there ever was."""
    has_user: bool = True
    slow: bool = False
    """IAM lists a new key only later, as it may."""
    made: int = 0

    def fail(self, operation: str, code: str = "InternalFailure", *, call: int = 1) -> None:
        """Have the next call of an operation fail, or the one after so many."""
        self.failures[operation, self.calls.count(operation) + call] = code

    def stored(self) -> dict[str, str]:
        """What the parameters hold now."""
        return {name: versions[-1]["Value"] for name, versions in self.versions.items()}

    def attach(self, client: Any) -> Any:  # noqa: ANN401 - a client of any service
        """Answer a client instead of AWS; the return value ends that."""
        asked: dict[str, Any] = {}
        events = client.meta.events

        def note(params: dict[str, Any], **_more: object) -> None:
            asked.clear()
            asked.update(params)

        def answer(model: Any, **_more: object) -> Any:  # noqa: ANN401 - as botocore calls it
            self.calls.append(model.name)
            code = self.failures.pop((model.name, self.calls.count(model.name)), None)
            if code and code != "lost":
                # Services have repeated what they were sent.
                return _refusal(code, f"1 validation error detected: {asked}")
            result = getattr(self, f"_{model.name}")(**asked)
            if code:
                raise ConnectTimeoutError(endpoint_url=f"https://aws/?{asked}")
            if isinstance(result, tuple):
                return result
            if model.output_shape:
                validate_parameters(result, model.output_shape)
            return mock.Mock(status_code=200), result

        events.register_first("before-parameter-build", note, unique_id="account-note")
        events.register_first("before-call", answer, unique_id="account-answer")

        def detach() -> None:
            events.unregister("before-parameter-build", unique_id="account-note")
            events.unregister("before-call", unique_id="account-answer")

        return detach

    def _ListAccessKeys(self, UserName: str) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        if not self.has_user:
            return _refusal("NoSuchEntity", f"no user {UserName}")
        listed = [key for key in self.keys if not self.slow]
        return {
            "AccessKeyMetadata": [{"UserName": UserName, "AccessKeyId": key, "Status": "Active"} for key in listed],
            "IsTruncated": False,
        }

    def _CreateAccessKey(self, UserName: str) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        assert UserName == USER
        if len(self.keys) == 2:
            return _refusal("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
        self.made += 1
        key, secret = f"AKIAIOSFODNN7EXAMPL{self.made}", f"{self.made}{AWS_EXAMPLE_SECRET[1:]}"
        self.keys[key] = secret
        self.secrets |= {key, secret}
        access_key = {"UserName": UserName, "AccessKeyId": key, "Status": "Active", "SecretAccessKey": secret}
        return {"AccessKey": access_key}

    def _DeleteAccessKey(self, UserName: str, AccessKeyId: str) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        if self.keys.pop(AccessKeyId, None) is None:
            return _refusal("NoSuchEntity", f"no key {AccessKeyId} of {UserName}")
        return {}

    def _GetParameterHistory(  # noqa: N802 - AWS's names
        self,
        Name: str,  # noqa: N803
        WithDecryption: bool,  # noqa: N803
        NextToken: str = "0",  # noqa: N803
    ) -> Any:  # noqa: ANN401
        assert WithDecryption
        if Name not in self.versions:
            return _refusal("ParameterNotFound", Name)
        start = int(NextToken)
        page = {"Parameters": self.versions[Name][start : start + 2]}
        return page | ({"NextToken": str(start + 2)} if start + 2 < len(self.versions[Name]) else {})

    def _PutParameter(self, Name: str, **asked: Any) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        assert asked.pop("Overwrite")
        assert asked["Type"] == "SecureString"
        self.secrets.add(asked["Value"])
        versions = self.versions.setdefault(Name, [])
        versions.append({"Name": Name, "Version": len(versions) + 1, **asked})
        return {"Version": len(versions), "Tier": "Standard"}

    def _DeleteParameters(self, Names: list[str]) -> Any:  # noqa: ANN401, N802, N803 - AWS's names
        deleted = [name for name in Names if self.versions.pop(name, None)]
        answer = {"DeletedParameters": deleted, "InvalidParameters": [name for name in Names if name not in deleted]}
        return {kind: names for kind, names in answer.items() if names}


def _refusal(code: str, message: str) -> Any:  # noqa: ANN401 - as botocore parses it
    return mock.Mock(status_code=400), {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {}}


@dataclass
class CloudFormation:
    """What CloudFormation does with the resource, and everything that it or a log was told."""

    handler: ModuleType
    resource: str | None = None
    label: str = ""
    before: tuple[str, str] | None = None
    told: list[str] = field(default_factory=list)

    def send(self, kind: str, label: str, **more: Any) -> Any:  # noqa: ANN401 - an answer is JSON
        """One event, as the provider framework hands it on."""
        properties = {
            "ServiceToken": "arn:aws:lambda:ap-northeast-1:123456789012:function:provider",
            "User": USER,
            "Region": REGION,
            "UsernameParameter": USERNAME,
            "PasswordParameter": PASSWORD,
            "Label": label,
        }
        event = {"RequestType": kind, "RequestId": "request-1", "ResourceProperties": properties, **more}
        try:
            answer = self.handler.on_event(event, None)
        except Exception:
            self.told.append(traceback.format_exc())
            raise
        self.told.append(repr(answer))
        return answer

    def create(self, label: str) -> None:
        self.resource, self.label = self.send("Create", label)["PhysicalResourceId"], label

    def update(self, label: str) -> None:
        """Change the label; the update of the stack goes on."""
        answer = self.send("Update", label, PhysicalResourceId=self.resource)
        self.before = (str(self.resource), self.label)
        self.resource, self.label = answer["PhysicalResourceId"], label

    def finish(self) -> None:
        """The end of a stack's update: what was replaced is removed."""
        assert self.before
        resource, label = self.before
        if resource != self.resource:
            self.send("Delete", label, PhysicalResourceId=resource)
        self.before = None

    def roll_back(self) -> None:
        """Something else in the stack failed: the old properties again, then the end."""
        assert self.before
        self.update(self.before[1])
        self.finish()

    def delete(self) -> None:
        self.send("Delete", self.label, PhysicalResourceId=self.resource)


@pytest.fixture(scope="module")
def handler() -> ModuleType:
    """The function's module."""
    return load_handler("smtp_credentials")


@pytest.fixture
def account(handler: ModuleType) -> Iterator[Account]:
    account = Account()
    detach = [account.attach(client) for client in (handler.iam, handler.ssm)]
    yield account
    for end in detach:
        end()


@pytest.fixture
def cloudformation(
    handler: ModuleType, account: Account, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[CloudFormation]:
    """CloudFormation; at the end of each test nothing secret has been told to it, to a log or to the console."""
    caplog.set_level(logging.DEBUG, logger="")
    for name in ("botocore", "boto3", "urllib3"):  # at Lambda's level, INFO, these say nothing
        caplog.set_level(logging.INFO, logger=name)
    cloudformation = CloudFormation(handler)
    yield cloudformation
    logged = [caplog.handler.format(record) for record in caplog.get_records("call")]
    told = "\n".join([*cloudformation.told, *logged, *capfd.readouterr()])
    assert told.strip()
    leaked = [secret for secret in account.secrets if secret in told]
    assert not leaked


def _consistent(handler: ModuleType, account: Account) -> str:
    """The id of the key that the parameters hold: it works, and the password is its own."""
    stored = account.stored()
    assert stored.keys() == {USERNAME, PASSWORD}
    key = stored[USERNAME]
    assert stored[PASSWORD] == handler.smtp_password(account.keys[key], REGION)
    return key


# The password


@pytest.mark.parametrize(
    ("secret", "region", "password"),
    [
        # AWS's SDK for PHP, tests/Ses/SesClientTest.php, made by AWS's sample code.
        (AWS_EXAMPLE_SECRET, "us-east-2", "BMPPgbAHoFVbze1Ud0oA5uNdXRwUXUZ+qOwphGJbl/cS"),
        # Terraform's AWS provider, TestSESSMTPPasswordFromSecretKeySigV4.
        ("some+secret+key", "eu-central-1", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ("another+secret+key", "eu-central-1", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
        ("some+secret+key", "us-west-1", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
        ("another+secret+key", "us-west-1", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
    ],
)
def test_password(handler: ModuleType, secret: str, region: str, password: str) -> None:
    assert handler.smtp_password(secret, region) == password


# Create, rotate, roll back, delete


def test_create(handler: ModuleType, account: Account, cloudformation: CloudFormation) -> None:
    cloudformation.create("1")
    assert list(account.keys) == [_consistent(handler, account)]
    assert str(cloudformation.resource).startswith("smtp-")


def test_the_same_request_twice_makes_one_key(
    handler: ModuleType, account: Account, cloudformation: CloudFormation
) -> None:
    cloudformation.create("1")
    first, keys = cloudformation.resource, dict(account.keys)
    cloudformation.create("1")
    assert (cloudformation.resource, account.keys) == (first, keys)
    _consistent(handler, account)


def test_rotation(handler: ModuleType, account: Account, cloudformation: CloudFormation) -> None:
    cloudformation.create("1")
    old = _consistent(handler, account)
    cloudformation.update("2")
    new = _consistent(handler, account)
    assert list(account.keys) == [old, new]  # the old one works until the tasks are new
    cloudformation.finish()
    assert list(account.keys) == [new]
    assert _consistent(handler, account) == new


def test_the_same_rotation_asked_for_twice(
    handler: ModuleType, account: Account, cloudformation: CloudFormation
) -> None:
    cloudformation.create("1")
    answers = [cloudformation.send("Update", "2", PhysicalResourceId=cloudformation.resource) for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(account.keys) == 2
    _consistent(handler, account)


def test_a_label_that_comes_back_later_is_a_new_key(
    handler: ModuleType, account: Account, cloudformation: CloudFormation
) -> None:
    cloudformation.create("1")
    seen = {_consistent(handler, account)}
    for label in ("2", "1", "2"):
        cloudformation.update(label)
        cloudformation.finish()
        seen.add(_consistent(handler, account))
        assert len(account.keys) == 1
    assert len(seen) == 4


def test_a_rollback_puts_the_old_key_back(
    handler: ModuleType, account: Account, cloudformation: CloudFormation
) -> None:
    """The tasks that never stopped have it, and IAM would give no third."""
    cloudformation.create("1")
    resource, old = cloudformation.resource, _consistent(handler, account)
    cloudformation.update("2")
    cloudformation.roll_back()
    assert (cloudformation.resource, list(account.keys)) == (resource, [old])
    assert _consistent(handler, account) == old
    cloudformation.update("2")
    cloudformation.finish()
    assert list(account.keys) == [_consistent(handler, account)]
    assert old not in account.keys


def test_a_rollback_without_the_old_password_makes_a_new_key(
    handler: ModuleType, account: Account, cloudformation: CloudFormation
) -> None:
    cloudformation.create("1")
    cloudformation.update("2")
    account.versions[PASSWORD] = account.versions[PASSWORD][-1:]
    cloudformation.roll_back()
    assert list(account.keys) == [_consistent(handler, account)]
    assert account.made == 3


def test_delete(account: Account, cloudformation: CloudFormation) -> None:
    account.versions[ANOTHERS] = [{"Name": ANOTHERS, "Version": 1, "Value": "x"}]
    cloudformation.create("1")
    cloudformation.update("2")
    cloudformation.finish()
    for _ in range(2):  # CloudFormation may ask again
        cloudformation.delete()
        assert not account.keys
        assert list(account.versions) == [ANOTHERS]


def test_deleting_an_old_key_leaves_the_newer_one_and_the_parameters(
    handler: ModuleType, account: Account, cloudformation: CloudFormation
) -> None:
    cloudformation.create("1")
    old = cloudformation.resource
    cloudformation.update("2")
    for _ in range(2):
        cloudformation.send("Delete", "1", PhysicalResourceId=old)
        assert list(account.keys) == [_consistent(handler, account)]


def test_delete_after_the_user_has_gone(account: Account, cloudformation: CloudFormation) -> None:
    cloudformation.create("1")
    account.has_user = False
    cloudformation.delete()
    assert not account.versions


def test_delete_takes_leftovers_with_it(account: Account, cloudformation: CloudFormation) -> None:
    """A user that still has a key cannot be removed."""
    cloudformation.create("1")
    account._CreateAccessKey(USER)
    cloudformation.delete()
    assert not account.keys


def test_the_physical_id_tells_nothing(account: Account, cloudformation: CloudFormation) -> None:
    cloudformation.create("1")
    (key,) = account.keys
    assert len(str(cloudformation.resource)) == len("smtp-") + 32
    assert key not in str(cloudformation.resource)
    assert key not in account.versions[PASSWORD][-1]["Description"]


# IAM's limit of two keys


@pytest.mark.parametrize("leftovers", [1, 2])
def test_create_with_keys_left_over(
    handler: ModuleType, account: Account, cloudformation: CloudFormation, leftovers: int
) -> None:
    for _ in range(leftovers):
        account._CreateAccessKey(USER)
    cloudformation.create("1")
    assert list(account.keys) == [_consistent(handler, account)]


def test_rotation_with_a_key_left_over(handler: ModuleType, account: Account, cloudformation: CloudFormation) -> None:
    cloudformation.create("1")
    old = _consistent(handler, account)
    account._CreateAccessKey(USER)
    cloudformation.update("2")
    assert list(account.keys) == [old, _consistent(handler, account)]


# Failures

STEPS = ("GetParameterHistory", "ListAccessKeys", "CreateAccessKey", "PutParameter")


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
@pytest.mark.parametrize(
    ("operation", "call"), [*((step, 1) for step in STEPS), ("GetParameterHistory", 2), ("PutParameter", 2)]
)
def test_a_create_that_fails_leaves_nothing(
    handler: ModuleType, account: Account, cloudformation: CloudFormation, operation: str, call: int, code: str
) -> None:
    account.fail(operation, code, call=call)
    with pytest.raises(handler.SmtpCredentialsError) as failure:
        cloudformation.create("1")
    assert str(failure.value) == (
        f"the SMTP credentials of user {USER} were not changed, since {operation} failed with {code}: "
        "deploy again once that is mended"
    )
    assert (account.keys, account.versions) == ({}, {})
    cloudformation.create("1")
    assert list(account.keys) == [_consistent(handler, account)]


@pytest.mark.parametrize(
    ("operation", "call"), [*((step, 1) for step in STEPS), ("GetParameterHistory", 2), ("PutParameter", 2)]
)
def test_a_rotation_that_fails_changes_nothing(
    handler: ModuleType, account: Account, cloudformation: CloudFormation, operation: str, call: int
) -> None:
    cloudformation.create("1")
    resource, keys, stored = cloudformation.resource, dict(account.keys), account.stored()
    account.fail(operation, "ThrottledForGood", call=call)
    with pytest.raises(handler.SmtpCredentialsError, match=f"{operation} failed with ThrottledForGood"):
        cloudformation.update("2")
    assert (account.keys, account.stored()) == (keys, stored)
    # CloudFormation rolls the failed resource back as well.
    assert cloudformation.send("Update", "1", PhysicalResourceId=resource) == {"PhysicalResourceId": resource}
    assert _consistent(handler, account) in keys


@pytest.mark.parametrize("operation", ["CreateAccessKey", "PutParameter"])
def test_an_answer_that_is_lost(
    handler: ModuleType, account: Account, cloudformation: CloudFormation, operation: str
) -> None:
    """AWS has done it, and nobody heard: what it did is taken back."""
    cloudformation.create("1")
    keys, stored = dict(account.keys), account.stored()
    account.fail(operation, "lost")
    with pytest.raises(handler.SmtpCredentialsError, match=r"AWS could not be asked \(ConnectTimeoutError\)"):
        cloudformation.update("2")
    assert (account.keys, account.stored()) == (keys, stored)


def test_a_new_key_that_iam_does_not_list_yet_is_removed_as_well(
    handler: ModuleType, account: Account, cloudformation: CloudFormation
) -> None:
    account.slow = True
    account.fail("PutParameter")
    with pytest.raises(handler.SmtpCredentialsError):
        cloudformation.create("1")
    assert not account.keys


def test_a_new_key_is_removed_first(handler: ModuleType, account: Account, cloudformation: CloudFormation) -> None:
    """Whatever else fails after it."""
    account.fail("PutParameter")
    account.fail("ListAccessKeys", call=2)
    with pytest.raises(handler.SmtpCredentialsError):
        cloudformation.create("1")
    assert not account.keys


def test_a_rotation_that_cannot_be_taken_back_is_mended_by_the_rollback(
    handler: ModuleType, account: Account, cloudformation: CloudFormation
) -> None:
    cloudformation.create("1")
    resource, keys = cloudformation.resource, dict(account.keys)
    account.fail("PutParameter", call=2)
    account.fail("PutParameter", call=3)
    with pytest.raises(handler.SmtpCredentialsError):
        cloudformation.update("2")
    assert account.keys == keys
    assert cloudformation.send("Update", "1", PhysicalResourceId=resource) == {"PhysicalResourceId": resource}
    _consistent(handler, account)


def test_a_new_key_that_cannot_be_removed_again_goes_with_the_next_attempt(
    handler: ModuleType, account: Account, cloudformation: CloudFormation
) -> None:
    account.fail("PutParameter")
    account.fail("DeleteAccessKey")
    with pytest.raises(handler.SmtpCredentialsError, match="DeleteAccessKey failed"):
        cloudformation.create("1")
    assert len(account.keys) == 1
    cloudformation.create("1")
    assert list(account.keys) == [_consistent(handler, account)]


@pytest.mark.parametrize("operation", ["GetParameterHistory", "ListAccessKeys", "DeleteAccessKey", "DeleteParameters"])
def test_a_delete_that_fails_can_be_asked_for_again(
    handler: ModuleType, account: Account, cloudformation: CloudFormation, operation: str
) -> None:
    cloudformation.create("1")
    account.fail(operation)
    with pytest.raises(handler.SmtpCredentialsError, match=f"{operation} failed"):
        cloudformation.delete()
    cloudformation.delete()
    assert (account.keys, account.versions) == ({}, {})


def test_a_missing_user(handler: ModuleType, account: Account, cloudformation: CloudFormation) -> None:
    account.fail("CreateAccessKey", "NoSuchEntity")
    with pytest.raises(handler.SmtpCredentialsError, match=f"user {USER} were not changed, since .* NoSuchEntity"):
        cloudformation.create("1")


def test_what_a_person_had_stored_before_comes_back(
    handler: ModuleType, account: Account, cloudformation: CloudFormation
) -> None:
    account._PutParameter(USERNAME, Overwrite=True, Type="SecureString", Value="written by hand")
    account.fail("PutParameter", call=2)
    with pytest.raises(handler.SmtpCredentialsError):
        cloudformation.create("1")
    assert account.stored() == {USERNAME: "written by hand"}


def test_a_stored_value_is_not_printed(handler: ModuleType) -> None:
    assert "hidden" not in repr(handler.Stored("hidden", "a description"))
