"""The image: what container/ puts into it."""
