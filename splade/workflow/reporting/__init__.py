"""What reports and comparisons take from models, indexes and collections, and expected values from commands."""
