"""ops/changes.py, ops/diff.py and ops/permissions.py: what a deployment changes, and what of it needs approval.

The templates are the recorded ones of dev, each with a change that people make.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from ops import changes, diff
from ops.access import Access, OpsError
from ops.changes import GITHUB_MAXIMUM, Changes, between, of_deployment
from stacks.company import environments
from tests.unit.ops.assemblies import Deployed, Templates, logical_id, recorded, rename, resource, write

Change = Callable[[Templates], object]
HASHES = ("a" * 64, "b" * 64)
UNCHANGED = recorded()


def difference(tmp_path: Path, change: Change, before: Change = lambda _: None) -> Changes:
    """What `change` makes of the recorded templates (once `before` has been made of them)."""
    old, new = recorded(), recorded()
    before(old)
    before(new)
    change(new)
    return between(write(tmp_path / "old", {"dev": old}), write(tmp_path / "new", {"dev": new}), "dev")


def replaced(stack: str, old: str, new: str) -> Change:
    def change(it: Templates) -> None:
        assert old in json.dumps(it[stack])
        it[stack] = json.loads(json.dumps(it[stack]).replace(old, new))

    return change


def set_(stack: str, kind: str, begin: str = "", **properties: Any) -> Change:  # noqa: ANN401
    return lambda it: resource(it[stack], kind, begin)["Properties"].update(properties)


def test_nothing(tmp_path: Path) -> None:
    found = difference(tmp_path, lambda _: None)
    assert found.empty
    assert found.approvals == ()
    assert found.text() == (
        f"dev: nothing changes in {len(UNCHANGED)} stacks, compared with the release before\n\n"
        "Nothing here needs approval."
    )


# --- What is told ---------------------------------------------------------------------------------------------------


def test_what_it_costs_a_month(tmp_path: Path) -> None:
    found = difference(
        tmp_path, set_("Database", "AWS::RDS::DBCluster", ServerlessV2ScalingConfiguration={"MinCapacity": 2})
    )
    assert "At rest it will cost 291 USD a month, 202 more than now (make cost has the parts, and their" in found.text()
    assert "202 more than now" in found.markdown()
    less = difference(tmp_path / "less", lambda it: it["Observability"]["Resources"].clear())
    assert re.search(r"USD a month, \d+ less than now", less.text())
    assert difference(tmp_path / "tag", set_("Network", "AWS::EC2::VPC", EnableDnsHostnames=False)).cost is None


def test_only_the_image(tmp_path: Path) -> None:
    image = resource(UNCHANGED["Gateway"], "AWS::ECS::TaskDefinition")["Properties"]["ContainerDefinitions"][0]["Image"]
    (digest,) = re.findall(r"[0-9a-f]{64}", json.dumps(image))
    found = difference(tmp_path, replaced("Gateway", digest, HASHES[1]))
    migration, task = (
        logical_id(UNCHANGED["Gateway"], "AWS::ECS::TaskDefinition", name) for name in ("Migration", "Task")
    )
    assert f"  revise   AWS::ECS::TaskDefinition {migration}: image changed\n" in found.text()
    assert f"  revise   AWS::ECS::TaskDefinition {task}: image changed\n" in found.text()
    assert "Gateway: 2 revised" in found.text()
    assert found.approvals == ()


def test_an_image_by_its_digest_instead_of_a_tag(tmp_path: Path) -> None:
    def change(it: Templates) -> None:
        for container in resource(it["Gateway"], "AWS::ECS::TaskDefinition", "Task")["Properties"][
            "ContainerDefinitions"
        ]:
            container["Image"] = f"444444444444.dkr.ecr.ap-northeast-1.amazonaws.com/litellm-gateway@sha256:{HASHES[1]}"

    text = difference(tmp_path, change).text()
    assert "image changed: " in text
    assert f"→ 444444444444.dkr.ecr.ap-northeast-1.amazonaws.com/litellm-gateway@sha256:{HASHES[1][:12]}" in text


def test_only_the_code_of_functions(tmp_path: Path) -> None:
    found = difference(tmp_path, replaced("Usage", HASHES[0], HASHES[1]), before=replaced("Usage", "ASSET", HASHES[0]))
    function = logical_id(UNCHANGED["Usage"], "AWS::Lambda::Function", "Report")
    assert f"  update   AWS::Lambda::Function {function}: code of the function changed\n" in found.text()
    assert HASHES[1] not in found.text()
    assert found.approvals == ()


def test_only_a_tag(tmp_path: Path) -> None:
    found = difference(tmp_path, replaced("Email", '"litellm-gateway"', '"other"'))
    assert "Tags[service].Value: litellm-gateway → other" in found.text()
    assert found.approvals == ()


def test_values_by_their_places(tmp_path: Path) -> None:
    def change(it: Templates) -> None:
        definition = resource(it["Gateway"], "AWS::ECS::TaskDefinition", "Task")["Properties"]
        definition["Cpu"] = "4096"
        definition["ContainerDefinitions"][0]["Environment"].append({"Name": "NEW", "Value": "x"})
        resource(it["Database"], "AWS::RDS::DBCluster")["Properties"]["EngineVersion"] = "17.9"

    text = difference(tmp_path, change).text()
    name = resource(UNCHANGED["Gateway"], "AWS::ECS::TaskDefinition", "Task")["Properties"]["ContainerDefinitions"][0][
        "Name"
    ]
    assert "Cpu: 1024 → 4096" in text
    assert f'ContainerDefinitions[{name}].Environment[NEW]: none → {{"Name": "NEW", "Value": "x"}}' in text
    assert "Database: 1 updated" in text
    assert "EngineVersion: 17.7 → 17.9" in text


def test_what_the_cdk_writes_for_itself_is_no_change(tmp_path: Path) -> None:
    def change(it: Templates) -> None:
        network = it["Network"]
        network["Resources"]["CDKMetadata"] = {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": "v2"}}
        network["Parameters"]["BootstrapVersion"]["Default"] = "/cdk-bootstrap/other/version"
        network["Rules"]["CheckBootstrapVersion"]["Assertions"] = []
        vpc = resource(network, "AWS::EC2::VPC")
        vpc["Metadata"] = {"aws:cdk:path": "dev/Network/Other", "aws:asset:path": "asset.1"}

    assert difference(tmp_path, change).empty


def test_a_custom_resource_whose_type_nobody_knows(tmp_path: Path) -> None:
    change = set_("Gateway", "Custom::DatabaseMigration", Version="1.200.0")
    assert "Custom::DatabaseMigration Migration" in difference(tmp_path, change).text()


def test_the_full_text_is_that_of_cdk_diff(tmp_path: Path) -> None:
    key = logical_id(UNCHANGED["Database"], "AWS::KMS::Key")

    def paths(it: Templates) -> None:
        it["Database"]["Resources"][key]["Metadata"] = {"aws:cdk:path": "dev/Database/Key/Resource"}

    found = difference(tmp_path, set_("Database", "AWS::KMS::Key", Description="Another"), before=paths)
    assert f"[~] AWS::KMS::Key Database/Key {key}" in found.text(full=True)
    assert "[+] Another" in found.text(full=True)
    assert "\x1b" not in found.text(full=True)


def test_a_stack_that_is_no_more(tmp_path: Path) -> None:
    found = difference(tmp_path, lambda it: it.pop("Observability"))
    assert found.left == ("litellm-dev-observability",)
    assert "Deployed, but not in this release: litellm-dev-observability. A deployment leaves them" in found.text()
    assert found.approvals == ()


# --- What needs approval: data --------------------------------------------------------------------------------------


def test_a_database_under_another_identifier(tmp_path: Path) -> None:
    found = difference(tmp_path, set_("Database", "AWS::RDS::DBCluster", DBClusterIdentifier="litellm-2"))
    cluster = logical_id(UNCHANGED["Database"], "AWS::RDS::DBCluster")
    assert found.approvals[0] == (
        f"Database: AWS::RDS::DBCluster {cluster} is replaced by a new one, because DBClusterIdentifier changes: the "
        "old one is deleted, after a last snapshot. It holds all that LiteLLM knows: users, teams, keys, budgets and "
        "spend."
    )
    assert found.approvals[1].startswith("Database: AWS::RDS::DBInstance ")  # follows the cluster
    assert "DBClusterIdentifier: litellm-dev → litellm-2 (replaces it)" in found.text()
    assert "DBClusterIdentifier: what it refers to is replaced" in found.text()


def test_a_construct_under_another_id(tmp_path: Path) -> None:
    cluster = logical_id(UNCHANGED["Database"], "AWS::RDS::DBCluster")
    found = difference(tmp_path, lambda it: it.update(Database=rename(it["Database"], cluster, "Aurora12345678")))
    assert (
        f"AWS::RDS::DBCluster {cluster} is deleted, after a last snapshot, and a new one is made: Aurora12345678"
        in (found.approvals[0])
    )


def test_a_key_that_is_removed(tmp_path: Path) -> None:
    key = logical_id(UNCHANGED["Database"], "AWS::KMS::Key")

    def change(it: Templates) -> None:
        del it["Database"]["Resources"][key]
        del resource(it["Database"], "AWS::RDS::DBCluster")["Properties"]["KmsKeyId"]
        del resource(it["Database"], "AWS::RDS::DBInstance")["Properties"]["PerformanceInsightsKMSKeyId"]

    approvals = "\n".join(difference(tmp_path, change).approvals)
    assert "is replaced by a new one, because KmsKeyId changes" in approvals
    assert "because DBClusterIdentifier and PerformanceInsightsKMSKeyId change:" in approvals
    assert f"AWS::KMS::Key {key} is orphaned: it stays in the account, but in no stack." in approvals


def test_logs_that_are_kept_for_less_time(tmp_path: Path) -> None:
    found = difference(tmp_path, set_("Gateway", "AWS::Logs::LogGroup", "Logs", RetentionInDays=7))
    (approval,) = found.approvals
    assert "loses protection: RetentionInDays 14 becomes 7. It holds logs that are nowhere else." in approval


def test_termination_protection(tmp_path: Path) -> None:
    old = write(tmp_path / "old", {"dev": recorded()}, protected=("Database",))
    new = write(tmp_path / "new", {"dev": recorded()})
    found = between(old, new, "dev")
    assert not found.empty
    assert "Database: termination protection off" in found.text()
    assert found.approvals[0].startswith("Database: the stack loses its termination protection")
    assert between(new, old, "dev").approvals == ()


# --- What needs approval: permissions -------------------------------------------------------------------------------


def statement(**changes: Any) -> Change:  # noqa: ANN401
    """Change the first statement of the gateway's task role: what models it may call."""

    def change(it: Templates) -> None:
        policy = resource(it["Gateway"], "AWS::IAM::Policy", "TaskTaskRole")["Properties"]["PolicyDocument"]
        policy["Statement"][0].update(changes)

    return change


MODELS = resource(UNCHANGED["Gateway"], "AWS::IAM::Policy", "TaskTaskRole")["Properties"]["PolicyDocument"][
    "Statement"
][0]


def test_a_statement_more(tmp_path: Path) -> None:
    def change(it: Templates) -> None:
        policy = resource(it["Gateway"], "AWS::IAM::Policy", "TaskTaskRole")["Properties"]["PolicyDocument"]
        policy["Statement"].append({"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"})

    (approval,) = difference(tmp_path, change).approvals
    role = logical_id(UNCHANGED["Gateway"], "AWS::IAM::Role", "TaskTaskRole")
    assert approval == f"Gateway: {role} may now s3:GetObject and s3:PutObject on *."


def test_a_model_more(tmp_path: Path) -> None:
    """Only what is new is told, though the whole statement is another one."""
    new = "arn:aws:bedrock:us-east-1::foundation-model/new"
    (approval,) = difference(tmp_path, statement(Resource=[*MODELS["Resource"], new])).approvals
    assert approval.endswith(f" may now bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream on {new}.")


def test_a_model_less_broadens_nothing(tmp_path: Path) -> None:
    assert difference(tmp_path, statement(Resource=MODELS["Resource"][1:])).approvals == ()


def test_an_action_instead_of_all_broadens_nothing(tmp_path: Path) -> None:
    found = difference(tmp_path, statement(Action="bedrock:InvokeModel"), before=statement(Action="bedrock:*"))
    assert not found.empty
    assert found.approvals == ()


def test_without_a_condition(tmp_path: Path) -> None:
    condition = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}

    def remove(it: Templates) -> None:
        policy = resource(it["Gateway"], "AWS::IAM::Policy", "TaskTaskRole")["Properties"]["PolicyDocument"]
        del policy["Statement"][0]["Condition"]

    assert len(difference(tmp_path / "1", remove, before=statement(Condition=condition)).approvals) == 1
    (approval,) = difference(tmp_path / "2", statement(Condition=condition)).approvals
    assert approval.endswith(" under a condition.")


def test_a_denial_less(tmp_path: Path) -> None:
    def remove(it: Templates) -> None:
        policy = resource(it["Gateway"], "AWS::S3::BucketPolicy")["Properties"]["PolicyDocument"]
        policy["Statement"] = [one for one in policy["Statement"] if one["Effect"] != "Deny"]

    (approval,) = difference(tmp_path, remove).approvals
    bucket = logical_id(UNCHANGED["Gateway"], "AWS::S3::Bucket")
    assert approval == f"Gateway: everyone is no longer denied s3:* on {bucket} and {bucket}/*, where a condition held."


def test_who_may_take_a_role(tmp_path: Path) -> None:
    role = logical_id(UNCHANGED["Gateway"], "AWS::IAM::Role", "TaskTaskRole")

    def change(it: Templates) -> None:
        trust = it["Gateway"]["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        trust.append({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}})

    assert difference(tmp_path, change).approvals == (f"Gateway: everyone may now sts:AssumeRole on {role}.",)


def test_a_managed_policy(tmp_path: Path) -> None:
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    role = logical_id(UNCHANGED["Gateway"], "AWS::IAM::Role", "TaskTaskRole")
    found = difference(tmp_path, set_("Gateway", "AWS::IAM::Role", "TaskTaskRole", ManagedPolicyArns=[admin]))
    assert found.approvals == (f"Gateway: {role} gets the managed policy {admin}.",)


def test_who_may_invoke_a_function_and_pull_images(tmp_path: Path) -> None:
    def change(it: Templates) -> None:
        it["Usage"]["Resources"]["Permission"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Fn::GetAtt": [logical_id(it["Usage"], "AWS::Lambda::Function"), "Arn"]},
                "Principal": "999999999999",
            },
        }
        it["Usage"]["Resources"]["Images"] = {
            "Type": "AWS::ECR::Repository",
            "Properties": {
                "RepositoryPolicyText": {
                    "Statement": [{"Effect": "Allow", "Action": "ecr:BatchGetImage", "Principal": "*"}]
                }
            },
        }

    approvals = "\n".join(difference(tmp_path, change).approvals)
    assert "arn:aws:iam::999999999999:root may now lambda:InvokeFunction on " in approvals
    assert "everyone may now ecr:BatchGetImage on Images." in approvals


def ingress(*cidrs: str) -> Change:
    def change(it: Templates) -> None:
        rules = resource(it["Network"], "AWS::EC2::SecurityGroup", "LoadBalancer")["Properties"]["SecurityGroupIngress"]
        (first, *_) = [rule for rule in rules if rule["FromPort"] == 443 and isinstance(rule["CidrIp"], str)]
        rules.remove(first)
        rules[:0] = [first | {"CidrIp": cidr} for cidr in cidrs]

    return change


def test_ingress_from_more(tmp_path: Path) -> None:
    group = logical_id(UNCHANGED["Network"], "AWS::EC2::SecurityGroup", "LoadBalancer")
    (approval,) = difference(tmp_path, ingress("0.0.0.0/0")).approvals
    assert approval == f"Network: the security group {group} lets in TCP 443 from 0.0.0.0/0."


def test_ingress_from_fewer_broadens_nothing(tmp_path: Path) -> None:
    found = difference(tmp_path, ingress("203.0.113.0/25"))
    assert not found.empty
    assert found.approvals == ()


def test_the_web_acl(tmp_path: Path) -> None:
    def change(it: Templates) -> None:
        properties = resource(it["Gateway"], "AWS::WAFv2::WebACL")["Properties"]
        rules = {rule["Name"]: rule for rule in properties["Rules"]}
        rules["ManagementRoutes"]["Action"] = {"Count": {}}
        rules["ClosedRoutes"]["Priority"] = 99  # opens nothing
        rules["Friends"] = {"Name": "Friends", "Action": {"Allow": {}}, "Priority": 50}
        del rules["RatePerAddress"]
        properties["Rules"] = list(rules.values())
        resource(it["Gateway"], "AWS::WAFv2::IPSet")["Properties"]["Addresses"] = ["198.51.100.0/24"]
        del resource(it["Gateway"], "AWS::WAFv2::RegexPatternSet")["Properties"]["RegularExpressionList"][0]

    acl, ranges, patterns = (
        f"Gateway: AWS::WAFv2::{kind} {logical_id(UNCHANGED['Gateway'], f'AWS::WAFv2::{kind}')}"
        for kind in ("WebACL", "IPSet", "RegexPatternSet")
    )
    found = difference(tmp_path, change).approvals
    assert f"{acl} has another rule ManagementRoutes (Action)." in found
    assert f"{acl} loses its rule RatePerAddress." in found
    assert f"{acl} gets a rule that lets in, Friends." in found
    assert f"{ranges}, which rules of the web ACL go by, gets 198.51.100.0/24 and loses 203.0.113.0/24." in found
    assert any(sentence.startswith(f"{patterns}, which rules of the web ACL go by, loses ") for sentence in found)
    assert len(found) == 5


def test_no_web_acl_any_more(tmp_path: Path) -> None:
    def change(it: Templates) -> None:
        for kind in ("WebACLAssociation", "WebACL"):
            del it["Gateway"]["Resources"][logical_id(it["Gateway"], f"AWS::WAFv2::{kind}")]

    approvals = "\n".join(difference(tmp_path, change).approvals)
    assert "is removed, with all its rules." in approvals
    assert "is removed, and with it the web ACL in front of what it protected." in approvals


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            set_("Gateway", "AWS::ECS::Service", EnableExecuteCommand=True),
            "lets operators open shells in its containers",
        ),
        (set_("Network", "AWS::EC2::Subnet", "VpcPrivate", MapPublicIpOnLaunch=True), "gives public addresses"),
        (
            set_("Gateway", "AWS::S3::Bucket", PublicAccessBlockConfiguration={"BlockPublicAcls": True}),
            "could be made public, without BlockPublicPolicy",
        ),
    ],
)
def test_what_opens_a_resource(tmp_path: Path, change: Change, says: str) -> None:
    assert says in "\n".join(difference(tmp_path, change).approvals)


def test_an_internal_load_balancer_that_becomes_public(tmp_path: Path) -> None:
    kind = "AWS::ElasticLoadBalancingV2::LoadBalancer"
    internal, public = (set_("Gateway", kind, Scheme=scheme) for scheme in ("internal", "internet-facing"))
    (approval,) = difference(tmp_path / "1", public, before=internal).approvals
    assert approval.endswith(" can be reached from the internet.")
    assert difference(tmp_path / "2", internal).approvals == ()


def test_a_new_stack_is_one_sentence(tmp_path: Path) -> None:
    found = difference(tmp_path, lambda it: it.update(Copy=it["Usage"]))
    (approval,) = found.approvals
    assert re.fullmatch(r"Copy: the stack is new, and with it \d+ IAM statements\.", approval)
    assert re.search(r"\nCopy: new, \d+ resources\n  create   ", found.text())


def test_a_new_stack_without_permissions_needs_none(tmp_path: Path) -> None:
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    assert difference(tmp_path, lambda it: it.update(Copy=topic)).approvals == ()


def test_a_whole_new_environment_is_one_sentence(tmp_path: Path) -> None:
    old = write(tmp_path / "old", {"stg": recorded("stg")})
    found = between(old, write(tmp_path / "new", {"dev": recorded()}), "dev")
    (approval,) = found.approvals
    assert re.fullmatch(
        r"This is the first deployment of dev: \d+ IAM statements and \d+ rules of security groups are new, "
        r"for there is nothing to compare with\.",
        approval,
    )


def test_many_broadenings_of_a_stack_are_counted(tmp_path: Path) -> None:
    policies = [f"arn:aws:iam::aws:policy/Policy{number}" for number in range(12)]
    found = difference(tmp_path, set_("Gateway", "AWS::IAM::Role", "TaskTaskRole", ManagedPolicyArns=policies))
    assert len(found.approvals) == 11
    assert found.approvals[-1] == "Gateway: 2 more permissions broaden; see the full text."


# --- Markdown -------------------------------------------------------------------------------------------------------


def test_markdown(tmp_path: Path) -> None:
    def change(it: Templates) -> None:
        set_("Gateway", "AWS::Logs::LogGroup", "Logs", RetentionInDays=7)(it)
        resource(it["Email"], "AWS::SNS::Topic")["Properties"]["DisplayName"] = "```@everyone"
        resource(it["Gateway"], "AWS::WAFv2::RegexPatternSet")["Properties"]["RegularExpressionList"] = ["^/a_b*$"]

    text = difference(tmp_path, change).markdown()
    assert text.startswith(f"### dev: 2 of {len(UNCHANGED)} stacks change, compared with the release before\n\n")
    assert "**Needs approval**\n\n- Gateway: AWS::Logs::LogGroup " in text
    assert r"gets ^/a\_b\*\$" in text  # as text, not as markdown
    assert "<details><summary>Gateway, in full</summary>\n\n```text\n" in text
    assert "````text\n" in text  # a fence that what is in it does not close
    assert text.count("<details>") == text.count("</details>") == 2


def test_nobody_is_notified_by_a_comment(tmp_path: Path) -> None:
    patterns = ["@example/everyone"]
    found = difference(tmp_path, set_("Gateway", "AWS::WAFv2::RegexPatternSet", RegularExpressionList=patterns))
    sentences, *_ = found.markdown().split("```")
    assert "@example" not in sentences


def test_a_comment_is_never_too_long(tmp_path: Path) -> None:
    found = between(
        write(tmp_path / "old", {"stg": recorded("stg")}), write(tmp_path / "new", {"dev": recorded()}), "dev"
    )
    assert sum(len(stack.text) for stack in found.stacks) > GITHUB_MAXIMUM
    text = found.markdown()
    assert len(text) <= GITHUB_MAXIMUM
    assert text.endswith("The rest is too long for here: `make diff ENV=dev ARGS=--full` prints it.")
    assert "**Needs approval**" in text
    assert text.count("<details>") == text.count("</details>")
    assert len(found.markdown(2_000)) <= 2_000


# --- Compared with what is deployed ---------------------------------------------------------------------------------

DEV = environments()["dev"]


def access(deployed: Deployed) -> Access:
    return Access(DEV, cast("boto3.Session", deployed))


def test_compared_with_what_is_deployed(tmp_path: Path) -> None:
    deployed = Deployed().deploy(write(tmp_path / "old", {"dev": recorded()}, protected=("Database",)))
    deployed.templates["litellm-dev-old"] = deployed.templates["litellm-stg-old"] = {"Resources": {}}
    new = recorded()
    set_("Gateway", "AWS::Logs::LogGroup", "Logs", RetentionInDays=7)(new)
    found = of_deployment(access(deployed), write(tmp_path / "new", {"dev": new}))
    assert [stack.stack for stack in found.stacks] == ["Database", "Gateway"]
    assert "termination protection" in found.approvals[0]
    assert "RetentionInDays 14 becomes 7" in found.approvals[1]
    assert found.left == ("litellm-dev-old",)
    assert "compared with what is deployed in account 111111111111, ap-northeast-1" in found.text()


def test_what_cloudformation_gives_back_for_other_letters_is_no_change(tmp_path: Path) -> None:
    release = recorded()
    resource(release["Email"], "AWS::SNS::Topic")["Properties"]["DisplayName"] = "LLM ゲートウェイ é"
    assembly = write(tmp_path / "out", {"dev": release})
    assert of_deployment(access(Deployed().deploy(assembly)), assembly).empty


def test_nothing_is_deployed(tmp_path: Path) -> None:
    deployed = Deployed()
    deployed.templates["litellm-dev-network"] = recorded()["Network"]
    deployed.states["litellm-dev-network"] = "ROLLBACK_COMPLETE"  # its first deployment failed
    found = of_deployment(access(deployed), write(tmp_path / "out", {"dev": recorded()}))
    assert all(stack.new_stack for stack in found.stacks)
    assert len(found.approvals) == 1


def test_a_stack_that_the_cdk_did_not_deploy(tmp_path: Path) -> None:
    assembly = write(tmp_path / "out", {"dev": recorded()})
    deployed = Deployed().deploy(assembly)
    deployed.templates["litellm-dev-email"] = "Resources:\n  Topic: {Type: AWS::SNS::Topic}\n"
    with pytest.raises(OpsError, match="the deployed template of litellm-dev-email is no JSON"):
        of_deployment(access(deployed), assembly)


# --- The command ----------------------------------------------------------------------------------------------------


def command(*arguments: object, deployed: Deployed | None = None) -> int:
    return changes.main([str(argument) for argument in arguments], session=cast("boto3.Session", deployed))


def test_the_command_says_by_its_exit_code_whether_approval_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assembly = write(tmp_path / "old", {"dev": recorded()})
    deployed = Deployed().deploy(assembly)
    assert command("--env", "dev", "--app", assembly.folder, deployed=deployed) == 0
    assert capsys.readouterr().out.endswith("\nNothing here needs approval.\n")
    new = recorded()
    set_("Gateway", "AWS::Logs::LogGroup", "Logs", RetentionInDays=7)(new)
    write(tmp_path / "new", {"dev": new})
    assert command("--env", "dev", "--app", tmp_path / "new", "--full", deployed=deployed) == 1
    said = capsys.readouterr().out
    assert "[-] 14" in said
    assert "\nNeeds approval:\n  - Gateway: AWS::Logs::LogGroup " in said


def test_the_command_compares_all_environments_of_two_assemblies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"Network": {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}}
    old = write(tmp_path / "old", {"dev": small, "stg": small})
    new = write(tmp_path / "new", {"dev": small, "stg": small, "prod": small})
    assert command("--from", old.folder, "--to", new.folder, "--format", "markdown") == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.startswith("###")] == [
        "### dev: nothing changes in 1 stacks, compared with the release before",
        "### stg: nothing changes in 1 stacks, compared with the release before",
    ]
    assert command("--from", old.folder, "--to", new.folder, "--env", "prod") == 1
    assert "This is the first deployment of prod" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--env", "nope"], "there is no environment nope: company/environments.py has "),
        ([], "--env names the one environment to compare with, or --from and --to two assemblies."),
        (["--env", "dev", "stg"], "--env names the one environment to compare with, or --from and --to"),
        (["--from", "."], "--from and --to go together: give both folders, or neither."),
        (["--env", "dev", "--app", "."], "is not a synthesized assembly: run make synth"),
    ],
)
def test_mistakes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*arguments, deployed=Deployed()) == 2
    said = capsys.readouterr().err
    assert said.startswith("diff: ")
    assert sentence in said
    assert said.count("\n") == 1


def test_the_wrong_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "out", {"dev": recorded()})
    assert command("--env", "dev", "--app", tmp_path / "out", deployed=Deployed("999999999999")) == 2
    assert "these AWS credentials are of account 999999999999, but dev is in 111111111111" in capsys.readouterr().err


def test_a_comparison_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "diff.mjs"
    program.write_text("throw new TypeError('x is not a template')")
    monkeypatch.setattr(diff, "PROGRAM", program)
    with pytest.raises(OpsError) as error:
        diff.differences([])
    assert str(error.value) == "ops/diff.mjs could not compare the templates: TypeError: x is not a template."


def test_nothing_to_compare_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff, "CHECKOUT", tmp_path)
    with pytest.raises(OpsError, match="what compares templates is not installed: run make setup"):
        diff.differences([])
