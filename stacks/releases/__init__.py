"""What promotes releases, in an account of its own.

`image` is the stack of the repository that all environments pull from, `pipeline` that of CodePipeline (`steps` what it
runs, `findings` what cdk-nag says of it), and `github` those of the roles that GitHub's workflows take on. They are
given the releases' settings and the environments' stages.
"""
