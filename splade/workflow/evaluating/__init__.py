"""Evaluation by a config: its conventions, the name of the system, and suites of evaluation sets."""
