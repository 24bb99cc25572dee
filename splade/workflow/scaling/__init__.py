"""Encoding that scales out: shards shared among processes, whoever starts them, and a collection planned ahead."""
