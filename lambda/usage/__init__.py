"""Who uses which model, how many tokens, at what cost: LiteLLM's figures, told in Slack and held against the bill."""
