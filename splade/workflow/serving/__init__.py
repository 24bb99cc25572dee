"""A server's parts, from a config."""
