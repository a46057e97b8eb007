"""What of Bedrock the example has not, with the role that the reader asks for: models that are provisioned or imported,
one that reranks, another account's role, and a guardrail that an entry or a call names.

The role is permitted what it would be with these entries in config.yaml, and the entries are added as in the admin UI.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import boto3
import httpx
import pytest
import yaml
from botocore.exceptions import ClientError

from local.gateway import LocalGateway
from local.outside.completion import COMPLETION_PHRASE
from local.outside.records import Call, Fault
from local.outside.world import OutsideWorld
from stacks.litellm_config import LiteLlmConfig
from tests.e2e.conftest import eventually
from tests.e2e.test_features import deployments
from tests.e2e.test_routes import CONVERSE, RUNTIME, Signed, Task, as_task, task

__all__ = ["as_task", "task"]

Json = dict[str, Any]
TOLD: Final = "Say hello"
NOVA: Final = "bedrock/global.amazon.nova-2-lite-v1:0"
CLAUDE: Final = "bedrock/global.anthropic.claude-haiku-5-5"
MAIL: Final = "Write to taro@example.com"
GUARDRAIL: Final = "own-models-guardrail"
BLOCKED: Final = "This prompt is not for this model."
RERANK: Final = "arn:aws:bedrock:us-west-2::foundation-model/{}"
COHERE: Final = RERANK.format("cohere.rerank-v3-5:0")
OTHER_ACCOUNT: Final = "444444444444"


class Own(NamedTuple):
    """A model of the account's own: how config.yaml names it, its ARN's end, and what is behind it."""

    model: str  # with {arn}, if that is not the model_id
    resource: str
    behind: str


OWN: Final[Mapping[str, Own]] = {
    "provisioned": Own("bedrock/amazon.nova-2-lite-v1:0", "provisioned-model/ab12cd34ef56", "amazon.nova-2-lite-v1:0"),
    "provisioned-by-its-arn": Own(
        "bedrock/converse/{arn}", "provisioned-model/cd34ef56ab12", "anthropic.claude-haiku-5-5"
    ),
    "imported-llama": Own("bedrock/llama/{arn}", "imported-model/ab12cd34ef56", "llama"),
    "imported-qwen3": Own("bedrock/qwen3/{arn}", "imported-model/bc23de45fa61", "qwen3"),
    "imported-openai": Own("bedrock/openai/{arn}", "imported-model/cd34ef56ab12", "openai"),
    "imported-by-converse": Own("bedrock/converse/{arn}", "imported-model/de45fa61bc23", "llama"),
}
GONE: Final = Own("bedrock/converse/{arn}", "provisioned-model/000000000000", "")
LOADING: Final = Own("bedrock/llama/{arn}", "imported-model/000000000000", "llama")
ENTRIES: Final = {**OWN, "gone": GONE, "loading": LOADING}


def arn_of(gateway: LocalGateway, resource: str) -> str:
    return f"arn:aws:bedrock:{gateway.environment.region}:{gateway.environment.account}:{resource}"


def entry(gateway: LocalGateway, name: str, own: Own) -> Json:
    arn = arn_of(gateway, own.resource)
    parameters = {"model": own.model.replace("{arn}", arn), "aws_region_name": gateway.environment.region}
    if "{arn}" not in own.model:
        parameters["model_id"] = arn
    return {"model_name": name, "litellm_params": parameters, "model_info": {"mode": "chat"}}


def with_entries(gateway: LocalGateway, folder: Path, *entries: Json, guardrails: Sequence[Json] = ()) -> LiteLlmConfig:
    """The example's config.yaml with these in it, as the reader has it."""
    document: Json = yaml.safe_load(gateway.company.config.read_text("utf-8"))
    document["model_list"] += entries
    document["guardrails"] = [*document.get("guardrails", ()), *guardrails]
    folder.mkdir(exist_ok=True)
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(document), "utf-8")
    return gateway.environment.litellm_config(file)


@contextmanager
def permitted(gateway: LocalGateway, folder: Path, *entries: Json, guardrails: Sequence[Json] = ()) -> Iterator[None]:
    """Have the task's role be permitted what it is with these entries in config.yaml as well, for a while.

    As a policy of its own: that the reader's statements become the role's is held on the templates.
    """
    config = with_entries(gateway, folder, *entries, guardrails=guardrails)
    statements = [
        {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
        for actions, resources in config.permissions(partition="aws", account=gateway.environment.account)
    ]
    stack = f"litellm-{gateway.environment.name}-gateway"
    resources = gateway.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    (role,) = (
        each["PhysicalResourceId"]
        for each in resources
        if each["ResourceType"] == "AWS::IAM::Role" and each["LogicalResourceId"].startswith("TaskTaskRole")
    )
    iam, policy = gateway.client("iam"), json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=role, PolicyName=folder.name, PolicyDocument=policy)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=folder.name)


def chat(name: str, told: str = TOLD, **more: object) -> Json:
    return {"model": name, "messages": [{"role": "user", "content": told}], **more}


def asked(gateway: LocalGateway, user: str, body: Json) -> httpx.Response:
    """What the gateway answers, once it has heard of the entry."""

    def answered() -> httpx.Response | None:
        answer = gateway.api("POST", "/v1/chat/completions", key=gateway.user_key(user), json=body)
        return None if "Invalid model name" in answer.text else answer

    found = eventually(answered)
    assert found is not None
    return found


def called(outside: OutsideWorld) -> list[Call]:
    """What was asked of models; Datadog hears of calls at any time."""
    return [call for call in outside.calls() if call.model]


@pytest.fixture(scope="module")
def own(gateway: LocalGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The models, as long as these tests last."""
    for each in (*OWN.values(), LOADING):
        gateway.outside.bedrock.add(arn_of(gateway, each.resource), each.behind, ready=each is not LOADING)
    entries = [entry(gateway, name, each) for name, each in ENTRIES.items()]
    with permitted(gateway, tmp_path_factory.mktemp("own"), *entries), deployments(gateway, *entries):
        yield


@pytest.mark.parametrize("name", OWN)
def test_a_model_of_the_accounts_own_answers(
    gateway: LocalGateway, outside: OutsideWorld, own: None, user: str, name: str
) -> None:
    """Called by its ARN, in one segment of the path, and permitted by that."""
    answer = asked(gateway, user, chat(name))
    assert answer.json()["choices"][0]["message"]["content"].startswith(COMPLETION_PHRASE)
    (call,) = called(outside)
    assert (call.model, call.region, call.status) == (
        arn_of(gateway, OWN[name].resource),
        gateway.environment.region,
        200,
    )
    counted = answer.json()["usage"]
    seen = (counted["prompt_tokens"], counted["completion_tokens"])
    # LiteLLM takes no count of an answer in Qwen's format: the reader warns of it.
    assert seen == ((0, 0) if "qwen" in name else (call.usage.input_tokens, call.usage.output_tokens))


@pytest.mark.parametrize("name", OWN)
def test_and_in_a_stream(gateway: LocalGateway, outside: OutsideWorld, own: None, user: str, name: str) -> None:
    answer = asked(gateway, user, chat(name, stream=True))
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    text = "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
    # LiteLLM does not read what Bedrock streams in OpenAI's format: the reader warns of it.
    assert text.startswith("" if "openai" in name else COMPLETION_PHRASE)
    assert bool(text) == ("openai" not in name)
    (call,) = called(outside)
    assert (call.model, call.status) == (arn_of(gateway, OWN[name].resource), 200)


@pytest.mark.parametrize(
    ("name", "status", "sentence"),
    [
        ("gone", 404, "The specified resource ARN was not found."),
        ("loading", 429, "The model specified in the request is not ready to serve inference requests."),
    ],
)
def test_one_that_does_not_answer_says_why(
    gateway: LocalGateway, own: None, user: str, name: str, status: int, sentence: str
) -> None:
    answer = asked(gateway, user, chat(name))
    assert answer.status_code == status
    assert sentence in answer.json()["error"]["message"]


def test_one_that_is_in_no_config_yaml_is_not_permitted(gateway: LocalGateway, own: None, user: str) -> None:
    """Someone has added it in the admin UI."""
    with deployments(gateway, entry(gateway, "beside", Own("bedrock/llama/{arn}", "imported-model/111111111111", ""))):
        answer = asked(gateway, user, chat("beside"))
    assert answer.status_code == 403
    assert answer.json()["error"]["message"].startswith("The gateway's role is not permitted this")


@pytest.mark.parametrize("beside", ["provisioned-model/111111111111", "imported-model/111111111111"])
def test_a_neighbour_of_it_is_refused(
    gateway: LocalGateway, own: None, as_task: Callable[[Signed], httpx.Response], beside: str
) -> None:
    """Another one of the same account, which is there."""
    region, arn = gateway.environment.region, arn_of(gateway, beside)
    gateway.outside.bedrock.add(arn, "llama")
    path = f"/model/{arn.replace(':', '%3A').replace('/', '%2F')}/converse"
    answer = as_task(Signed(RUNTIME.format(region), region, path, CONVERSE, "bedrock:InvokeModel"))
    assert answer.status_code == 403, answer.text
    assert f"is not authorized to perform: bedrock:InvokeModel on resource: {arn}" in answer.text


# --- A model that reranks, and another account's role -----------------------------------------------------------------


def reranked(arn: str) -> Signed:
    """Bedrock's Rerank by this model."""
    body = {
        "queries": [{"type": "TEXT", "textQuery": {"text": "capital"}}],
        "sources": [
            {
                "type": "INLINE",
                "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": "The capital of Japan is Tokyo."}},
            }
        ],
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": arn}},
        },
    }
    return Signed("bedrock-agent-runtime.us-west-2.amazonaws.com", "us-west-2", "/rerank", body, "bedrock:Rerank")


def refusal(answer: httpx.Response) -> str:
    """The action and the resource that a call was refused for."""
    assert answer.status_code == 403, answer.text
    return str(answer.json()["message"].partition("not authorized to perform: ")[2].partition(" because ")[0])


def test_a_model_that_reranks_is_called_and_its_neighbours_are_refused(
    gateway: LocalGateway,
    outside: OutsideWorld,
    user: str,
    as_task: Callable[[Signed], httpx.Response],
    tmp_path: Path,
) -> None:
    """Another one that reranks, the same in a stream, and Rerank itself where no entry takes it."""
    assert refusal(as_task(reranked(COHERE))) == "bedrock:Rerank on resource: *"
    outside.clear("calls")
    parameters = {"model": f"bedrock/{COHERE}", "aws_region_name": "us-west-2"}
    entry = {"model_name": "reranking", "litellm_params": parameters, "model_info": {"mode": "rerank"}}
    body = {"model": "reranking", "query": "capital", "documents": ["A cat.", "The capital is Tokyo."]}
    with permitted(gateway, tmp_path, entry), deployments(gateway, entry):

        def answered() -> httpx.Response | None:
            answer = gateway.api("POST", "/v1/rerank", key=gateway.user_key(user), json=body)
            return None if "Invalid model name" in answer.text else answer

        answer = eventually(answered)
        assert answer
        assert [each["index"] for each in answer.json()["results"]] == [1, 0], answer.text
        assert [(call.model, call.status) for call in called(outside)] == [(COHERE, 200)]
        assert as_task(reranked(COHERE)).status_code == 200
        other = RERANK.format("amazon.rerank-v1:0")
        assert refusal(as_task(reranked(other))) == f"bedrock:InvokeModel on resource: {other}"
        name, operation = COHERE.rpartition("/")[2], "invoke-with-response-stream"
        path = f"/model/{name.replace(':', '%3A')}/{operation}"
        streamed = as_task(Signed(RUNTIME.format("us-west-2"), "us-west-2", path, body, "bedrock:InvokeModel"))
        assert refusal(streamed) == f"bedrock:InvokeModelWithResponseStream on resource: {COHERE}"


def test_a_role_of_another_account_is_assumed_and_its_neighbour_is_refused(
    gateway: LocalGateway, outside: OutsideWorld, user: str, task: Task, tmp_path: Path
) -> None:
    """Which is there and trusts the task's role as well; and the one that is assumed calls its own model alone."""
    role, other = (f"arn:aws:iam::{OTHER_ACCOUNT}:role/own-models-{name}" for name in ("caller", "other"))
    parameters = {"aws_region_name": "us-west-2", "aws_role_name": role, "aws_session_name": "gateway"}
    entries = [
        {"model_name": name, "litellm_params": {"model": model, **parameters}, "model_info": {"mode": "chat"}}
        for name, model in (("by-role", NOVA), ("by-role-beside", CLAUDE))
    ]
    (assumed,) = with_entries(gateway, tmp_path, entries[0]).assumed_roles
    assert gateway.emulator
    access = gateway.emulator.environment(OTHER_ACCOUNT, gateway.environment.region)
    iam = boto3.client(
        "iam",
        endpoint_url=access["AWS_ENDPOINT_URL"],
        region_name=access["AWS_REGION"],
        aws_access_key_id=access["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=access["AWS_SECRET_ACCESS_KEY"],
    )
    trust = json.dumps(assumed.trust(gateway.environment.account, gateway.environment.task_role))
    names = [arn.rpartition("/")[2] for arn in (role, other)]
    for name in names:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(assumed.policy()))
    own = task.credentials
    sts = boto3.client(
        "sts",
        endpoint_url=task.sts,
        region_name=gateway.environment.region,
        aws_access_key_id=own.access_key,
        aws_secret_access_key=own.secret_key,
        aws_session_token=own.token,
    )
    try:
        with permitted(gateway, tmp_path, entries[0]), deployments(gateway, *entries):
            answer = asked(gateway, user, chat("by-role"))
            assert answer.json()["choices"][0]["message"]["content"].startswith(COMPLETION_PHRASE)
            assert [call.status for call in called(outside)] == [200]
            sts.assume_role(RoleArn=role, RoleSessionName="neighbour")
            with pytest.raises(ClientError, match=f"not authorized to perform: sts:AssumeRole on resource: {other}"):
                sts.assume_role(RoleArn=other, RoleSessionName="neighbour")
            beside = asked(gateway, user, chat("by-role-beside"))
            assert beside.status_code == 403
            assert beside.json()["error"]["message"].startswith("The gateway's role is not permitted this")
        with pytest.raises(ClientError, match=f"not authorized to perform: sts:AssumeRole on resource: {role}"):
            sts.assume_role(RoleArn=role, RoleSessionName="neighbour")
    finally:
        for name in names:
            iam.delete_role_policy(RoleName=name, PolicyName="own")
            iam.delete_role(RoleName=name)


# --- A guardrail ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guardrails(gateway: LocalGateway) -> Iterator[list[str]]:
    """The ids of two, which block addresses of mail."""
    cloudformation = gateway.client("cloudformation")
    resources: Json = {}
    for name in ("One", "Other"):
        properties = {
            "Name": f"own-{name.lower()}",
            "BlockedInputMessaging": BLOCKED,
            "BlockedOutputsMessaging": BLOCKED,
            "SensitiveInformationPolicyConfig": {"PiiEntitiesConfig": [{"Type": "EMAIL", "Action": "BLOCK"}]},
        }
        version = {"GuardrailIdentifier": {"Fn::GetAtt": [name, "GuardrailId"]}}
        resources[name] = {"Type": "AWS::Bedrock::Guardrail", "Properties": properties}
        resources[f"{name}Version"] = {"Type": "AWS::Bedrock::GuardrailVersion", "Properties": version}
    outputs = {name: {"Value": {"Fn::GetAtt": [name, "GuardrailId"]}} for name in ("One", "Other")}
    template = json.dumps({"Resources": resources, "Outputs": outputs})
    cloudformation.create_stack(StackName=GUARDRAIL, TemplateBody=template)

    def made() -> list[str]:
        (stack,) = cloudformation.describe_stacks(StackName=GUARDRAIL)["Stacks"]
        assert stack["StackStatus"] in ("CREATE_IN_PROGRESS", "CREATE_COMPLETE"), stack
        return sorted(output["OutputValue"] for output in stack.get("Outputs", ()))

    yield eventually(made)
    cloudformation.delete_stack(StackName=GUARDRAIL)


def named(guardrail: str) -> Json:
    return {"guardrailIdentifier": guardrail, "guardrailVersion": "1"}


@contextmanager
def with_entry(gateway: LocalGateway, folder: Path, name: str, model: str, **more: object) -> Iterator[None]:
    parameters = {"model": model, "aws_region_name": gateway.environment.region, **more}
    entry = {"model_name": name, "litellm_params": parameters, "model_info": {"mode": "chat"}}
    with permitted(gateway, folder, entry), deployments(gateway, entry):
        yield


def test_a_guardrail_that_an_entry_names_is_applied(
    gateway: LocalGateway, outside: OutsideWorld, guardrails: list[str], user: str, tmp_path: Path
) -> None:
    """To prompts and answers, with the role's permission on it; no request takes it off, or names another."""
    with with_entry(gateway, tmp_path, "guarded", NOVA, guardrailConfig=named(guardrails[0])):
        passed = asked(gateway, user, chat("guarded"))
        assert passed.json()["choices"][0]["message"]["content"].startswith(COMPLETION_PHRASE)
        for told in (MAIL, "Say backwards: moc.elpmaxe@orat"):
            (choice,) = asked(gateway, user, chat("guarded", told)).json()["choices"]
            assert (choice["message"]["content"], choice["finish_reason"]) == (BLOCKED, "content_filter")
        streamed = asked(gateway, user, chat("guarded", MAIL, stream=True)).text
        assert '"finish_reason":"content_filter"' in streamed
        assert COMPLETION_PHRASE[:10] not in streamed
        for other in (None, {}, named(guardrails[1])):
            outside.clear("calls")
            refused = asked(gateway, user, chat("guarded", MAIL, guardrailConfig=other))
            assert (refused.status_code, called(outside)) == (400, [])
            assert "guardrailConfig is not for a request to say" in refused.text


def test_where_litellm_leaves_an_entrys_guardrail_out_its_model_answers_nobody(
    gateway: LocalGateway, outside: OutsideWorld, guardrails: list[str], user: str, tmp_path: Path
) -> None:
    """Or the caller would choose the guardrail with the route."""
    key = gateway.user_key(user)
    with with_entry(gateway, tmp_path, "guarded-claude", CLAUDE, guardrailConfig=named(guardrails[0])):
        (choice,) = asked(gateway, user, chat("guarded-claude", MAIL)).json()["choices"]
        assert choice["message"]["content"] == BLOCKED
        answer = gateway.api("POST", "/v1/responses", key=key, json={"model": "guarded-claude", "input": MAIL})
        assert answer.json()["incomplete_details"] == {"reason": "content_filter"}
        assert BLOCKED in answer.text
        outside.clear("calls")
        contents = [{"role": "user", "parts": [{"text": MAIL}]}]
        for path, body in (
            ("/v1/messages", chat("guarded-claude", MAIL, max_tokens=100)),
            ("/v1beta/models/guarded-claude:generateContent", {"contents": contents}),
            ("/v1beta/models/guarded-claude:streamGenerateContent", {"contents": contents}),
        ):
            refused = gateway.api("POST", path, key=key, json=body)
            assert refused.status_code == 400, (path, refused.text)
            assert "This model is guarded in OpenAI's formats alone" in refused.text
        assert called(outside) == []


def test_a_guarded_model_steps_in_for_another_only_where_it_is_guarded(
    gateway: LocalGateway, outside: OutsideWorld, guardrails: list[str], user: str, tmp_path: Path
) -> None:
    """Also where the caller names it as the fallback."""
    key, more = gateway.user_key(user), {"fallbacks": ["guarded-second"]}
    contents = {"contents": [{"role": "user", "parts": [{"text": MAIL}]}]}
    with with_entry(gateway, tmp_path, "guarded-second", CLAUDE, guardrailConfig=named(guardrails[0])):
        asked(gateway, user, chat("guarded-second"))
        outside.set_fault("*.openai.azure.com", Fault(status=503))
        outside.clear("calls")
        for path, body in (
            ("/v1/messages", chat("gpt-6-luna", MAIL, max_tokens=100)),
            ("/v1/messages", chat("gpt-6-luna", MAIL, max_tokens=100, stream=True)),
            ("/v1beta/models/gpt-6-luna:generateContent", contents),
            ("/v1beta/models/gpt-6-luna:streamGenerateContent", contents),
        ):
            failed = gateway.api("POST", path, key=key, json={**body, **more})
            assert failed.status_code == 503, (path, failed.text)
            assert COMPLETION_PHRASE not in failed.text
        assert {call.host.partition(".")[2] for call in called(outside)} == {"openai.azure.com"}
        (choice,) = asked(gateway, user, chat("gpt-6-luna", MAIL, **more)).json()["choices"]
        assert choice["message"]["content"] == BLOCKED


def test_a_call_names_a_guardrail_that_the_role_is_permitted(
    gateway: LocalGateway, guardrails: list[str], user: str, tmp_path: Path
) -> None:
    """Where no entry names one: of a guardrail that LiteLLM asks, as `guardrails` of config.yaml has them."""
    own = {
        "guardrail_name": "own",
        "litellm_params": {"guardrail": "bedrock", "mode": "pre_call", **named(guardrails[0])}
        | {"aws_region_name": gateway.environment.region},
    }
    with permitted(gateway, tmp_path, guardrails=[own]), with_entry(gateway, tmp_path / "entry", "unguarded", NOVA):
        passed = asked(gateway, user, chat("unguarded", MAIL))
        assert passed.json()["choices"][0]["message"]["content"].startswith(COMPLETION_PHRASE)
        (choice,) = asked(gateway, user, chat("unguarded", MAIL, guardrailConfig=named(guardrails[0]))).json()[
            "choices"
        ]
        assert (choice["message"]["content"], choice["finish_reason"]) == (BLOCKED, "content_filter")
        refused = asked(gateway, user, chat("unguarded", MAIL, guardrailConfig=named(guardrails[1])))
        assert refused.status_code == 403
        assert refused.json()["error"]["message"].startswith("The gateway's role is not permitted this")
        gone = asked(
            gateway, user, chat("unguarded", MAIL, guardrailConfig=named(guardrails[0]) | {"guardrailVersion": "2"})
        )
        assert gone.status_code == 400
        assert "The guardrail identifier or version provided in the request does not exist." in gone.text
