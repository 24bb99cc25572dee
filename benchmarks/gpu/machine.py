"""The device that is checked, the sizes that suit it, and the measuring."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import transformers
from torch import Tensor

from splade.models.backbones.gpu import TENSOR_CORES
from splade.models.backbones.loading import quiet_loading
from splade.models.encoders.mlm import MlmEncoder

Row = dict[str, Any]


class Sizes(NamedTuple):
    """Of what is computed."""

    texts: int
    length: int
    width: int
    terms: int
    layers: int
    heads: int
    batches: tuple[int, ...]  # texts encoded at once
    objective: tuple[int, int]  # queries, and documents of each


LARGE = Sizes(32, 256, 768, 30522, 6, 12, (32, 128, 512), (256, 33))
SMALL = Sizes(2, 16, 32, 300, 2, 2, (4,), (4, 2))


class Machine:
    """One device: a GPU with sizes of use, or a processor with small ones, where only the script is tried."""

    def __init__(self, device: str | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.is_gpu = self.device.type == "cuda"
        self.sizes = LARGE if self.is_gpu else SMALL
        self.capability = torch.cuda.get_device_capability(self.device) if self.is_gpu else (0, 0)

    @property
    def types(self) -> tuple[torch.dtype, ...]:
        """The types of product that are of use on the device."""
        if not self.is_gpu:
            return (torch.float32,)
        halves = (torch.bfloat16, torch.float16) if self.capability >= TENSOR_CORES else (torch.float16,)
        return (*halves, torch.float32)

    def finish(self) -> None:
        """Wait until the device has done everything."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def milliseconds(self, work: Callable[[], object], repeats: int = 10, warm: int = 3) -> float:
        """The mean time of ``work``, after ``warm`` calls; on a processor of one call."""
        for _ in range(warm if self.is_gpu else 1):
            work()
        self.finish()
        start = time.perf_counter()
        repeats = repeats if self.is_gpu else 1
        for _ in range(repeats):
            work()
        self.finish()
        return (time.perf_counter() - start) * 1e3 / repeats

    def peak_gib(self, work: Callable[[], object]) -> float | None:
        """The most memory of the device that ``work`` had at once, with what was held before; None on a processor."""
        if not self.is_gpu:
            work()
            return None
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        work()
        return torch.cuda.max_memory_allocated(self.device) / 2**30

    def tokens(self, n_texts: int, length: int | None = None) -> tuple[Tensor, Tensor]:
        """Random token ids and their mask [n_texts, length]."""
        ids = torch.randint(5, self.sizes.terms, (n_texts, length or self.sizes.length), device=self.device)
        return ids, torch.ones_like(ids)

    @contextmanager
    def encoder(self, kind: str = "DistilBert") -> Iterator[MlmEncoder]:
        """A sparse encoder of random weights, of the size of a base model."""
        size = self.sizes
        shapes = {
            "DistilBert": {
                "dim": size.width,
                "n_layers": size.layers,
                "n_heads": size.heads,
                "hidden_dim": 4 * size.width,
            },
            "Bert": {
                "hidden_size": size.width,
                "num_hidden_layers": size.layers,
                "num_attention_heads": size.heads,
                "intermediate_size": 4 * size.width,
            },
        }
        config = getattr(transformers, f"{kind}Config")(vocab_size=size.terms, **shapes[kind])
        with TemporaryDirectory() as folder:
            with quiet_loading():
                getattr(transformers, f"{kind}ForMaskedLM")(config).save_pretrained(folder)
            model = MlmEncoder(Path(folder))
        yield model.to(self.device)

    def autocast(self, dtype: torch.dtype) -> Any:
        """Products in ``dtype``."""
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)


def name_of(dtype: torch.dtype) -> str:
    """``float32`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")
