"""Brings over a LiteLLM that runs elsewhere: `make import FILE=config.yaml`. `__main__` has the command.

`source` reads the file, and `around` what was around it: `compose`, `helm` and `ecs` have a form each. In a `Tree`
`prepare` changes what is known to be otherwise here, `needed` adds what this gateway relies on, and `judging` asks the
reader of stacks/litellm_config and mends what that refuses, by the table of `mending`. All of them say in the `Ledger`
what becomes of each value, of which `report` makes the report. `answering` has the rest asked as `make init` does.
"""
