"""Arrays and header on disk."""
