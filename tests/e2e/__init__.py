"""Checks of the deployed definition running on this machine."""
