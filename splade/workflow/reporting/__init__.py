"""Models, indexes and collections for reports and comparisons, and commands for expected values."""
