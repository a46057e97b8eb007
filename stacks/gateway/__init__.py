"""The gateway: LiteLLM behind its edge.

`stack` is given the network, the database, the mail's configuration set and config.yaml. It hands out the edge, the
service and its log to whoever watches them, and `private_url` to functions that ask it.
"""
