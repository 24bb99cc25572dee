"""Supervision: queries with documents and scores, from files and collections."""
