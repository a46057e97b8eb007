"""What must hold of any environment, whatever its settings: small functions over its templates.

`INVARIANTS` has all of them by name. Each yields a sentence for what breaks it: the stack, the resource, what is wrong.
Its docstring is the rule and where the rule is from. `test_invariants.py` asks them of the company in force,
`tests/others/test_companies.py` of the other example companies, `tests/templates/test_search.py` of settings that
Hypothesis draws, and `tests/templates/test_invariants.py` sees each of them fail.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any, Final

from ops.assembly import Template
from stacks.company import LOCAL, Company
from stacks.litellm_config import SECRET_SUFFIXES, LiteLlmConfig
from stacks.litellm_config.bedrock import BEDROCK_ACTIONS, GUARDRAIL_ACTION
from stacks.litellm_config.made import GUARDRAIL_ID
from stacks.settings import (
    FARGATE_MEMORY,
    MOST_TAGS,
    RETENTION_DAYS,
    SECURITY_GROUP_RULES,
    SUBNET_PREFIXES,
    Environment,
    Releases,
)
from tests.company.order import at_once


@dataclass(frozen=True)
class Deployed:
    """One environment as it would be deployed: its settings, its models, its templates by stack.

    `others` are the company's other environments by name, and `local` the templates of the local run, if they are
    there to compare with.
    """

    environment: Environment
    config: LiteLlmConfig
    templates: Mapping[str, Template]
    others: Mapping[str, Environment] = field(default_factory=dict)
    releases: Releases | None = None
    local: Mapping[str, Template] = field(default_factory=dict)

    def all(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Every resource: its stack, its logical id, and itself."""
        for stack, template in self.templates.items():
            for logical_id, resource in template["Resources"].items():
                yield stack, logical_id, resource

    def of(self, *kinds: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The resources of these types: `Stack: LogicalId`, and their properties."""
        for stack, logical_id, resource in self.all():
            if resource["Type"] in kinds:
                yield f"{stack}: {logical_id}", resource.get("Properties", {})


def of_company(own: Company, templates: Mapping[str, Mapping[str, Template]]) -> list[Deployed]:
    """Every environment of a company, the local one included, with its templates by environment and stack."""
    return [
        Deployed(
            environment=environment,
            config=environment.litellm_config(own.config),
            templates=templates[name],
            others={other: each for other, each in own.all.items() if other != name},
            releases=own.releases,
            local=templates[LOCAL],
        )
        for name, environment in own.all.items()
    ]


Invariant = Callable[[Deployed], Iterator[str]]
INVARIANTS: Final[dict[str, Invariant]] = {}


def invariant(function: Invariant) -> Invariant:
    """Register a rule under its name."""
    INVARIANTS[function.__name__] = function
    return function


def broken(deployed: Deployed) -> list[str]:
    """What breaks any of the rules."""
    return [f"{name}: {sentence}" for name, rule in INVARIANTS.items() for sentence in rule(deployed)]


# --- What is stored and what is sent ---------------------------------------------------------------------------------


@invariant
def storage_is_encrypted(deployed: Deployed) -> Iterator[str]:
    """Databases with a key of their own, buckets and queues at rest; every key rotates. AWS Foundational Security Best
    Practices RDS.27, S3.17, SQS.1, KMS.4, ElastiCache.4. (DynamoDB and log groups cannot be but encrypted.)
    """
    wanted: dict[str, Callable[[dict[str, Any]], Any]] = {
        "AWS::RDS::DBCluster": lambda it: it.get("StorageEncrypted") is True and it.get("KmsKeyId"),
        "AWS::RDS::DBInstance": lambda it: it.get("PerformanceInsightsKMSKeyId"),
        "AWS::S3::Bucket": lambda it: it.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration"),
        "AWS::SQS::Queue": lambda it: it.get("SqsManagedSseEnabled") is True or it.get("KmsMasterKeyId"),
        "AWS::KMS::Key": lambda it: it.get("EnableKeyRotation") is True,
        "AWS::ElastiCache::ReplicationGroup": lambda it: it.get("AtRestEncryptionEnabled") is True,
    }
    for kind, holds in wanted.items():
        for where, it in deployed.of(kind):
            if not holds(it):
                yield f"{where} is not encrypted as it should be, or its key never changes"


@invariant
def topics_of_personal_data_are_encrypted(deployed: Deployed) -> Iterator[str]:
    """SES's events hold addresses and subjects, so that their topic has a key (the Email stack's docstring)."""
    for stack, template in deployed.templates.items():
        for logical_id, resource in template["Resources"].items():
            if resource["Type"] == "AWS::SES::ConfigurationSetEventDestination":
                topic = resource["Properties"]["EventDestination"]["SnsDestination"]["TopicARN"]["Ref"]
                if not template["Resources"][topic]["Properties"].get("KmsMasterKeyId"):
                    yield f"{stack}: {logical_id} tells {topic}, which is not encrypted"


@invariant
def nothing_answers_without_tls(deployed: Deployed) -> Iterator[str]:
    """Buckets, queues and topics refuse plain HTTP; listeners, the API, mails and the database want TLS 1.2 or later.
    FSBP S3.5, SQS, SNS, ELB.1, ELB.17; PostgreSQL's rds.force_ssl.
    """
    yield from _without_tls_policy(deployed, "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "Bucket")
    yield from _without_tls_policy(deployed, "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues")
    yield from _without_tls_policy(deployed, "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics")
    for where, it in deployed.of("AWS::ElasticLoadBalancingV2::Listener"):
        kinds = {action["Type"] for action in it["DefaultActions"]}
        if it["Protocol"] == "HTTP" and kinds != {"redirect"}:
            yield f"{where} answers over plain HTTP"
        if it["Protocol"] == "HTTPS" and not str(it.get("SslPolicy", "")).startswith("ELBSecurityPolicy-TLS13-1-2-"):
            yield f"{where} takes less than TLS 1.2 with forward secrecy"
    for where, it in deployed.of("AWS::ApiGatewayV2::DomainName"):
        if any(each.get("SecurityPolicy") != "TLS_1_2" for each in it["DomainNameConfigurations"]):
            yield f"{where} takes less than TLS 1.2"
    for where, it in deployed.of("AWS::SES::ConfigurationSet"):
        if it.get("DeliveryOptions", {}).get("TlsPolicy") != "REQUIRE":
            yield f"{where} delivers mails without TLS"
    for where, it in deployed.of("AWS::RDS::DBClusterParameterGroup"):
        if it.get("Parameters", {}).get("rds.force_ssl") != "1":
            yield f"{where} lets the database answer without TLS"


@invariant
def the_cache_takes_tls_alone(deployed: Deployed) -> Iterator[str]:
    """FSBP ElastiCache.5; "preferred" would take both ("In-transit encryption" of ElastiCache's user guide)."""
    for where, it in deployed.of("AWS::ElastiCache::ReplicationGroup"):
        if it.get("TransitEncryptionEnabled") is not True or it.get("TransitEncryptionMode") != "required":
            yield f"{where} lets the cache answer without TLS"


def _without_tls_policy(deployed: Deployed, kind: str, policy: str, target: str) -> Iterator[str]:
    for stack, template in deployed.templates.items():
        found = template["Resources"]
        covered = [
            json.dumps(each["Properties"][target])
            for each in found.values()
            if each["Type"] == policy and any(map(_denies_http, each["Properties"]["PolicyDocument"]["Statement"]))
        ]
        for logical_id, resource in found.items():
            if resource["Type"] == kind and not any(f'"{logical_id}"' in each for each in covered):
                yield f"{stack}: {logical_id} takes requests without TLS"


def _denies_http(statement: dict[str, Any]) -> bool:
    condition = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    return bool(
        statement["Effect"] == "Deny" and statement["Principal"] in ("*", {"AWS": "*"}) and condition == "false"
    )


# --- Who reaches what ------------------------------------------------------------------------------------------------


@invariant
def nothing_is_public(deployed: Deployed) -> Iterator[str]:
    """No bucket, database, task or subnet takes the internet's addresses. FSBP S3.8, RDS.2, ECS.2, EC2.15."""
    for where, it in deployed.of("AWS::S3::Bucket"):
        block = it.get("PublicAccessBlockConfiguration", {})
        names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        if any(block.get(name) is not True for name in names):
            yield f"{where} may be made public"
    for where, it in deployed.of("AWS::RDS::DBInstance"):
        if it.get("PubliclyAccessible") is not False:
            yield f"{where} may get a public address"
    for where, it in deployed.of("AWS::ECS::Service"):
        if it["NetworkConfiguration"]["AwsvpcConfiguration"].get("AssignPublicIp") != "DISABLED":
            yield f"{where} gives its tasks public addresses"
    for where, it in deployed.of("AWS::EC2::Subnet"):
        if it.get("MapPublicIpOnLaunch"):
            yield f"{where} gives public addresses"


@invariant
def only_named_ranges_come_in(deployed: Deployed) -> Iterator[str]:
    """`ingress.cidrs` reach the load balancer at 443 and 80, and the address of the way out at 443; a machine in the
    place of a NAT gateway gets what the VPC's own ranges send out: everything else is a rule from one security group to
    another, at one port (`Ingress`; FSBP EC2.18, EC2.19).
    """
    environment = deployed.environment
    named = {str(cidr) for cidr in environment.ingress.cidrs}
    vpc = environment.network.vpc
    nat = {f"{address}/32" for address in vpc.nat_addresses} if vpc else set[str]()
    for where, rule in _rules(deployed, "Ingress"):
        port = rule.get("FromPort")
        if rule["IpProtocol"] != "tcp" or port != rule.get("ToPort"):
            yield f"{where} lets in more than one port of TCP"
        if "CidrIpv6" in rule or "SourcePrefixListId" in rule:
            yield f"{where} lets in a range that the settings do not name"
        if "CidrIp" not in rule:
            continue
        source = _flat(rule["CidrIp"])
        if environment.network.nat_instance and "NatSecurityGroup" in where:
            if not IPv4Network(source).subnet_of(environment.network.cidr):
                yield f"{where} lets {source} through, which is not of the VPC"
            continue
        elastic = re.fullmatch(r"<\w+(EIP|NatInstance)\w*\.PublicIp>/32", source)
        if not (source in named and port in (443, 80)) and not ((elastic or source in nat) and port == 443):
            yield f"{where} lets {source} in at port {port}, which the settings do not name"
        if "LoadBalancerGroup" not in where:
            yield f"{where} lets in a range, and is not the load balancer's"


@invariant
def only_known_ways_lead_out(deployed: Deployed) -> Iterator[str]:
    """To everywhere lead HTTPS, and SMTP submission of LiteLLM's mails, and the tasks to each server of models in the
    settings; a group that needs none of it has no way out (NetworkStack).
    """
    nowhere = "255.255.255.255/32"
    servers = {(each.port, each.security_group_id or str(each.cidr)) for each in deployed.environment.providers.servers}
    for where, rule in _rules(deployed, "Egress"):
        known = rule["IpProtocol"] == "tcp" and rule.get("FromPort") == rule.get("ToPort")
        to_all = rule.get("CidrIp") == "0.0.0.0/0" and rule.get("FromPort") in (443, 587)
        peer = rule.get("CidrIp") or rule.get("DestinationSecurityGroupId")
        own = isinstance(peer, dict)  # a group of this template
        sends = "GatewayGroup" in where or "NatSecurityGroup" in where
        to_server = not own and sends and (rule.get("FromPort"), peer) in servers
        if peer != nowhere and not (known and (own or to_all or to_server)):
            yield f"{where} leads to more than it needs"


@invariant
def what_is_called_is_let_out(deployed: Deployed) -> Iterator[str]:
    """The tasks' security group has a rule for the port of every address that config.yaml leads to."""
    ports = {
        rule.get("FromPort")
        for where, rule in _rules(deployed, "Egress")
        if "GatewayGroup" in where and "ToGatewayGroup" not in where
    }
    for address in deployed.config.addresses(deployed.environment.plain_variables):
        if address.port not in ports:
            yield f"Network: {address.host} is called on port {address.port}, which nothing lets the tasks out to"


def _rules(deployed: Deployed, direction: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rule of a security group, with the group's place."""
    for where, it in deployed.of("AWS::EC2::SecurityGroup"):
        for rule in it.get(f"SecurityGroup{direction}", []):
            yield where, rule
    yield from deployed.of(f"AWS::EC2::SecurityGroup{direction}")


@invariant
def administration_is_for_management_ranges(deployed: Deployed) -> Iterator[str]:
    """Every request passes the web ACL, whose set of management ranges is that of the settings (`Ingress`)."""
    wanted = sorted(str(cidr) for cidr in deployed.environment.ingress.management_cidrs)
    sets = [it for _, it in deployed.of("AWS::WAFv2::IPSet")]
    if [sorted(it["Addresses"]) for it in sets] != [wanted]:
        yield f"Gateway: the web ACL's ranges are not {', '.join(wanted)}"
    if len(list(deployed.of("AWS::WAFv2::WebACLAssociation"))) != len(
        list(deployed.of("AWS::ElasticLoadBalancingV2::LoadBalancer"))
    ):
        yield "Gateway: the load balancer has no web ACL"
    for where, it in deployed.of("AWS::WAFv2::WebACL"):
        if "ManagementRoutes" not in {rule["Name"] for rule in it["Rules"] if "Block" in rule.get("Action", {})}:
            yield f"{where} does not keep management routes for the management ranges"


# --- Who may do what -------------------------------------------------------------------------------------------------

ON_EVERYTHING: Final = {
    "bedrock:Rerank": "knows no resources; the model that it invokes is permitted by its ARN",
    "ecr:GetAuthorizationToken": "knows no resources; a task cannot start without it",
    "ce:GetCostAndUsage": "Cost Explorer's figures are no resources",
    "cloudwatch:DescribeAlarms": "a list, which knows no resources",
    "cloudwatch:GetMetricData": "CloudWatch's figures are no resources",
    "cloudwatch:GetMetricWidgetImage": "CloudWatch's figures are no resources",
    "elasticloadbalancing:DescribeRules": "a list, which knows no resources",
    "elasticloadbalancing:DescribeTargetHealth": "a list, which knows no resources",
    "rds:DescribeDBClusterSnapshots": "a list; whose snapshots AWS Backup takes is in the other statements",
    "rds:DescribeDBClusters": "as `rds:DescribeDBClusterSnapshots`",
    "tag:GetResources": "a list, which knows no resources",
}
"""The actions that may be permitted on `*`, and why."""
ON_MANY: Final = {
    "application-autoscaling:RegisterScalableTarget": "its id is AWS's own; the service that it scales is permitted",
    "kms:CreateGrant": "keys of the second region, of which the alias in the condition tells one",
    "kms:DescribeKey": "as `kms:CreateGrant`",
    **dict.fromkeys(
        (
            "rds:AddTagsToResource",
            "rds:CopyDBClusterSnapshot",
            "rds:CreateDBClusterSnapshot",
            "rds:DeleteDBClusterSnapshot",
            "rds:ListTagsForResource",
        ),
        "snapshots of AWS Backup, whose names begin with `awsbackup:` and a number of its own",
    ),
    "lambda:InvokeFunction": "versions of the one function that comes before `:*`",
    "ecs:DescribeTasks": "the tasks of the one cluster that comes before `/*`",
    "ecs:StopTask": "those of the cluster's tasks that carry the migration's tag",
    "ecs:TagResource": "the cluster's tasks, as they are started",
    "ses:SendEmail": "any recipient's identity, which SES's sandbox asks for; the sender is in the condition",
    "ses:SendRawEmail": "as `ses:SendEmail`",
}
"""The actions that may be permitted on what begins with one resource's name, and why."""


@invariant
def no_action_is_a_wildcard(deployed: Deployed) -> Iterator[str]:
    """What a role may do is written out. FSBP IAM.21."""
    for where, statement in _identity_statements(deployed):
        if statement["Effect"] == "Allow" and ("NotAction" in statement or any("*" in a for a in _actions(statement))):
            yield f"{where} permits actions that it does not name"


@invariant
def no_resource_is_a_wildcard(deployed: Deployed) -> Iterator[str]:
    """Nothing is permitted on everything, but for `ON_EVERYTHING` and `ON_MANY`. FSBP IAM.1."""
    for where, statement in _identity_statements(deployed):
        if statement["Effect"] != "Allow":
            continue
        for resource in map(json.dumps, _listed(statement.get("Resource", "*"))):
            allowed = ON_EVERYTHING if resource == '"*"' else ON_MANY if "*" in resource else None
            if allowed is not None and not allowed.keys() >= set(_actions(statement)):
                yield f"{where} permits {', '.join(_actions(statement))} on {resource}"


@invariant
def mails_are_from_the_gateway(deployed: Deployed) -> Iterator[str]:
    """Who may send mails sends them as the gateway: the resource does not say so, as it is any recipient's too."""
    wanted = {"StringEquals": {"ses:FromAddress": deployed.environment.mail_sender}}
    for where, statement in _identity_statements(deployed):
        if (
            any(action.startswith("ses:Send") for action in _actions(statement))
            and statement.get("Condition") != wanted
        ):
            yield f"{where} sends mails as more than {deployed.environment.mail_sender}"


@invariant
def nobody_else_is_trusted(deployed: Deployed) -> Iterator[str]:
    """A role is for one service of AWS; a resource lets in services on behalf of this account, or a named one. Nobody
    else but the releases' account, for the smoke test. (The confused deputy problem in AWS's IAM guide.)
    """
    for where, it in deployed.of("AWS::IAM::Role"):
        for statement in it["AssumeRolePolicyDocument"]["Statement"]:
            if set(statement["Principal"]) != {"Service"}:
                yield f"{where} may be assumed by more than a service of AWS"
    for where, statement in _resource_statements(deployed):
        if statement["Effect"] == "Allow" and statement["Principal"] in ("*", {"AWS": "*"}):
            yield f"{where} lets everybody in"
    own = (deployed.environment.account, deployed.releases.account if deployed.releases else None)
    for where, it in deployed.of("AWS::Lambda::Permission"):
        service = str(it["Principal"]).endswith(".amazonaws.com")
        if service and not it.get("SourceArn") and not it.get("SourceAccount"):
            yield f"{where} lets {it['Principal']} in for anybody"
        if not service and it["Principal"] not in own:
            yield f"{where} lets {it['Principal']} in, which no setting names"


@invariant
def tasks_call_the_listed_models_only(deployed: Deployed) -> Iterator[str]:
    """The service's role may call the Bedrock models of config.yaml, count their tokens, ask its guardrails and assume
    its roles, each by its ARN, and has nothing of Bedrock and STS beside that; none of it if the file lists none.
    """
    wanted = {
        (action, re.sub(r"^arn:[^:]+:", "", arn))  # the file may have whole ARNs, of one partition
        for actions, arns in deployed.config.permissions(partition="PARTITION", account=deployed.environment.account)
        for action in actions
        for arn in arns
    }
    wanted |= _made(deployed)
    found: set[tuple[str, str]] = set()
    for where, statement in _identity_statements(deployed):
        actions = {action for action in _actions(statement) if action.startswith(("bedrock", "sts"))}
        if actions and not where.startswith("Gateway: Task"):
            yield f"{where} may call models"
        elif actions:
            arns = {re.sub(r"^arn:[^:]+:", "", _flat(each)) for each in _listed(statement["Resource"])}
            found |= {(action, arn) for action in actions for arn in arns}
    if found != wanted:
        yield f"Gateway: the task's role has {sorted(found ^ wanted)} otherwise than config.yaml"


def _made(deployed: Deployed) -> set[tuple[str, str]]:
    """What config.yaml refers to of Bedrock's that the stack makes: the actions on each, by its reference."""
    referred, found = deployed.config.variables, set[tuple[str, str]]()
    profiles = {
        f"litellm-{deployed.environment.name}-{profile.name}": profile.variable
        for profile in deployed.environment.bedrock.inference_profiles
    }
    for logical_id, resource in deployed.templates["Gateway"]["Resources"].items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind == "AWS::Bedrock::Guardrail" and GUARDRAIL_ID in referred:
            found.add((GUARDRAIL_ACTION, f"<{logical_id}.GuardrailArn>"))
        elif profiles.get(properties.get("InferenceProfileName")) in referred:
            found |= {(action, f"<{logical_id}.InferenceProfileArn>") for action in BEDROCK_ACTIONS}
    return found


def _identity_statements(deployed: Deployed) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, it in deployed.of("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for statement in it["PolicyDocument"]["Statement"]:
            yield where, statement
    for where, it in deployed.of("AWS::IAM::Role", "AWS::IAM::User"):
        for policy in it.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield where, statement


def _resource_statements(deployed: Deployed) -> Iterator[tuple[str, dict[str, Any]]]:
    kinds = ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
    for where, it in deployed.of(*kinds, "AWS::KMS::Key"):
        for statement in (it.get("PolicyDocument") or it["KeyPolicy"])["Statement"]:
            yield where, statement


def _actions(statement: dict[str, Any]) -> list[str]:
    return [str(action) for action in _listed(statement.get("Action", []))]


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - a template is JSON
    return value if isinstance(value, list) else [value]


# --- Secrets ---------------------------------------------------------------------------------------------------------

SECRET: Final = re.compile(
    r"(?<![A-Za-z0-9_-])sk-[A-Za-z0-9_-]{16,}|(?<![A-Z0-9])(AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])|xox[abeprs]-\w{6,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|hooks\.slack\.com/services/\w|\"private_key\\?\"\s*:|://[^/\s:@\"]+:[^/\s@\"]+@"
)


@invariant
def no_secret_is_in_a_template(deployed: Deployed) -> Iterator[str]:
    """Who may read a stack reads its template: secrets are references to Parameter Store, by name."""
    for stack, logical_id, resource in deployed.all():
        if found := SECRET.search(json.dumps(resource)):
            yield f"{stack}: {logical_id} has what looks like a secret, {found[0][:6]}…"


@invariant
def secrets_are_references(deployed: Deployed) -> Iterator[str]:
    """A variable whose name is a secret's comes from Parameter Store, in this environment's place there; the
    passwords of the database and the cache too (docs/operations/first-deployment.md).
    """
    for where, it in deployed.of("AWS::ECS::TaskDefinition"):
        for container in it["ContainerDefinitions"]:
            yield from (f"{where} {problem}" for problem in _secrets_of(container, deployed))
    for where, it in deployed.of("AWS::Lambda::Function"):
        for name in it.get("Environment", {}).get("Variables", {}):
            if name.endswith(SECRET_SUFFIXES):
                yield f"{where} has {name} in plain text"
    for where, it in deployed.of("AWS::RDS::DBCluster"):
        if not str(it.get("MasterUserPassword")).startswith("{{resolve:ssm-secure:"):
            yield f"{where} has its password in plain text"
    for where, it in deployed.of("AWS::ElastiCache::ReplicationGroup"):
        if not str(it.get("AuthToken")).startswith("{{resolve:ssm-secure:"):
            yield f"{where} has no password, or has it in plain text"


def _secrets_of(container: dict[str, Any], deployed: Deployed) -> Iterator[str]:
    for variable in container.get("Environment", []):
        if str(variable["Name"]).endswith(SECRET_SUFFIXES):
            yield f"has {variable['Name']} in plain text"
    given = {secret["Name"]: _flat(secret["ValueFrom"]) for secret in container.get("Secrets", [])}
    if difference := set(given) ^ set(deployed.config.secrets):
        yield f"does not have the secrets of config.yaml: {sorted(difference)}"
    for name, source in given.items():
        if not source.endswith(f":parameter{deployed.environment.parameter_prefix}/{name}"):
            yield f"has {name} from {source}"


# --- Names -----------------------------------------------------------------------------------------------------------

# The property that names a resource, how long it may be, and its characters; only given names are looked at.
_PLAIN, _PATHS = r"[A-Za-z0-9_-]+", r"[A-Za-z0-9_./-]+"
NAMES: Final = {
    "AWS::Athena::WorkGroup": ("Name", 128, _PLAIN),
    "AWS::Chatbot::SlackChannelConfiguration": ("ConfigurationName", 128, _PLAIN),
    "AWS::CloudWatch::Dashboard": ("DashboardName", 255, _PLAIN),
    "AWS::ElastiCache::ReplicationGroup": ("ReplicationGroupId", 40, r"[a-z](-?[a-z0-9])*"),
    "AWS::Glue::Database": ("DatabaseName", 255, r"[a-z0-9_]+"),
    "AWS::IAM::Role": ("RoleName", 64, _PLAIN),
    "AWS::Lambda::Function": ("FunctionName", 64, _PLAIN),
    "AWS::Logs::LogGroup": ("LogGroupName", 512, _PATHS),
    "AWS::RDS::DBCluster": ("DBClusterIdentifier", 63, r"[a-z](-?[a-z0-9])*"),
    "AWS::SSM::Parameter": ("Name", 1011, _PATHS),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": ("Name", 253, r"[a-z0-9.-]+"),
}
UNNAMED: Final = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::EC2::SecurityGroup": "GroupName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ECS::Service": "ServiceName",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "Name",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "Name",
    "AWS::IAM::User": "UserName",
    "AWS::RDS::DBInstance": "DBInstanceIdentifier",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SES::ConfigurationSet": "Name",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
    "AWS::WAFv2::IPSet": "Name",
    "AWS::WAFv2::RegexPatternSet": "Name",
    "AWS::WAFv2::WebACL": "Name",
}
"""What CloudFormation is to name: a fixed name could not be replaced, and two environments could not share an account.
"""


@invariant
def names_are_of_the_environment(deployed: Deployed) -> Iterator[str]:
    """A name that is given has the environment's in it and is within the service's limit, so that several environments
    can share an account; all others are CloudFormation's to give.
    """
    name = deployed.environment.name
    for kind, (key, longest, characters) in NAMES.items():
        for where, it in deployed.of(kind):
            given = it.get(key)
            if given is None:
                continue
            if not isinstance(given, str) or not re.search(rf"(?<![a-z0-9]){name}(?![a-z0-9])", given):
                yield f"{where} is called {given}, without the environment's name"
            elif len(given) > longest or not re.fullmatch(characters, given):
                yield f"{where} is called {given}, which is no name for it: {longest} characters of {characters}"
    for kind, key in UNNAMED.items():
        for where, it in deployed.of(kind):
            if key in it:
                yield f"{where} has a name that is not CloudFormation's"


@invariant
def no_logical_id_names_the_environment(deployed: Deployed) -> Iterator[str]:
    """A resource that other environments have too has the same logical id there: what holds of one is seen in another,
    and nothing is replaced because an environment is renamed.
    """
    name, other = deployed.environment.name, "local"
    for stack, template in deployed.templates.items():
        there = {_plain(logical_id) for logical_id in deployed.local.get(stack, {}).get("Resources", {})}
        for logical_id in template["Resources"]:
            plain = _plain(logical_id)
            if name != other and name in plain and {plain.replace(name, other), plain.replace(name, "")} & there:
                yield f"{stack}: {logical_id} has the environment's name in it"


@invariant
def no_other_environment_is_named(deployed: Deployed) -> Iterator[str]:
    """No account, domain or parameter of another environment, unless this one's own settings name it too."""
    text = json.dumps(dict(deployed.templates))
    own = deployed.environment.model_dump_json() + (deployed.releases.model_dump_json() if deployed.releases else "")
    own += " ".join(str(model.parameters) for model in deployed.config.models)
    for other in deployed.others.values():
        for fact in (other.account, other.domain, other.parameter_prefix):
            if _named(fact, text) and not _named(fact, own):
                yield f"{fact}, of {other.name}, is in the templates"


def _named(fact: str, text: str) -> bool:
    begins = r"(?<![\w.-])" if fact[0].isalnum() else ""  # a parameter's name comes right behind `parameter`
    return re.search(rf"{begins}{re.escape(fact)}(?![\w-]|\.\w)", text) is not None


def _plain(logical_id: str) -> str:
    return re.sub(r"[0-9A-F]{8}$", "", logical_id)


# --- Limits ----------------------------------------------------------------------------------------------------------


@invariant
def templates_are_within_limits(deployed: Deployed) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
    for stack, template in deployed.templates.items():
        if len(json.dumps(template)) > 1_000_000:
            yield f"{stack} is larger than 1 MB"
        for part, most in (("Resources", 500), ("Outputs", 200), ("Parameters", 200), ("Mappings", 200)):
            if len(template.get(part, {})) > most:
                yield f"{stack} has {len(template[part])} {part}, and CloudFormation takes {most}"
        if len(template.get("Description", "")) > 1024:
            yield f"{stack} has a description longer than 1024 characters"
    for stack, logical_id, _ in deployed.all():
        if not re.fullmatch(r"[A-Za-z0-9]{1,255}", logical_id):
            yield f"{stack}: {logical_id} is no logical id"


@invariant
def templates_are_ascii(deployed: Deployed) -> Iterator[str]:
    """CloudFormation gives back `?` for any other character, and so could not put a stack back to what it was."""
    for stack, logical_id, resource in deployed.all():
        if not json.dumps(resource, ensure_ascii=False).isascii():
            yield f"{stack}: {logical_id} has characters beyond ASCII"


@invariant
def functions_are_within_limits(deployed: Deployed) -> Iterator[str]:
    """4 KB of variables, 256 characters of description, 15 minutes, 128 MB to 10,240 MB.
    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    for where, it in deployed.of("AWS::Lambda::Function"):
        variables = it.get("Environment", {}).get("Variables", {})
        size = sum(len(name) + len(_flat(value)) for name, value in variables.items())
        if size > 4096:
            yield f"{where} has {size} bytes of variables"
        if len(it.get("Description", "")) > 256:
            yield f"{where} has a description longer than 256 characters"
        if not 1 <= it.get("Timeout", 3) <= 900 or not 128 <= it.get("MemorySize", 128) <= 10_240:
            yield f"{where} has a time or a memory that Lambda does not offer"


@invariant
def few_functions_run_while_a_stack_is_deployed(deployed: Deployed) -> Iterator[str]:
    """No more than four, of the ten that a new account may run at once: a custom resource takes one or, with the CDK's
    provider framework, two, and as many are worked on at once as do not wait for one another.
    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    for stack, template in deployed.templates.items():
        waits: dict[str, set[str]] = defaultdict(set)
        functions: dict[str, int] = {}
        for logical_id, resource in template["Resources"].items():
            waits[logical_id] |= {target for kind, target in _references(resource) if kind == "id"}
            if token := resource.get("Properties", {}).get("ServiceToken"):
                functions[logical_id] = 2 if "framework" in json.dumps(token) else 1
        if (most := at_once(functions, waits)) > 4:
            yield f"{stack} runs {most} functions at once for its custom resources"


@invariant
def policies_are_within_limits(deployed: Deployed) -> Iterator[str]:
    """10,240 characters of inline policies a role, 6,144 a managed policy, 2,048 of trust, 10 managed policies a role;
    without white space. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    inline: Counter[str] = Counter()
    managed: Counter[str] = Counter()
    for where, it in deployed.of("AWS::IAM::Policy"):
        for role in (*it.get("Roles", []), *it.get("Users", [])):
            inline[_of(where, role)] += _size(it["PolicyDocument"])
    for where, it in deployed.of("AWS::IAM::ManagedPolicy"):
        managed.update(_of(where, role) for role in it.get("Roles", []))
        if _size(it["PolicyDocument"]) > 6144:
            yield f"{where} has {_size(it['PolicyDocument'])} characters, and IAM takes 6,144"
    for where, it in deployed.of("AWS::IAM::Role"):
        inline[where] += sum(_size(each["PolicyDocument"]) for each in it.get("Policies", []))
        managed[where] += len(it.get("ManagedPolicyArns", []))
        if _size(it["AssumeRolePolicyDocument"]) > 2048:
            yield f"{where} has a trust policy longer than 2,048 characters"
    # SQS: 8,192 bytes and 20 statements; SNS: 30,720 bytes.
    for where, it in deployed.of("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        if _size(it["PolicyDocument"]) > 8192 or len(it["PolicyDocument"]["Statement"]) > 20:
            yield f"{where} is longer than SQS and SNS take"
    yield from (f"{role} has {size} characters of inline policies" for role, size in inline.items() if size > 10_240)
    yield from (f"{role} has {number} managed policies" for role, number in managed.items() if number > 10)


def _of(where: str, reference: Any) -> str:  # noqa: ANN401 - a template is JSON
    """The place of a resource of the same stack."""
    return f"{where.partition(': ')[0]}: {_flat(reference).strip('<>').partition('.')[0]}"


@invariant
def network_rules_are_within_limits(deployed: Deployed) -> Iterator[str]:
    """60 rules a direction of a security group, with descriptions of 255 known characters.
    https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
    """
    described = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
    for direction in ("Ingress", "Egress"):
        count: Counter[str] = Counter()
        for where, rule in _rules(deployed, direction):
            count[_of(where, rule["GroupId"]) if "GroupId" in rule else where] += 1
            if not described.fullmatch(rule.get("Description", "")):
                yield f"{where} has a description that EC2 does not take"
        for group, number in count.items():
            if number > SECURITY_GROUP_RULES:
                yield f"{group} has {number} rules of {direction}, and EC2 takes {SECURITY_GROUP_RULES}"
    for where, it in deployed.of("AWS::EC2::SecurityGroup"):
        if not described.fullmatch(it["GroupDescription"]):
            yield f"{where} has a description that EC2 does not take"


@invariant
def web_acl_is_within_limits(deployed: Deployed) -> Iterator[str]:
    """One pattern set of at most 10 patterns (an account has 10 sets in a region, and may have ten environments), 200
    characters a pattern, 10,000 ranges. https://docs.aws.amazon.com/waf/latest/developerguide/limits.html
    """
    sets = list(deployed.of("AWS::WAFv2::RegexPatternSet"))
    if len(sets) > 1:
        yield f"Gateway: {len(sets)} pattern sets, so that fewer than ten environments fit into an account"
    patterns = [(where, pattern) for where, it in sets for pattern in it["RegularExpressionList"]]
    for where, it in deployed.of("AWS::WAFv2::WebACL"):
        patterns += [(where, found) for found in _values(it["Rules"], "RegexString")]
    for where, it in sets:
        if len(it["RegularExpressionList"]) > 10:
            yield f"{where} has more than 10 patterns"
    for where, pattern in patterns:
        if len(pattern) > 200:
            yield f"{where} has a pattern longer than 200 characters, {pattern[:40]}…"
    for where, it in deployed.of("AWS::WAFv2::IPSet"):
        if not 1 <= len(it["Addresses"]) <= 10_000:
            yield f"{where} has {len(it['Addresses'])} ranges"


@invariant
def texts_are_within_limits(deployed: Deployed) -> Iterator[str]:
    """Parameter Store's 4 KB, 64 KB of a task definition, 1,024 characters of an alarm's description, 512 of a rule's,
    1,000 of a role's, 100 of a topic's name, 64 of a certificate's, 128 of a host condition (each service's API).
    """
    limits = {
        "AWS::SSM::Parameter": ("Value", 4096),
        "AWS::CloudWatch::Alarm": ("AlarmDescription", 1024),
        "AWS::Events::Rule": ("Description", 512),
        "AWS::Scheduler::Schedule": ("Description", 512),
        "AWS::IAM::Role": ("Description", 1000),
        "AWS::IAM::ManagedPolicy": ("Description", 1000),
        "AWS::SNS::Topic": ("DisplayName", 100),
        "AWS::CertificateManager::Certificate": ("DomainName", 64),
        "AWS::Route53::RecordSet": ("Name", 255),
        "AWS::SES::EmailIdentity": ("EmailIdentity", 253),
        "AWS::Logs::QueryDefinition": ("Name", 255),
        "AWS::StepFunctions::StateMachine": ("DefinitionString", 1_000_000),
    }
    for kind, (key, most) in limits.items():
        for where, it in deployed.of(kind):
            if len(_flat(it.get(key, ""))) > most:
                yield f"{where} has a {key} longer than {most}"
    for where, it in deployed.of("AWS::ECS::TaskDefinition"):
        if len(json.dumps(it)) > 65_536:
            yield f"{where} is larger than 64 KB"
    for where, it in deployed.of("AWS::ElasticLoadBalancingV2::ListenerRule"):
        if any(len(host) > 128 for host in _values(it, "Values")):
            yield f"{where} has a host longer than 128 characters"


@invariant
def tasks_fit_fargate(deployed: Deployed) -> Iterator[str]:
    """A size that Fargate offers, as many tasks as the settings say, and no root or file system that can be written to.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
    """
    for where, it in deployed.of("AWS::ECS::TaskDefinition"):
        if int(it["Memory"]) not in FARGATE_MEMORY.get(int(it["Cpu"]), ()):
            yield f"{where} has {it['Cpu']} CPU units and {it['Memory']} MiB, which Fargate does not offer"
        for container in it["ContainerDefinitions"]:
            if container.get("ReadonlyRootFilesystem") is not True or container.get("Privileged"):
                yield f"{where} can write to its own file system"
            if str(container.get("User", "")).partition(":")[0] in ("0", "root"):  # without one it is the image's
                yield f"{where} runs as root"
    settings = deployed.environment.gateway
    for where, it in deployed.of("AWS::ApplicationAutoScaling::ScalableTarget"):
        if (it["MinCapacity"], it["MaxCapacity"]) != (settings.min_tasks, settings.max_tasks):
            yield f"{where} does not scale from {settings.min_tasks} to {settings.max_tasks}"
    for where, it in deployed.of("AWS::ECS::Service"):
        if it.get("EnableExecuteCommand"):
            yield f"{where} lets people into its tasks"


@invariant
def subnets_fit(deployed: Deployed) -> Iterator[str]:
    """A new VPC has a subnet of each tier in each zone, of its size, apart from one another and within the range."""
    network = deployed.environment.network
    subnets = [it for _, it in deployed.of("AWS::EC2::Subnet")]
    if network.vpc:
        if subnets:
            yield "Network: an existing VPC gets subnets"
        return
    found = Counter((_tags(it).get("aws-cdk:subnet-name"), it["AvailabilityZone"]) for it in subnets)
    if found != Counter((tier, zone) for tier in SUBNET_PREFIXES for zone in network.zones):
        yield f"Network: not one subnet of each tier in each of {', '.join(network.zones)}"
    ranges = [IPv4Network(it["CidrBlock"]) for it in subnets]
    if any(one.overlaps(other) for one, other in combinations(ranges, 2)):
        yield "Network: subnets overlap"
    if not all(each.subnet_of(network.cidr) for each in ranges):
        yield f"Network: a subnet is outside of {network.cidr}"


# --- What is kept, and for how long -----------------------------------------------------------------------------------


@invariant
def every_log_ends(deployed: Deployed) -> Iterator[str]:
    """Every log group, and the bucket of the access log, drops what is older than its retention. A group that Lambda
    makes by itself would keep everything for ever. FSBP CloudWatch.16.
    """
    for where, it in deployed.of("AWS::Logs::LogGroup"):
        if it.get("RetentionInDays") not in RETENTION_DAYS:
            yield f"{where} keeps its lines for ever"
    for where, it in deployed.of("AWS::Lambda::Function"):
        if not it.get("LoggingConfig", {}).get("LogGroup") and BY_CDK not in where:
            yield f"{where} has no log group of its own"
    for where, it in deployed.of("AWS::S3::Bucket"):
        rules = it.get("LifecycleConfiguration", {}).get("Rules", [])
        if not any(rule["Status"] == "Enabled" and "ExpirationInDays" in rule for rule in rules):
            yield f"{where} keeps its files for ever"
    for where, it in deployed.of("AWS::SQS::Queue"):
        if it.get("MessageRetentionPeriod", 345_600) < 1_209_600:
            yield f"{where} drops messages before 14 days, the most that there is"


BY_CDK: Final = "CustomVpcRestrictDefaultSGCustomResourceProvider"
"""The CDK's own function that empties a new VPC's default security group: its log group and tags cannot be set."""


@invariant
def what_holds_data_is_kept(deployed: Deployed) -> Iterator[str]:
    """Removing a stack leaves a snapshot of the database, its key and the access log. With `deletion_protection` the
    database and the load balancer cannot be removed at all, and the service's and functions' logs stay too.
    """
    protected = deployed.environment.deletion_protection
    left = {"AWS::RDS::DBCluster": "Snapshot", "AWS::S3::Bucket": "Retain", "AWS::KMS::Key": "Retain"}
    left["AWS::Backup::BackupVault"] = "Retain"
    for stack, logical_id, resource in deployed.all():
        policy, kind, where = resource.get("DeletionPolicy", "Delete"), resource["Type"], f"{stack}: {logical_id}"
        if policy != resource.get("UpdateReplacePolicy", "Delete"):
            yield f"{where} is kept when it is removed and not when it is replaced, or the other way round"
        # The key of the topic of events has nothing left to decrypt.
        if policy != left.get(kind, policy) and not (kind == "AWS::KMS::Key" and stack == "Email"):
            yield f"{where} leaves nothing behind"
        of_use = stack not in ("Network", "Database") and not logical_id.startswith(OF_DEPLOYMENTS)
        if kind == "AWS::Logs::LogGroup" and of_use and policy != ("Retain" if protected else "Delete"):
            yield f"{where} is {'not ' if protected else ''}kept when its stack goes"
    for where, it in deployed.of("AWS::RDS::DBCluster"):
        if it.get("DeletionProtection") is not protected:
            yield f"{where} has a deletion protection other than the settings'"
        if it.get("BackupRetentionPeriod") != deployed.environment.database.backup_days:
            yield f"{where} is not backed up for {deployed.environment.database.backup_days} days"
    for where, it in deployed.of("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        if _attributes(it, "LoadBalancerAttributes")["deletion_protection.enabled"] != str(protected).lower():
            yield f"{where} has a deletion protection other than the settings'"


def _attributes(properties: dict[str, Any], key: str) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in properties[key]}


OF_DEPLOYMENTS: Final = ("EdgeWebAclLogs", "LiteLlmKeyLogs", "MigrationLogs", "SmtpCredentialsLogs")
"""Logs of what was blocked or deployed, of a month: nothing that is asked for once the gateway is gone."""


# --- What belongs together --------------------------------------------------------------------------------------------


@invariant
def references_lead_somewhere(deployed: Deployed) -> Iterator[str]:
    """Every reference is to a resource or a parameter of the template, every import to another stack's export, what is
    looked up in Parameter Store is written there by another stack, and no resources wait for one another in a circle.
    """
    exports = {
        output["Export"]["Name"]
        for template in deployed.templates.values()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    }
    written = {it["Name"]: where.partition(": ")[0] for where, it in deployed.of("AWS::SSM::Parameter")}
    for stack, template in deployed.templates.items():
        known = {*template["Resources"], *template.get("Parameters", {})}
        for parameter, name in _looked_up(template).items():
            if written.get(name, stack) == stack and not name.startswith("/aws/service/"):  # which AWS writes
                yield f"{stack}: {parameter} looks {name} up, which no other stack writes"
        waits: dict[str, set[str]] = defaultdict(set)
        for logical_id, resource in template["Resources"].items():
            where = f"{stack}: {logical_id}"
            for kind, target in _references(resource):
                if kind == "import" and target not in exports:
                    yield f"{where} imports {target}, which no stack exports"
                elif kind == "id" and not target.startswith("AWS::"):
                    waits[logical_id].add(target)
                    if target not in known:
                        yield f"{where} refers to {target}, which is not there"
        try:
            TopologicalSorter(waits).prepare()
        except CycleError as error:
            yield f"{stack}: {' -> '.join(error.args[1])} wait for one another"


def _references(value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a template is JSON
    match value:
        case {"Ref": str(name)}:
            yield "id", name
        case {"Fn::GetAtt": [str(name), _]}:
            yield "id", name
        case {"Fn::ImportValue": str(name)}:
            yield "import", name
        case dict():
            if "Type" in value and "DependsOn" in value:
                yield from (("id", name) for name in _listed(value["DependsOn"]))
            for each in value.values():
                yield from _references(each)
        case list():
            for each in value:
                yield from _references(each)


def _looked_up(template: Template) -> dict[str, str]:
    """The names in Parameter Store that a template's parameters are read from, but for that of the bootstrap."""
    return {
        parameter: it["Default"]
        for parameter, it in template.get("Parameters", {}).items()
        if it["Type"].startswith("AWS::SSM::Parameter::Value<") and parameter != "BootstrapVersion"
    }


@invariant
def values_are_looked_up_once(deployed: Deployed) -> Iterator[str]:
    """No template asks for the same value of another stack twice. Fn::GetStackOutput does so wherever it stands, each
    time by a DescribeStacks, of which CloudFormation takes few (aws/aws-cdk#38010), and a stack that has it is not
    deployed when what it asked for is replaced.
    """
    for stack, template in deployed.templates.items():
        if lookups := json.dumps(template).count('"Fn::GetStackOutput"'):
            yield f"{stack} has {lookups} times Fn::GetStackOutput"
        for name, number in Counter(_looked_up(template).values()).items():
            if number > 1:
                yield f"{stack} looks {name} up {number} times"


@invariant
def events_are_told(deployed: Deployed) -> Iterator[str]:
    """A topic that a rule tells lets EventBridge publish without any condition, and an alarm looks at what the rule
    could not tell ("Using resource-based policies for Amazon EventBridge": Amazon SNS permissions).
    """
    alarms = [(it.get("MetricName"), _flat(it.get("Dimensions"))) for _, it in deployed.of("AWS::CloudWatch::Alarm")]
    for stack, template in deployed.templates.items():
        found = template["Resources"]
        let_in = {
            _flat(statement["Resource"])
            for it in found.values()
            if it["Type"] == "AWS::SNS::TopicPolicy"
            for statement in it["Properties"]["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Allow" and statement["Principal"] == {"Service": "events.amazonaws.com"}
            if statement["Action"] == "sns:Publish" and "Condition" not in statement
        }
        for logical_id, it in found.items():
            if it["Type"] != "AWS::Events::Rule":
                continue
            for target in it["Properties"]["Targets"]:
                if _flat(target["Arn"]) not in let_in or "RoleArn" in target:
                    yield f"{stack}: {logical_id} may not publish to {_flat(target['Arn'])}"
            if not any(name == "FailedInvocations" and f'"{logical_id}"' in of for name, of in alarms):
                yield f"{stack}: nobody hears what {logical_id} could not tell"


@invariant
def failures_are_kept(deployed: Deployed) -> Iterator[str]:
    """What no attempt could do ends in a queue: of a queue's messages, of a schedule's, of a topic's, and of a function
    that these start. Amazon SQS, EventBridge Scheduler, Amazon SNS and Lambda drop it otherwise.
    """
    for stack, template in deployed.templates.items():
        found = template["Resources"]
        of_type = {
            kind: [it["Properties"] for it in found.values() if it["Type"] == kind]
            for kind in (
                "AWS::Lambda::EventSourceMapping",
                "AWS::Lambda::EventInvokeConfig",
                "AWS::Scheduler::Schedule",
            )
        }
        kept = {
            _flat(it["FunctionName"]).strip("<>")
            for it in of_type["AWS::Lambda::EventInvokeConfig"]
            if it.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        }
        for it in of_type["AWS::Lambda::EventSourceMapping"]:
            queue = found[it["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
            if not queue.get("RedrivePolicy") or it.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
                yield f"{stack}: {_flat(it['FunctionName'])} loses messages that it fails with"
        started = [
            ("schedule", it["Target"]["Arn"], it["Target"].get("DeadLetterConfig"))
            for it in of_type["AWS::Scheduler::Schedule"]
        ]
        started += [
            ("topic", it["Properties"]["Endpoint"], it["Properties"].get("RedrivePolicy"))
            for it in found.values()
            if it["Type"] == "AWS::SNS::Subscription" and it["Properties"]["Protocol"] == "lambda"
        ]
        for kind, target, queue in started:
            function = _flat(target).strip("<>").partition(".")[0]
            if not queue:
                yield f"{stack}: a {kind} loses what {function} does not take"
            if function not in kept:
                yield f"{stack}: {function} loses what it fails with"


@invariant
def alarms_are_heard(deployed: Deployed) -> Iterator[str]:
    """Every alarm tells the topic when it begins and when it is over, says what it means, and knows what to make of
    silence. Every address of `alarms.emails` hears the topic.
    """
    for where, it in deployed.of("AWS::CloudWatch::Alarm"):
        if not it.get("AlarmActions") or not it.get("OKActions"):
            yield f"{where} tells nobody"
        if not it.get("AlarmDescription") or not it.get("TreatMissingData"):
            yield f"{where} does not say what it means, or what silence means"
    heard = {
        it["Endpoint"]
        for where, it in deployed.of("AWS::SNS::Subscription")
        if it["Protocol"] == "email" and where.startswith("Observability")
    }
    if heard != set(deployed.environment.alarms.emails):
        yield f"Observability: alarms.emails do not hear the alarms, but {', '.join(sorted(heard)) or 'nobody'}"


@invariant
def every_function_is_watched(deployed: Deployed) -> Iterator[str]:
    """An alarm looks at the errors of each function. The provider framework's waiting functions err until what they
    wait for is done: their state machine is looked at (stacks/observability/alarms/functions.py).
    """
    names = _looked_up(deployed.templates["Observability"])
    alarms = [it for _, it in deployed.of("AWS::CloudWatch::Alarm")]
    asked = {names.get(target) for kind, target in _references(alarms) if kind == "id"}
    watched = {
        (where.partition(": ")[0], target)
        for where, it in deployed.of("AWS::SSM::Parameter")
        if it["Name"] in asked
        for _, target in _references(it["Value"])
    }
    for stack, logical_id, resource in deployed.all():
        waiting = "frameworkisComplete" in logical_id or "frameworkonTimeout" in logical_id
        wanted = resource["Type"] in ("AWS::Lambda::Function", "AWS::StepFunctions::StateMachine")
        if wanted and not waiting and (stack, logical_id) not in watched:
            yield f"{stack}: {logical_id} may fail without an alarm"


@invariant
def times_are_in_order(deployed: Deployed) -> Iterator[str]:
    """The load balancer waits longer than the longest request, LiteLLM keeps a connection longer than the load balancer
    does, a task that goes ends its requests, and a message is not given out again before its function's time is over
    (AWS's advice: six times it). A check answers before the next one. (docs/design.md, "Time-outs".)
    """
    request = deployed.config.request_timeout
    for where, it in deployed.of("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        idle = int(_attributes(it, "LoadBalancerAttributes")["idle_timeout.timeout_seconds"])
        if not request < idle <= 4000:
            yield f"{where} cuts a connection before a request of {request} s may end"
        yield from _closed_too_soon(deployed, where, idle)
    for where, it in deployed.of("AWS::ElasticLoadBalancingV2::TargetGroup"):
        attributes = _attributes(it, "TargetGroupAttributes")
        if not request <= int(attributes["deregistration_delay.timeout_seconds"]) <= 3600:
            yield f"{where} cuts a request of {request} s when a task goes"
        if not it["HealthCheckTimeoutSeconds"] < it["HealthCheckIntervalSeconds"]:
            yield f"{where} checks again before it has an answer"
    for stack, template in deployed.templates.items():
        for it in template["Resources"].values():
            if it["Type"] == "AWS::Lambda::EventSourceMapping":
                queue = template["Resources"][it["Properties"]["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
                function = template["Resources"][it["Properties"]["FunctionName"]["Ref"]]["Properties"]
                if queue.get("VisibilityTimeout", 30) < 6 * function["Timeout"]:
                    yield f"{stack}: a message is given out again before its function may end"


def _closed_too_soon(deployed: Deployed, load_balancer: str, idle: int) -> Iterator[str]:
    for where, it in deployed.of("AWS::ECS::TaskDefinition"):
        variables = {each["Name"]: each["Value"] for each in it["ContainerDefinitions"][0]["Environment"]}
        if int(variables.get("KEEPALIVE_TIMEOUT", 5)) <= idle:  # uvicorn's own
            yield f"{where} closes a connection that {load_balancer} still sends requests on"


# --- Tags -------------------------------------------------------------------------------------------------------------

NOT_TAGGABLE: Final = {
    *("AWS::ApiGatewayV2::ApiMapping", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route"),
    *("AWS::ApplicationAutoScaling::ScalingPolicy", "AWS::Athena::NamedQuery", "AWS::Bedrock::GuardrailVersion"),
    *("AWS::Backup::BackupSelection", "AWS::Budgets::Budget"),
    *("AWS::EC2::Route", "AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress"),
    *("AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPCGatewayAttachment"),
    *("AWS::ECS::ClusterCapacityProviderAssociations", "AWS::Glue::Database", "AWS::Glue::Table"),
    *(
        "AWS::IAM::InstanceProfile",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Permission",
    ),
    *("AWS::Logs::MetricFilter", "AWS::Logs::QueryDefinition", "AWS::Route53::RecordSet", "AWS::S3::BucketPolicy"),
    *("AWS::SES::ConfigurationSetEventDestination", "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy"),
    *("AWS::SQS::QueuePolicy", "AWS::Scheduler::Schedule"),
    *("AWS::WAFv2::LoggingConfiguration", "AWS::WAFv2::WebACLAssociation"),
}
"""The types that take no tags; nor does a custom resource. (A budget has its own list of them.)"""


@invariant
def everything_has_the_tags(deployed: Deployed) -> Iterator[str]:
    """The settings' tags are on all that takes tags, no more than AWS takes on one."""
    wanted = deployed.environment.tags
    for stack, logical_id, resource in deployed.all():
        kind = resource["Type"]
        if kind in NOT_TAGGABLE or kind.startswith("Custom::") or logical_id.startswith(BY_CDK):
            continue
        tags = _tags(resource.get("Properties", {}))
        if not wanted.items() <= tags.items():
            yield f"{stack}: {logical_id} ({kind}) lacks tags of the settings"
        if len(tags) > MOST_TAGS + 5:
            yield f"{stack}: {logical_id} has {len(tags)} tags"


def _tags(properties: dict[str, Any]) -> dict[str, str]:
    kinds = ("Tags", "BackupPlanTags", "BackupVaultTags")
    tags: Any = next((properties[kind] for kind in kinds if kind in properties), {})
    return tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}


# --- Reading a template -----------------------------------------------------------------------------------------------


def _flat(value: Any) -> str:  # noqa: ANN401 - a template is JSON
    """A value in one line: references as `<LogicalId>` or `<LogicalId.Attribute>`."""
    match value:
        case {"Ref": str(name)}:
            return f"<{name}>"
        case {"Fn::GetAtt": [str(name), attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, list(parts)]}:
            return str(separator).join(map(_flat, parts))
        case dict() | list():
            return json.dumps(value)
    return str(value)


def _size(document: Any) -> int:  # noqa: ANN401 - a policy is JSON
    """The length of a policy without white space, a reference being as long as what it commonly stands for."""
    return len(re.sub(r"<[^>]+>", "x" * 60, json.dumps(_deep(document), separators=(",", ":"))))


def _deep(value: Any) -> Any:  # noqa: ANN401 - a policy is JSON
    match value:
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Join": _} | {"Fn::ImportValue": _}:
            return _flat(value) if "Fn::ImportValue" not in value else "<import>"
        case dict():
            return {key: _deep(each) for key, each in value.items()}
        case list():
            return [_deep(each) for each in value]
    return value


def _values(value: Any, key: str) -> Iterator[str]:  # noqa: ANN401 - a template is JSON
    """The texts that stand under a key, wherever it is."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == key:
                yield from (str(text) for text in _listed(each))
            else:
                yield from _values(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each, key)
