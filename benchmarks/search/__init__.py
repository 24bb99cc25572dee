"""Search engines for learned sparse vectors, side by side: ``python -m benchmarks.search --help``."""
