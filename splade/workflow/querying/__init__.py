"""Queries as vectors: by any encoder in the terms of an index, or looked up in a table. Starts without torch."""
