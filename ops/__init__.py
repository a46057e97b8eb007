"""Operators' commands, run as `python -m ops.<name>`; the Makefile has a target for each."""
