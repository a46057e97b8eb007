"""Where AWS has its services, by the list inside the pinned botocore: without the network, and without credentials."""

from __future__ import annotations

from functools import cache

import botocore.session


@cache
def regions_of(service: str, *partitions: str) -> frozenset[str]:
    """The regions that are known to have a service (botocore's name), in AWS's main partition if none is named.

    Of some global services no region is listed.
    """
    return frozenset(
        region
        for partition in partitions or ("aws",)
        for region in _session().get_available_regions(service, partition)
    )


@cache
def all_partitions() -> tuple[str, ...]:
    """The partitions that botocore knows: aws, aws-cn, aws-us-gov and others."""
    return tuple(_session().get_available_partitions())


@cache
def partition_of(region: str) -> str:
    """The partition that a region is in: aws for most."""
    partition: str = _session().get_partition_for_region(region)
    return partition


@cache
def _session() -> botocore.session.Session:
    """One for all: each reads the list, of a megabyte, anew."""
    return botocore.session.Session()
