"""For every suite."""

import os

# The templates' rules have a test of their own; elsewhere they would only take time. aws_cdk reads it when imported.
os.environ["CDK_VALIDATION"] = "false"
