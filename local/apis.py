"""What the APIs of ECR, Parameter Store and IAM do and ministack's leave out."""

from __future__ import annotations

import functools
from typing import Any

from local.ecs import Json, ministack

ACCESS_KEYS = 2  # of an IAM user: docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html


def mend_apis() -> None:
    """Put all of this into the imported ministack."""
    _mend_registry()
    _mend_parameters()
    _mend_access_keys()


def _mend_registry() -> None:
    """Have ECR's DescribeImages refuse an image that is not there: otherwise the CDK CLI takes it for published."""
    ecr = ministack("services.ecr")
    describe = ecr._describe_images

    def describe_images(request: Json) -> Any:  # noqa: ANN401 - ministack's response
        name = request.get("repositoryName", "")
        missing = [image for image in request.get("imageIds") or [] if not ecr._find_image(name, image)]
        if name in ecr._repositories and missing:
            reason = f"The image with imageId {missing[0]} does not exist within the repository with name '{name}'"
            return ministack("core.responses").error_response_json("ImageNotFoundException", reason, 400)
        return describe(request)

    ecr._describe_images = describe_images


def _mend_parameters() -> None:
    """Have ECS get a SecureString's plain text, as its agent does: ministack hands it the stored form."""
    ssm = ministack("services.ssm")
    ssm.resolve_parameter_value = functools.partial(ssm.resolve_parameter_value, decrypt=True)


def _mend_access_keys() -> None:
    """Have IAM refuse a user's third access key."""
    iam = ministack("services.iam")
    create = iam._IAM_HANDLERS["CreateAccessKey"]

    def create_access_key(request: Json) -> Any:  # noqa: ANN401 - ministack's response
        user = iam._p(request, "UserName")
        if sum(key["UserName"] == user for key in iam._access_keys.values()) >= ACCESS_KEYS:
            reason = f"Cannot exceed quota for AccessKeysPerUser: {ACCESS_KEYS}"
            return iam._error(409, "LimitExceeded", reason, ns="iam")
        return create(request)

    iam._IAM_HANDLERS["CreateAccessKey"] = create_access_key
