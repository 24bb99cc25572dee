"""From bytes to records, with file and line in every error."""
