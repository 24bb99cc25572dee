"""Counts, sizes and durations in the text form of Prometheus, under the names of Text Embeddings Inference."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = tuple(float(1 << power) for power in range(0, 16))

HELP = {
    "te_request_count": "Requests by method",
    "te_request_success": "Requests answered, by method",
    "te_request_failure": "Requests refused or failed, by kind of error",
    "te_request_duration": "Seconds from a request's arrival to its answer",
    "te_request_tokenization_duration": "Seconds of tokenising a request's texts",
    "te_request_queue_duration": "Seconds that a request's texts waited",
    "te_request_inference_duration": "Seconds of encoding the batches of a request's texts",
    "te_request_search_duration": "Seconds of searching",
    "te_request_input_length": "Tokens of a text",
    "te_batch_next_size": "Texts in a batch",
    "te_batch_next_tokens": "Tokens in a batch",
    "te_queue_size": "Texts that wait",
    "te_index_generation": "Times that the index was opened",
    "te_index_docs": "Documents in the index",
}


class Metrics:
    """Measures of one server; any thread may add to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = defaultdict(int)
        self._histograms: dict[str, list[float]] = {}  # counts of buckets, then of all, then the sum
        self._gauges: dict[str, Callable[[], float]] = {}

    def count(self, name: str, label: str = "") -> None:
        """Add one to a counter; ``label`` is ``name="value"``."""
        with self._lock:
            self._counts[name, label] += 1

    def observe(self, name: str, *values: float) -> None:
        """Add values to a histogram."""
        bounds = _bounds(name)
        with self._lock:
            kept = self._histograms.setdefault(name, [0.0] * (len(bounds) + 2))
            for value in values:
                for place, bound in enumerate(bounds):
                    kept[place] += value <= bound
                kept[-2] += 1
                kept[-1] += value

    def gauge(self, name: str, value: Callable[[], float]) -> None:
        """Have ``name`` tell what ``value()`` gives when it is asked."""
        self._gauges[name] = value

    def text(self) -> str:
        """All measures, as Prometheus reads them."""
        with self._lock:
            counts = dict(self._counts)
            histograms = {name: list(kept) for name, kept in self._histograms.items()}
        lines: list[str] = []
        for name in dict.fromkeys(name for name, _ in counts):
            lines += _head(name, "counter")
            lines += [f"{name}{_labels(label)} {n}" for (own, label), n in counts.items() if own == name]
        for name, kept in histograms.items():
            lines += [*_head(name, "histogram"), *_buckets(name, kept)]
        for name, value in self._gauges.items():
            lines += [*_head(name, "gauge"), f"{name} {value():g}"]
        return "\n".join(lines) + "\n"


def _bounds(name: str) -> Sequence[float]:
    return SECONDS if name.endswith("duration") else SIZES


def _head(name: str, kind: str) -> list[str]:
    return [f"# HELP {name} {HELP.get(name, name)}", f"# TYPE {name} {kind}"]


def _labels(label: str) -> str:
    return f"{{{label}}}" if label else ""


def _buckets(name: str, kept: Sequence[float]) -> list[str]:
    lines = [f'{name}_bucket{{le="{bound:g}"}} {n:g}' for bound, n in zip(_bounds(name), kept, strict=False)]
    return [
        *lines,
        f'{name}_bucket{{le="+Inf"}} {kept[-2]:g}',
        f"{name}_sum {kept[-1]:.9g}",
        f"{name}_count {kept[-2]:g}",
    ]
