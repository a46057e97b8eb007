"""Checks of the synthesized CloudFormation templates."""
