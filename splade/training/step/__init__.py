"""One optimizer step over a global batch."""
