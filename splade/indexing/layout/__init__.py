"""From vectors to blocks of postings."""
