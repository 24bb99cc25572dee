"""Small commands that look at what the others made."""
