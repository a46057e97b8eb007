"""The running gateway of the end-to-end tests, for those that take too long to be run with each change."""

from tests.e2e.conftest import gateway, outside, user

__all__ = ["gateway", "outside", "user"]
