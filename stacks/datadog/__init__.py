"""Datadog's side: `stack` is given the settings, and makes of `metrics`, `dashboard` and `monitors` objects in Datadog.

It hands nothing out: LiteLLM sends the records that these objects are made of by itself.
"""
