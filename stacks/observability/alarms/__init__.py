"""The alarms of an environment, each with what it means, why its threshold is where it is, and what to do first.

A module each of what is watched; `making` has what they share. `docs/alarms.md` is the same in a table; a test keeps it
in step.
"""
