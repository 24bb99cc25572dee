"""The work that commands share: models and data of a config, encoding, indexes, checks before work."""
