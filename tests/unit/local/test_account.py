"""What the emulated AWS has before anything is deployed: quotas and models, asked for with boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.account import QUOTAS
from local.aws import Emulator
from local.ports import free_ports
from ops.doctor.quotas import QUOTAS as NEEDED

Client = Callable[..., Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    emulator = Emulator(port=free_ports(1)[0], state=tmp_path_factory.mktemp("emulator"))
    emulator.start()

    def client(service: str, region: str = "us-east-1") -> Any:  # noqa: ANN401 - one client of many kinds
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=emulator.endpoint,
            region_name=region,
            aws_access_key_id="111111111111",
            aws_secret_access_key="test",
        )

    yield client
    emulator.stop()


def test_the_quotas_that_doctor_asks_for_are_awss_defaults(client: Client) -> None:
    assert {(quota.service, quota.code) for quota in NEEDED} == QUOTAS.keys()
    quotas = client("service-quotas")
    for operation in (quotas.get_service_quota, quotas.get_aws_default_service_quota):
        answer = operation(ServiceCode="vpc", QuotaCode="L-F678F1CE")
        assert answer["Quota"]["Value"] == 5
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        quotas.get_service_quota(ServiceCode="vpc", QuotaCode="L-00000000")


def test_todays_models_may_be_called_and_others_are_unknown(client: Client) -> None:
    bedrock = client("bedrock", "us-west-2")
    answer = bedrock.get_foundation_model_availability(modelId="anthropic.claude-opus-5-5")
    assert answer["agreementAvailability"]["status"] == "AVAILABLE"
    for profile in ("us.anthropic.claude-opus-5-5", "global.anthropic.claude-opus-5-5"):
        assert bedrock.get_inference_profile(inferenceProfileIdentifier=profile)["status"] == "ACTIVE"
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        bedrock.get_foundation_model_availability(modelId="anthropic.claude-opus-55")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        bedrock.get_inference_profile(inferenceProfileIdentifier="us.anthropic.claude-opus-55")
