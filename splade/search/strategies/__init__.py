"""Strategies of search, one a file, and what they share."""
