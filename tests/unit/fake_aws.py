"""AWS's answers by service and operation, as an operators' command gets them from boto3: each checked against AWS's own
description of the service, what is asked as well as what is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import boto3
import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.handlers import json_decode_policies
from botocore.model import ServiceModel
from botocore.validate import validate_parameters

Answer = Mapping[str, Any] | Exception | Callable[..., Any]
Answers = dict[tuple[str, str], Answer]


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.Session().get_service_model(service)


def refusal(code: str, message: str = "no") -> ClientError:
    """AWS's refusal of an operation."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class FakeAws:
    """A boto3 session: `answers` by service and method, each a value, an error, or what makes one of the arguments.

    A method may have the region behind it (`get_inference_profile@us-east-1`), which goes before the one without.
    """

    def __init__(self, answers: Answers, *, endpoint: str = "https://sts.amazonaws.com") -> None:
        self.answers = answers
        self.endpoint = endpoint
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.region_name: str | None = None

    @property
    def session(self) -> boto3.Session:
        return cast(boto3.Session, self)

    def client(self, service: str, region_name: str = "ap-northeast-1", **_: object) -> _Client:
        return _Client(self, service, region_name)

    def get_credentials(self) -> object:
        return object()

    def get_partition_for_region(self, region: str) -> str:
        return "aws"


class _Client:
    def __init__(self, aws: FakeAws, service: str, region: str) -> None:
        self._aws, self._service, self._region = aws, service, region
        self._operations = {xform_name(name): name for name in _model(service).operation_names}
        self.meta = SimpleNamespace(endpoint_url=aws.endpoint)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        operation = _model(self._service).operation_model(self._operations[method])

        def call(**arguments: Any) -> Any:  # noqa: ANN401 - any answer
            self._aws.asked.append((self._service, method, arguments))
            _valid(arguments, operation.input_shape)
            answers = self._aws.answers
            answer = answers.get((self._service, f"{method}@{self._region}"), answers.get((self._service, method)))
            assert answer is not None, f"{self._service}.{method} was not expected"
            if callable(answer):
                answer = answer(**arguments)
            if isinstance(answer, Exception):
                raise answer
            _valid(answer, operation.output_shape)
            if self._service == "iam":  # boto3 reads a policy's document
                answer = deepcopy(answer)
                json_decode_policies(answer, operation)
            return answer

        return call

    def get_paginator(self, method: str) -> _Paginator:
        return _Paginator(getattr(self, method))


def _valid(value: Any, shape: Any) -> None:  # noqa: ANN401 - botocore's
    if shape is not None:
        validate_parameters(value, shape)


class _Paginator:
    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask

    def paginate(self, **arguments: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
        yield self._ask(**arguments)
