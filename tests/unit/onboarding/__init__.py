"""Accounts from Slack: the functions of lambda/onboarding."""
