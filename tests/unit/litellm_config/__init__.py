"""The reading of a company's config.yaml."""
