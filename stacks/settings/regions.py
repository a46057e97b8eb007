"""Whether a region has the services that the settings need, by the list inside the pinned botocore.

The list is of the day that botocore was released, and no list has every service (some are global): what is not in it
may be there by now. So nothing is refused by it; a synthesis warns, and `make doctor` tells of it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from stacks.endpoints import regions_of
from stacks.settings import Environment

NEEDED: Final[Mapping[str, str]] = {
    "acm": "Certificate Manager",
    "application-autoscaling": "Application Auto Scaling",
    "athena": "Athena",
    "ecr": "ECR",
    "elbv2": "Elastic Load Balancing",
    "glue": "Glue",
    "kms": "KMS",
    "lambda": "Lambda",
    "logs": "CloudWatch Logs",
    "rds": "RDS",
    "servicediscovery": "Cloud Map",
    "sesv2": "SES",
    "sns": "SNS",
    "ssm": "Systems Manager",
    "stepfunctions": "Step Functions",
    "wafv2": "WAF",
}
"""What every environment needs, by botocore's names."""
ONBOARDING: Final[Mapping[str, str]] = {"apigatewayv2": "API Gateway", "dynamodb": "DynamoDB", "sqs": "SQS"}
CLOCK: Final[Mapping[str, str]] = {"scheduler": "EventBridge Scheduler", "sqs": "SQS"}
CACHE: Final[Mapping[str, str]] = {"elasticache": "ElastiCache"}
COPIES: Final[Mapping[str, str]] = {"backup": "AWS Backup"}
BEDROCK: Final[Mapping[str, str]] = {"bedrock": "Bedrock"}
PIPELINE: Final[Mapping[str, str]] = {"codebuild": "CodeBuild", "codepipeline": "CodePipeline"}


def lacking(environment: Environment) -> tuple[str, ...]:
    """The services that the environment needs and that are not known in its region, sorted by name."""
    sleeps = environment.sleep and environment.sleep.awake
    clock = environment.onboarding or environment.report or environment.bill or sleeps
    needed = {**NEEDED, **(ONBOARDING if environment.onboarding else {}), **(CLOCK if clock else {})}
    needed |= CACHE if environment.cache else {}
    needed |= COPIES if environment.database.copies else {}
    needed |= BEDROCK if environment.bedrock.variables else {}
    return unknown(environment.region, needed)


def unknown(region: str, services: Mapping[str, str]) -> tuple[str, ...]:
    """Which of the services are not known in the region; one whose regions are not listed at all counts as there."""
    return tuple(sorted(name for service, name in services.items() if region not in (regions_of(service) or {region})))


def told(whose: str, region: str, services: Iterable[str]) -> str:
    """The sentence with which a synthesis warns of services that are not known in a region."""
    return (
        f"{whose}: {', '.join(services)} is not known to be in {region}: look at AWS's list of services by region "
        "before the deployment, or use another region."
    )
