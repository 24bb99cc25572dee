"""Comparisons with other systems: one command each, results as JSON and a table."""
