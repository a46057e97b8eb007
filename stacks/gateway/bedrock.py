"""What the deployment makes of Bedrock: the guardrail of `bedrock.personal_data`, and its inference profiles."""

import hashlib
import json

from aws_cdk import Stack, Tags
from aws_cdk import aws_bedrock as bedrock
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.gateway import personal_data
from stacks.litellm_config.bedrock import BEDROCK_ACTIONS, GUARDRAIL_ACTION, geography_of
from stacks.litellm_config.made import GUARDRAIL_ID, GUARDRAIL_VERSION
from stacks.settings import Environment, InferenceProfile, PersonalData

# Bedrock says it in place of a text that it blocks, which a guardrail that only masks never does; it is required.
BLOCKED = "This text was blocked by the gateway's guardrail for personal data."


class BedrockResources(Construct):
    """The guardrail with a version of it, and the application inference profiles; none of them holds data.

    `variables` are the task's: the guardrail's id and version, and the ARN of each profile.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        self._environment = environment
        self._permitted: dict[str, tuple[tuple[str, ...], str]] = {}  # by a variable: what who refers to it may do
        self.variables: dict[str, str] = {}
        if masked := environment.bedrock.personal_data:
            self._guardrail(masked)
        for profile in environment.bedrock.inference_profiles:
            self._profile(profile)

    def permit(self, task: ecs.FargateTaskDefinition, referred: tuple[str, ...]) -> None:
        """Let a task use what config.yaml refers to by these variables: the models behind a profile are permitted by
        the file's entries.
        """
        for variable, (actions, arn) in self._permitted.items():
            if variable in referred:
                task.add_to_task_role_policy(iam.PolicyStatement(actions=list(actions), resources=[arn]))

    def _guardrail(self, masked: PersonalData) -> None:
        policy = personal_data.policy(masked.kinds)
        guardrail = bedrock.CfnGuardrail(
            self,
            "PersonalData",
            name=f"litellm-{self._environment.name}-personal-data",
            description="Masks personal data in English and Japanese",
            blocked_input_messaging=BLOCKED,
            blocked_outputs_messaging=BLOCKED,
            sensitive_information_policy_config=policy,
        )
        # A version is what the guardrail was when it was made: another description makes a new one, and the tasks that
        # are deployed with it go over to it. The one before goes when they have.
        definition = json.dumps([*masked.kinds, *map(str, personal_data.MASKED.items())])
        version = bedrock.CfnGuardrailVersion(
            self,
            "PersonalDataVersion",
            guardrail_identifier=guardrail.attr_guardrail_id,
            description=f"Definition {hashlib.sha256(definition.encode()).hexdigest()[:16]}",
        )
        self.variables |= {GUARDRAIL_ID: guardrail.attr_guardrail_id, GUARDRAIL_VERSION: version.attr_version}
        self._permitted[GUARDRAIL_ID] = ((GUARDRAIL_ACTION,), guardrail.attr_guardrail_arn)

    def _profile(self, profile: InferenceProfile) -> None:
        stack = Stack.of(self)
        geography, _ = geography_of(profile.model)
        own = f"{self._environment.account}:inference-profile" if geography else ":foundation-model"
        made = bedrock.CfnApplicationInferenceProfile(
            self,
            f"Profile-{profile.name}",
            inference_profile_name=f"litellm-{self._environment.name}-{profile.name}",
            model_source=bedrock.CfnApplicationInferenceProfile.InferenceProfileModelSourceProperty(
                copy_from=f"arn:{stack.partition}:bedrock:{self._environment.region}:{own}/{profile.model}"
            ),
        )
        for key, value in profile.tags.items():
            Tags.of(made).add(key, value)
        self.variables[profile.variable] = made.attr_inference_profile_arn
        self._permitted[profile.variable] = (BEDROCK_ACTIONS, made.attr_inference_profile_arn)
