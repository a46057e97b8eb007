"""What several stacks are built of.

A function in Python with its package, a custom resource, a schedule, a key of LiteLLM, a topic with its listeners. None
of them knows which stack it is in.
"""
