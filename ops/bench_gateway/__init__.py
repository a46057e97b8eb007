"""Measures the gateway's request path: `make bench-gateway`.

Three LiteLLMs run side by side, each with a database and simulated providers of its own, and are asked in turn.
"""
