"""The exact state of an interrupted training, and whether a run may continue from it.

``<dir>/model_ckpt/last/`` holds ``state.pt``, tensors and plain values only, so that it is read
without running code, and ``describe.json``, the settings of the run. Folders are replaced whole; a
kill between the two renames of a replacement leaves the former folder aside, and ``recover`` puts it back.
"""

import logging
import random
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from splade.files import InputError, place_of, read_json, whole_folder, write_json
from splade.losses.scores import Needs
from splade.regularization.penalties import Penalty
from splade.training.step.settings import TrainingSettings, plain

logger = logging.getLogger(__name__)

FORMAT = 1
MAY_GROW = frozenset({"nb_iterations"})
MAY_DIFFER = frozenset({"train_monitoring_freq", "device", "checkpoint_dir", "micro_batch_size"})
WRITTEN = ("model", "training_log.csv", "training_log.jsonl", "tensorboard", "model_ckpt/last")


def description_of(
    settings: TrainingSettings,
    loss: Needs,
    penalties: Iterable[Penalty],
    model: Any,
    n_examples: int,
    run: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Everything that decides the weights of a training, for JSON; ``run`` is added to it."""
    parts = {
        "loss": plain(loss),
        "penalties": {
            f"{each.name}_{each.side}": {"measure": plain(each.measure), "ramp": plain(each.ramp)} for each in penalties
        },
        "model": plain(getattr(model, "settings", dict)()),
        # Absent where nothing is masked: so trained what was begun before there was the setting.
        "mask_answers": (settings.mask_answers and loss.needs_in_batch) or None,
    }
    return {
        "trainer": {**settings.described(), **parts, "n_examples": n_examples},
        "run": plain(run or {}),
    }


def save_state(folder: str | Path, state: Mapping[str, Any], describe: Mapping[str, Any]) -> None:
    """Write the checkpoint ``folder``, whole or not at all."""
    with whole_folder(folder) as temporary:
        with (temporary / "state.pt").open(
            "wb"
        ) as stream:  # Python's file says when the disk is full, torch's does not
            torch.save({"format": FORMAT, **state}, stream)
        write_json(temporary / "describe.json", describe)


def load_state(folder: str | Path) -> dict[str, Any]:
    """The state in the checkpoint ``folder``, on the CPU; InputError where it cannot be read."""
    path = Path(folder) / "state.pt"
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for damaged files
        raise InputError(
            f"{path}: the training state cannot be read ({error}). Delete {Path(folder).parent} to train from the "
            "start, or restore it from a copy"
        ) from error
    if state.get("format") != FORMAT:
        raise InputError(f"{path}: format {state.get('format')!r}, this version reads {FORMAT}")
    return state


def check_same_run(folder: str | Path, describe: Mapping[str, Any]) -> None:
    """InputError naming the settings in which ``describe`` differs from the run that wrote ``folder``.

    ``nb_iterations`` may grow; what changes neither the weights nor which of them are kept may differ. What is absent
    is null, so that a setting that came with a later version does not stop a training begun without it.
    """
    described = Path(folder) / "describe.json"
    if not described.exists():
        raise InputError(f"{described} is missing: delete {Path(folder).parent} to train from the start")
    before = dict(_flat(read_json(described)))
    now = dict(_flat(describe))
    differences = [
        f"{key} was {before.get(key, 'absent')!r}, is now {now.get(key, 'absent')!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and not _allowed(key, before.get(key), now.get(key))
    ]
    if differences:
        if len(differences) > SHOWN:
            differences = [*differences[:SHOWN], f"and {len(differences) - SHOWN} more"]
        raise InputError(
            f"config.checkpoint_dir: {Path(folder).parents[1]} holds a training with other settings: "
            f"{'; '.join(differences)}. Choose another config.checkpoint_dir, restore the settings (only "
            "config.nb_iterations may grow), or set config.resume=false to discard that training and start anew"
        )


def recover(path: str | Path) -> None:
    """Undo what a kill during the replacement of the folder ``path`` left behind."""
    path = place_of(path)
    former = path.with_name(f".{path.name}.old")
    if former.exists():
        if path.exists():
            shutil.rmtree(former)
        else:
            former.replace(path)
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        shutil.rmtree(leftover, ignore_errors=True)


def discard(folder: str | Path) -> None:
    """Delete the training in ``folder``, its model and its logs, with a warning; other files there stay.

    The state goes last: until then, a kill leaves a training that is refused for want of its model.
    """
    found = [path for path in (Path(folder) / name for name in WRITTEN) if path.exists()]
    if found:
        logger.warning("config.resume=false: the earlier training in %s is discarded", folder)
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def random_states() -> dict[str, Any]:
    """The states of the generators of Python, NumPy, torch and the current CUDA device, as tensors and plain values."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Put the generators back; CUDA's only where one device's state was kept."""
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal), gauss_next))
    kind, keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((kind, np.asarray(keys, np.uint32), position, has_gauss, gauss))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == 1:
        torch.cuda.set_rng_state(states["cuda"][0])


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch: before a model with new weights is made."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


SHOWN = 8  # differences that an error lists


def _allowed(key: str, before: Any, now: Any) -> bool:
    last = key.rpartition(".")[2]
    if last in MAY_GROW and isinstance(before, int) and isinstance(now, int):
        return now >= before
    return last in MAY_DIFFER


def _flat(value: Mapping[str, Any], address: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted address and value of every leaf."""
    for key, inner in value.items():
        here = f"{address}{key}"
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{here}.")
        else:
            yield here, inner
