"""Looks at what a deployment relies on in an environment's AWS account: `make doctor`. `__main__` has the command.

A check is given the `account` and yields a `finding` for each thing that it looks at. There is a file of checks for
each subject: `region`, `network`, `bootstrap`, `quotas`, `secrets`, `domain`, `messages` and `models`. `examination`
makes them all, and `report` says what they found. `make init` makes those that need no more than its answers.
"""
