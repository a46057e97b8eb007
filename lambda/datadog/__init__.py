"""What keeps Datadog's objects as the stack defines them: CloudFormation's custom resources for Datadog."""
