"""Targets whose files hold postings: impacts as whole numbers, by term."""
