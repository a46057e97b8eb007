"""Checks of single modules and scripts."""
