"""Building, appending, deleting, merging."""
