"""The two sides of a model: texts or token ids of a request in, their vectors and the time they took out."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.data.tokens.tokenize import padded
from splade.encoding.protocol import TextEncoder
from splade.encoding.reading import Direction, Row
from splade.kernels.sparse import concatenate, slice_rows
from splade.records import SparseBatch, SparseRows
from splade.serving.batching import Batcher, Done
from splade.serving.errors import Backend, Empty, NotTokenized, NotValid, Overloaded
from splade.serving.limits import Limits
from splade.serving.metrics import Metrics

Input = str | Sequence[int]
"""A text, or the ids of its tokens, special ones among them."""


class Work(NamedTuple):
    """One text on its way through the batches."""

    side: str
    ids: list[int]


class Times(NamedTuple):
    """Seconds of one request."""

    tokenization: float = 0.0
    queue: float = 0.0
    inference: float = 0.0


class Encoded(NamedTuple):
    """The vectors of a request's inputs, in their order."""

    batch: SparseBatch
    rows: list[Row]  # the token ids that were read of each
    characters: int
    times: Times
    device: str = "cpu"  # the kind of device that made them

    @property
    def n_tokens(self) -> int:
        """The tokens of all inputs."""
        return sum(len(row.ids) for row in self.rows)

    def vector(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The terms and weights of one input."""
        part = slice(*self.batch.rows.offsets[number : number + 2])
        return self.batch.rows.columns[part], self.batch.rows.weights[part]


class Sides:
    """The encoders of a model by side, and a batcher that all requests share.

    ``load(side)`` makes the encoder of a side, the first time that one is asked for; InputError of it is answered as
    the backend's error. ``lock`` is held while the model computes: whoever else uses the model takes it.
    """

    def __init__(
        self, load: Callable[[str], TextEncoder], limits: Limits, metrics: Metrics, readers: Executor | None = None
    ) -> None:
        self._load, self.limits, self.metrics, self._readers = load, limits, metrics, readers
        self._encoders: dict[str, TextEncoder] = {}
        self._loading, self.lock = threading.Lock(), threading.Lock()
        self.batcher: Batcher[Work] = Batcher(
            self._run,
            batch_tokens=limits.max_batch_tokens,
            batch_size=limits.max_batch_requests or limits.queue_size,
            queue_size=limits.queue_size,
            batched=self._batched,
        )

    def encoder(self, side: str) -> TextEncoder:
        """The encoder of a side, made the first time."""
        with self._loading:
            if side not in self._encoders:
                self._encoders[side] = self._load(side)
            return self._encoders[side]

    def warm(self, side: str) -> None:
        """Load the encoder of a side, and encode a text that nobody waits for."""
        encoder = self.encoder(side)
        with self.lock:
            encoder.encode_tokens(encoder.reading().batch([""]))

    @property
    def loaded(self) -> Mapping[str, TextEncoder]:
        """The encoders that were made, by side."""
        return dict(self._encoders)

    async def encode(
        self,
        side: str,
        inputs: Sequence[Input],
        *,
        deadline: float,
        truncate: bool = True,
        direction: Direction = "right",
    ) -> Encoded:
        """The vectors of ``inputs``; ``deadline`` is a time of the monotonic clock.

        Empty without inputs, NotValid for a text that is too long where it must not be cut, NotTokenized for ids that
        are no tokens, Overloaded where the queue is full or the deadline passes, Backend where the model fails.
        """
        if not inputs:
            raise Empty("`inputs` is empty: give a text, or a list with one at least")
        began = time.monotonic()
        is_new = side not in self._encoders
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._readers, self._read, side, inputs, truncate, direction)
        tokenized = time.monotonic() - began
        deadline += tokenized if is_new else 0  # that a model is loaded is no fault of this request
        works = [(Work(side, row.ids), len(row.ids)) for row in rows]
        done = await _all(self.batcher.submit(works, deadline), deadline)
        batch = _joined([each.result for each in done], self.encoder(side).vocab_size)
        times = Times(tokenized, max(each.queued for each in done), max(each.computed for each in done))
        self._observe(rows, times)
        device = getattr(getattr(self.encoder(side), "device", None), "type", "cpu")
        return Encoded(batch, rows, sum(len(text) for text in inputs if isinstance(text, str)), times, device)

    def close(self) -> None:
        """Compute what waits, and stop."""
        self.batcher.close()

    def _read(self, side: str, inputs: Sequence[Input], truncate: bool, direction: Direction) -> list[Row]:
        encoder = self.encoder(side)
        reading, texts = encoder.reading(), [each for each in inputs if isinstance(each, str)]
        try:
            of_texts = iter(reading.rows(texts, direction=direction) if texts else [])
        except (UnicodeEncodeError, TypeError) as error:
            raise NotTokenized("`inputs`: a text has half of a character (a lone surrogate) in it") from error
        rows = []
        for number, each in enumerate(inputs):
            row = next(of_texts) if isinstance(each, str) else self._of_ids(encoder, each, number, direction)
            if row.cut and not truncate:
                n_tokens = reading.lengths([each])[0] if isinstance(each, str) else len(each)
                raise NotValid(
                    f"`inputs`[{number}] has {n_tokens} tokens, and no more than {encoder.max_length} are read; "
                    "shorten it, or set `truncate` to true"
                )
            rows.append(row)
        return rows

    @staticmethod
    def _of_ids(encoder: TextEncoder, ids: Sequence[int], number: int, direction: Direction) -> Row:
        if not ids:
            raise Empty(f"`inputs`[{number}] is empty: give token ids, one at least")
        n_tokens = encoder.reading().n_tokens
        if wrong := [id for id in ids if not 0 <= id < n_tokens]:
            raise NotTokenized(f"`inputs`[{number}]: {wrong[0]} is no token id; they are 0 to {n_tokens - 1}")
        most = encoder.max_length
        if len(ids) <= most:
            return Row(list(ids), False)
        return Row(list(ids[:most] if direction == "right" else ids[-most:]), True)

    def _run(self, works: list[Work]) -> list[SparseRows]:
        results: list[SparseRows | None] = [None] * len(works)
        for side in dict.fromkeys(work.side for work in works):
            numbers = [number for number, work in enumerate(works) if work.side == side]
            tokens = padded([works[number].ids for number in numbers])
            with self.lock:
                rows = self.encoder(side).encode_tokens(tokens).rows
            for place, number in enumerate(numbers):
                results[number] = slice_rows(rows, place, place + 1)
        return [rows for rows in results if rows is not None]

    def _batched(self, n_texts: int, n_tokens: int) -> None:
        self.metrics.observe("te_batch_next_size", n_texts)
        self.metrics.observe("te_batch_next_tokens", n_tokens)

    def _observe(self, rows: Sequence[Row], times: Times) -> None:
        self.metrics.observe("te_request_input_length", *(len(row.ids) for row in rows))
        for name, seconds in times._asdict().items():
            self.metrics.observe(f"te_request_{name}_duration", seconds)


async def _all(futures: Sequence[Future[Done]], deadline: float) -> list[Done]:
    """The results of all futures by the deadline; what still waits then is cancelled."""
    waiting: list[asyncio.Future[Done]] = [asyncio.wrap_future(future) for future in futures]
    try:
        return list(await asyncio.wait_for(asyncio.gather(*waiting), max(deadline - time.monotonic(), 0)))
    except asyncio.TimeoutError as error:
        raise Overloaded("the deadline passed before the answer was there", retry_after=1) from error
    except (Overloaded, asyncio.CancelledError):
        raise
    except Exception as error:
        raise Backend(f"the model failed ({type(error).__name__}); the server's log has the reason") from error
    finally:
        for each in waiting:
            each.cancel()


def _joined(rows: Sequence[SparseRows], vocab_size: int) -> SparseBatch:
    return SparseBatch(tuple(map(str, range(len(rows)))), concatenate(list(rows)), vocab_size)
