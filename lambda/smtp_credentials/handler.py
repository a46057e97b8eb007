"""Makes, rotates and removes the SMTP credentials of an IAM user, for CloudFormation.

A custom resource of the CDK's provider framework. The physical id is a hash of the access key's id. Every stored value
says in its parameter's description which key and which label it is of. So a key of the wanted label that is still there
is taken again: when CloudFormation asks twice, and when it rolls a rotation back, where the old key is still in use and
IAM would not give a third one. CloudFormation then removes the key that is no longer named, at the end of the update.

Integrates with IAM (access keys of one user) and SSM Parameter Store (two SecureStrings). No key id, secret or password
is in an answer, a log or an error.
"""

import base64
import hashlib
import hmac
import logging
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from shared.aws import FAILURES, what_failed

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# It has to end, and to take back what it began, before the function's five minutes are over.
config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3, "mode": "standard"})
iam = boto3.client("iam", config=config)
ssm = boto3.client("ssm", config=config)


class SmtpCredentialsError(Exception):
    """The credentials could not be made or removed. The message goes into the stack's events."""


@dataclass(frozen=True)
class Stored:
    """One version of a parameter."""

    value: str = field(repr=False)
    description: str


Histories = dict[str, list[Stored]]
"""The versions of each parameter by its name, the oldest first; none if there is no such parameter."""


def on_event(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Make or remove the access key and the two parameters.

    Raises
    ------
    SmtpCredentialsError
        IAM or Parameter Store refused: which call, and why. What was begun has been taken back.
    """
    properties, current = event["ResourceProperties"], event.get("PhysicalResourceId")
    try:
        if event["RequestType"] == "Delete":
            remove(properties, str(current))
        else:
            current = make(properties, current)
    except FAILURES as error:
        # Only the call and AWS's code: a message may repeat what was sent.
        raise SmtpCredentialsError(
            f"the SMTP credentials of user {properties['User']} were not changed, since {what_failed(error)}: "
            "deploy again once that is mended"
        ) from None
    return {"PhysicalResourceId": current}


def make(properties: dict[str, str], current: str | None) -> str:
    """Store the credentials of a key of the wanted label, a new one if there is none, and return its physical id.

    `current` is the physical id of the key that CloudFormation knows, which stays. Any other key is a leftover.
    """
    user, label = properties["User"], properties["Label"]
    histories = {name: _history(name) for name in _parameters(properties)}
    keys = _keys(user)
    for physical_id in keys:
        if credentials := _of_key(histories, physical_id, label):
            _store(credentials, histories)
            logger.info("key %s of label %s is there, and taken again", physical_id, label)
            return physical_id
    _delete_keys(user, _without(keys, current))  # IAM gives a user two
    made: dict[str, str] = {}
    try:
        key = iam.create_access_key(UserName=user)["AccessKey"]
        physical_id = _physical_id(key["AccessKeyId"])
        made = {physical_id: key["AccessKeyId"]}
        values = (key["AccessKeyId"], smtp_password(key["SecretAccessKey"], properties["Region"]))
        description = _description(physical_id, label)
        _store({name: Stored(value, description) for name, value in zip(histories, values, strict=True)}, histories)
    except FAILURES:
        _delete_keys(user, made)
        _delete_keys(user, _without(_keys(user), current))  # an answer that was lost has made a key as well
        raise
    # Asked again after an answer that was lost, IAM has made two.
    _delete_keys(user, _without(_without(_keys(user), current), physical_id))
    logger.info("key %s of label %s made", physical_id, label)
    return physical_id


def remove(properties: dict[str, str], physical_id: str) -> None:
    """Delete the key of this physical id.

    Where the parameters hold it, it is the last one: they go with it, and so does any leftover, which would keep
    CloudFormation from removing the user. Parameters that hold a newer key stay.
    """
    user, names = properties["User"], _parameters(properties)
    held = [name for name in names if any(physical_id in each.description for each in _history(name)[-1:])]
    keys = _keys(user)
    _delete_keys(user, keys if held else {each: key for each, key in keys.items() if each == physical_id})
    if held:
        answer = ssm.delete_parameters(Names=held)  # it names those that are gone, instead of failing
        _named(answer, held)
        logger.info("parameters %s deleted", ", ".join(held))


def smtp_password(secret_access_key: str, region: str) -> str:
    """The password that SES takes over SMTP in this region.

    The version byte 4 and a chain of HMAC-SHA256, in base64:
    https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html#smtp-credentials-convert
    """
    signature = f"AWS4{secret_access_key}".encode()
    for part in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        signature = hmac.digest(signature, part.encode(), hashlib.sha256)
    return base64.b64encode(b"\x04" + signature).decode()


# --- IAM ------------------------------------------------------------------------------------------------------------


def _keys(user: str) -> dict[str, str]:
    """The ids of the user's access keys by their physical ids; none if the user is gone."""
    try:
        found = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    except iam.exceptions.NoSuchEntityException:
        return {}
    return {_physical_id(key["AccessKeyId"]): key["AccessKeyId"] for key in found}


def _without(keys: dict[str, str], physical_id: str | None) -> dict[str, str]:
    return {each: key for each, key in keys.items() if each != physical_id}


def _delete_keys(user: str, keys: dict[str, str]) -> None:
    for physical_id, key_id in keys.items():
        try:
            iam.delete_access_key(UserName=user, AccessKeyId=key_id)
        except iam.exceptions.NoSuchEntityException:
            continue
        logger.info("key %s deleted", physical_id)


def _physical_id(key_id: str) -> str:
    return f"smtp-{hashlib.sha256(key_id.encode()).hexdigest()[:32]}"


# --- Parameter Store ------------------------------------------------------------------------------------------------


def _parameters(properties: dict[str, str]) -> tuple[str, str]:
    return properties["UsernameParameter"], properties["PasswordParameter"]


def _description(physical_id: str, label: str) -> str:
    return f"SMTP credentials of key {physical_id}, label {label}, made by the deployment"


def _history(name: str) -> list[Stored]:
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=name, WithDecryption=True)
    try:
        versions = [version for page in pages for version in page["Parameters"]]
    except ssm.exceptions.ParameterNotFound:
        return []
    versions.sort(key=lambda version: version["Version"])
    return [Stored(version["Value"], version.get("Description", "")) for version in versions]


def _of_key(histories: Histories, physical_id: str, label: str) -> dict[str, Stored] | None:
    """What was stored of a key of this label, by parameter; nothing unless both parameters had it."""
    description = _description(physical_id, label)
    found = {
        name: version
        for name, versions in histories.items()
        for version in versions
        if version.description == description
    }
    return found if len(found) == len(histories) else None


def _store(credentials: dict[str, Stored], before: Histories) -> None:
    """Put both parameters, or leave them as they were."""
    try:
        for name, version in credentials.items():
            _put(name, version)
    except FAILURES:
        for name, versions in before.items():
            if versions:
                _put(name, versions[-1])
            else:
                ssm.delete_parameters(Names=[name])
        raise


def _named(answer: Any, names: list[str]) -> None:  # noqa: ANN401 - an answer of boto3's
    """Raise `KeyError` if an answer does not have them all: whoever gave it is not Parameter Store."""
    for name in names:
        if name not in (*answer.get("DeletedParameters", ()), *answer.get("InvalidParameters", ())):
            raise KeyError(name)


def _put(name: str, version: Stored) -> None:
    answer = ssm.put_parameter(
        Name=name, Value=version.value, Description=version.description, Type="SecureString", Overwrite=True
    )
    _ = answer["Version"]  # whoever answers without one is not Parameter Store
