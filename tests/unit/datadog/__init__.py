"""The objects in Datadog: lambda/datadog."""
