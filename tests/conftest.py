"""For every suite."""

import os

# The templates' rules have a test of their own; elsewhere they would only take time. aws_cdk reads it when imported.
os.environ["CDK_VALIDATION"] = "false"
# The product's tests are of the example company; those of `tests/company` are of whoever has taken the checkout over.
os.environ.setdefault("COMPANY_UNDER_TEST", os.environ.get("COMPANY", ""))
os.environ["COMPANY"] = "tests/companies/tokyo"
