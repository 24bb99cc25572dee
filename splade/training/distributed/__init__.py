"""Ranks, weights that are spread over them, and memory that is computed again."""
