"""Writes a company's two files from its answers: `make init`. `__main__` has the command."""
