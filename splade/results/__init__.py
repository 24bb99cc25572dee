"""Result folders: the run, its metrics, the figures of each query, and what they rest on and cost."""

from splade.results.folder import Result, is_result, read_result, write_result

__all__ = ["Result", "is_result", "read_result", "write_result"]
