"""The CDK application's settings, stacks and constructs."""
