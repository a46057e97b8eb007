"""Makes and removes a LiteLLM key, for CloudFormation.

A custom resource of the CDK's provider framework: `on_event` names the key, `is_complete` is asked again and again
until LiteLLM has made or removed it. The key's alias is the resource's physical id, and follows from its properties:
another label, other routes or limits are another key, CloudFormation removes the old one afterwards, and a rollback
comes back to the same name. Every step can be done again, and the same name never has two keys.

Whose key it is, is in the functions' environment: the user (USER_ID, with LiteLLM's USER_ROLE), the name of the
parameter that holds the key (KEY), and who asks with it, in words (KEY_OF).

Integrates with LiteLLM on the private path (/user/new, /user/update, /user/info, /user/delete, /key/generate,
/key/delete, with the master key) and SSM Parameter Store. The key's value is in no answer and in no log.
"""

import hashlib
import json
import logging
import os
import time
from typing import Any

import boto3
import urllib3
from shared.aws import FAILURES, what_failed

logger = logging.getLogger()
logger.setLevel(logging.INFO)

ssm = boto3.client("ssm")
http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=40))

MASTER_KEY = "LITELLM_MASTER_KEY"  # the parameter's name, below the environment's prefix
# Seconds that LiteLLM may take to answer. A task starts within one minute; where it has gone, so have its keys.
PATIENCE = {"Create": 600, "Update": 600, "Delete": 120}


class LiteLlmKeyError(Exception):
    """The key could not be made or removed. The message goes into the stack's events."""


class NotReachable(Exception):  # noqa: N818 - it may well be later
    """LiteLLM does not answer now."""


def on_event(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Name the key, and say until when `is_complete` may wait for LiteLLM."""
    request = event["RequestType"]
    properties = event["ResourceProperties"]
    limits = [properties["Limits"]] if "Limits" in properties else []
    identity = json.dumps([event["StackId"], properties["Label"], properties["AllowedRoutes"], *limits])
    alias = f"{_user().removesuffix('-service')}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    return {
        "PhysicalResourceId": event["PhysicalResourceId"] if request == "Delete" else alias,
        "Data": {"Until": int(time.time()) + PATIENCE[request]},
    }


def is_complete(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Make or remove the key, and tell whether that is done.

    Raises
    ------
    LiteLlmKeyError
        LiteLLM refused, or did not answer in time; there is no master key to ask it with; or Parameter Store failed.
    """
    try:
        return _is_done(event)
    except FAILURES as error:
        made = "removed" if event["RequestType"] == "Delete" else "made"
        raise LiteLlmKeyError(
            f"the key of {os.environ['KEY_OF']} was not {made}, since {what_failed(error)}: deploy again once that is "
            "mended"
        ) from None


def _is_done(event: dict[str, Any]) -> dict[str, bool]:
    alias, deletes = event["PhysicalResourceId"], event["RequestType"] == "Delete"
    try:
        if deletes:
            remove(alias)
        else:
            properties = event["ResourceProperties"]
            make(alias, properties["AllowedRoutes"], json.loads(properties.get("Limits", "{}")))
    except NotReachable as problem:
        if time.time() < event["Data"]["Until"]:
            logger.info("LiteLLM does not answer yet: %s", problem)
            return {"IsComplete": False}
        if not deletes:
            raise LiteLlmKeyError(
                f"LiteLLM did not answer at {os.environ['LITELLM_URL']} within {PATIENCE['Create'] // 60} minutes "
                f"({problem}), so that {os.environ['KEY_OF']} have no key: see the log of the gateway's tasks"
            ) from problem
        logger.warning("LiteLLM does not answer, and key %s is taken for gone with it: %s", alias, problem)
        forget(alias)
    return {"IsComplete": True}


def make(alias: str, routes: list[str], limits: dict[str, Any]) -> None:
    """Make the key of this name anew, and store its value. `limits`, in LiteLLM's words, are the user's and the key's.

    Raises
    ------
    NotReachable
        LiteLLM does not answer.
    LiteLlmKeyError
        It refused, or there is no master key.
    """
    master_key = _master_key()
    if not master_key:
        raise LiteLlmKeyError(f"there is no parameter {_parameter(MASTER_KEY)}: make secrets stores it")
    # The role is one that may do more; the routes keep the key from that.
    role = os.environ["USER_ROLE"]
    user = {"user_id": _user(), "user_role": role, "auto_create_key": False, "send_invite_email": False}
    _call(master_key, "POST", "/user/new", user, also=409)
    if limits:
        _call(master_key, "POST", "/user/update", {"user_id": _user()} | limits)
    _delete_key(master_key, alias)
    wanted = {"key_alias": alias, "user_id": _user(), "allowed_routes": routes} | limits
    value = _call(master_key, "POST", "/key/generate", wanted).get("key")
    if not value:
        raise NotReachable("/key/generate: an answer without a key")
    try:
        answer = ssm.put_parameter(
            Name=_key_parameter(), Value=value, Type="SecureString", Overwrite=True, Description=_description(alias)
        )
        _ = answer["Version"]  # whoever answers without one is not Parameter Store
    except FAILURES:
        _delete_key(master_key, alias)
        raise
    logger.info("key %s made", alias)


def remove(alias: str) -> None:
    """Remove the key of this name; with the last one its user, and with the stored one the parameter.

    Raises
    ------
    NotReachable
        LiteLLM does not answer.
    LiteLlmKeyError
        It refused.
    """
    master_key = _master_key()
    if master_key:
        _delete_key(master_key, alias)
        user = _call(master_key, "GET", f"/user/info?user_id={_user()}", also=404)
        if "keys" in user and not user["keys"]:
            _call(master_key, "POST", "/user/delete", {"user_ids": [_user()]}, also=404)
    forget(alias)
    logger.info("key %s removed", alias)


def forget(alias: str) -> None:
    """Delete the parameter, if it holds the key of this name and not a newer one."""
    name = _key_parameter()
    try:
        pages = ssm.get_paginator("get_parameter_history").paginate(Name=name, WithDecryption=False)
        versions = [version for page in pages for version in page["Parameters"]]
        if versions and max(versions, key=lambda each: each["Version"]).get("Description") == _description(alias):
            ssm.delete_parameter(Name=name)
    except ssm.exceptions.ParameterNotFound:
        logger.info("no parameter %s", name)


def _delete_key(master_key: str, alias: str) -> None:
    _call(master_key, "POST", "/key/delete", {"key_aliases": [alias]}, also=404)


def _master_key() -> str | None:
    try:
        return ssm.get_parameter(Name=_parameter(MASTER_KEY), WithDecryption=True)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return None


def _parameter(name: str) -> str:
    return f"{os.environ['PARAMETER_PREFIX']}/{name}"


def _key_parameter() -> str:
    return _parameter(os.environ["KEY"])


def _user() -> str:
    return os.environ["USER_ID"]


def _description(alias: str) -> str:
    return f"LiteLLM key {alias} of {os.environ['KEY_OF']}, made by the deployment"


def _call(
    master_key: str, method: str, route: str, body: dict[str, Any] | None = None, *, also: int = 200
) -> dict[str, Any]:
    """LiteLLM's answer as an object; empty if it is none, or if its status is `also`, which is as good as done."""
    try:
        answer = http.request(
            method,
            os.environ["LITELLM_URL"] + route,
            body=json.dumps(body) if body else None,
            headers={"Authorization": f"Bearer {master_key}", "Content-Type": "application/json"},
            redirect=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise NotReachable(type(error).__name__) from error
    path = route.partition("?")[0]
    if answer.status == 429 or answer.status >= 500:
        raise NotReachable(f"{path}: {answer.status}")
    if answer.status == 401:
        raise LiteLlmKeyError(
            f"LiteLLM does not accept the master key of {_parameter(MASTER_KEY)}: its tasks were started with another "
            "one, so start them anew"
        )
    if answer.status not in (200, also):
        raise LiteLlmKeyError(f"LiteLLM refused {path} with status {answer.status}: see the log of the gateway's tasks")
    if answer.status != 200:
        return {}
    try:
        found = answer.json()
    except ValueError:
        found = None
    if found in (None, {}):  # LiteLLM answers each of these with something
        raise NotReachable(f"{path}: an answer that is not LiteLLM's")
    return found if isinstance(found, dict) else {}
