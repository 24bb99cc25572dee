"""Negatives and teacher scores by query and document, on disk."""
