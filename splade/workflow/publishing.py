"""A model or an index made ready for a hub, with a card of what the config and the result folders say."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import try_to_load_from_cache
from omegaconf import DictConfig, OmegaConf

from splade.config import configure
from splade.engines import OWN
from splade.files import InputError, read_json
from splade.hub import About, Kind, Parcel, files_of, index_card, index_in, manifest_of, model_card, model_in
from splade.hub.card import Model
from splade.reports.experiment import result_folders
from splade.results import Result, read_result

logger = logging.getLogger(__name__)

ADDRESSES: dict[Kind, str] = {"model": "config.checkpoint_dir", "index": "config.index_dir"}
DESCRIPTION, SAVED, SAME = "splade.json", "config.yaml", "the same vectors"
OF_TRAINING = (
    "lr", "lr_query_table", "weight_decay", "warmup_steps", "warmup_ratio", "nb_iterations", "max_steps",
    "num_train_epochs", "train_batch_size", "per_device_train_batch_size", "gradient_accumulation_steps",
    "max_grad_norm", "ema_decay", "teacher_temperature", "in_batch_negatives", "mask_answers", "fp16", "bf16", "seed",
)  # fmt: skip
HUB_NAME = re.compile(r"\w[\w.-]*(/[\w.-]+)?")
OF_PENALTY = {"lambda_q": "λ_q", "lambda_d": "λ_d", "T": "T", "target_q": "target L0_q", "target_d": "target L0_d"}


def kind_of(chosen: DictConfig, named: Collection[str], address: str) -> Kind:
    """The kind that a command is about: ``chosen.kind``, or that whose folder is ``named``; InputError if that is open.

    ``address`` is the setting of the kind.
    """
    kinds: list[Kind] = [each for each, folder in ADDRESSES.items() if folder in named]
    if chosen.kind is not None:
        return "index" if chosen.kind == "index" else "model"
    if len(kinds) != 1:
        how = "both are named" if kinds else "neither is named"
        raise InputError(
            f"{' and '.join(ADDRESSES.values())}: {how}, so say which is meant: {address}=model or {address}=index"
        )
    return kinds[0]


def folder_of_kind(chosen: DictConfig, kind: Kind) -> Path:
    """The folder that the config has for models or indexes; InputError where it has none."""
    folder = chosen.checkpoint_dir if kind == "model" else chosen.index_dir
    if folder is None:
        raise InputError(f"{ADDRESSES[kind]} is not set: name the folder of the {kind}")
    return Path(folder)


@contextmanager
def parcel_of(chosen: DictConfig, kind: Kind) -> Iterator[Parcel]:
    """The files, the card and the manifest of the push that ``chosen`` asks for, for the time of the block."""
    _check_licence(chosen)
    folder = folder_of_kind(chosen, kind)
    if kind == "index":
        yield _index_parcel(chosen, folder)
        return
    place = model_in(folder)
    with TemporaryDirectory(prefix="splade-push-") as temporary:
        yield _model_parcel(chosen, folder, place, Path(temporary) / "model")


def recipe_of(folder: str | Path) -> tuple[dict[str, Any], str | None]:
    """The settings of a training by name, and the model on the hub that it started from; both may be empty.

    They are read from the ``config.yaml`` in ``folder``. Paths are left out.
    """
    file = Path(folder) / SAVED
    if not file.is_file():
        return {}, None
    try:
        cfg = configure("train", env={"SPLADE_CONFIG_FULLPATH": str(file)})
        trainer, loss, penalties, source = (_resolved(cfg, name) for name in ("trainer", "loss", "penalties", "model"))
    except InputError as error:
        logger.warning("%s is not used for the card: %s", file, error)
        return {}, None
    trainer = {**trainer, **(trainer.get("trainer") or {})}
    found: dict[str, Any] = {"loss": _loss_in_words(loss), "training data": str(cfg.kinds.examples)}
    found |= {f"penalty {name}": _penalty_in_words(each) for name, each in _penalties(penalties.get("settings"))}
    found |= {"ramp of the penalties": penalties.get("ramp")} if penalties.get("settings") else {}
    found |= {name: trainer[name] for name in OF_TRAINING if trainer.get(name) not in (None, False)}
    return found, _hub_name(source.get("model_type_or_dir"))


def _model_parcel(chosen: DictConfig, folder: Path, place: Path, temporary: Path) -> Parcel:
    """The parcel of the model in ``place``, which is written to ``temporary`` where it is not in our form yet."""
    from splade.models import load_retriever, save_retriever  # torch is loaded for models alone

    model = load_retriever(place)
    if not _in_form(place):
        save_retriever(model, temporary)
        place = temporary
    described = read_json(place / DESCRIPTION)
    said = str(described.get("sentence_transformers", SAME))
    unsaid = "" if said == SAME else said
    if unsaid:
        logger.warning("%s: Sentence Transformers cannot make these vectors: %s. The card says so", place, unsaid)
    fingerprint = {"model": model.fingerprint()}
    values, base = recipe_of(folder)
    extra = described.get("extra") or {}
    about = _about(chosen, fingerprint, "model", base)
    facts = Model(
        str(described["kind"]),
        described["settings"],
        model.vocab_size,
        unsaid,
        values,
        dense=not model.is_sparse,
        step=extra.get("training_step"),
    )
    files = files_of(place)
    return Parcel(files, model_card(about, facts), manifest_of("model", fingerprint, files))


def _index_parcel(chosen: DictConfig, folder: Path) -> Parcel:
    opened = {name: OWN[name](folder).open() for name in index_in(folder)}
    fingerprints = {name: each.fingerprint for name, each in opened.items()}
    facts = {name: _plain(each.facts()["index"]) for name, each in opened.items()}
    files = files_of(folder)
    about = _about(chosen, fingerprints, "index", None)
    return Parcel(files, index_card(about, facts), manifest_of("index", fingerprints, files))


def _in_form(place: Path) -> bool:
    """True for a folder of `save_retriever`, which says whether Sentence Transformers can make the vectors."""
    return (place / DESCRIPTION).is_file() and "sentence_transformers" in read_json(place / DESCRIPTION)


def _about(chosen: DictConfig, fingerprints: Mapping[str, str], kind: Kind, base: str | None) -> About:
    results = [result for folder in chosen.results for result in _results_in(folder)]
    for number, result in enumerate(results):
        _refuse_other(result, kind, fingerprints)
        if result.dataset in [each.dataset for each in results[:number]]:
            raise InputError(
                f"push.results: two results are of {result.dataset}, {result.folder} is one: name one of them"
            )
    return About(
        chosen.repo,
        chosen.licence,
        fingerprints,
        results,
        chosen.base_model or base,
        list(chosen.datasets),
        chosen.licence_name,
        chosen.licence_link,
    )


def _results_in(folder: str) -> list[Result]:
    found = [read_result(each) for each in result_folders(Path(folder))]
    if not found:
        raise InputError(f"push.results={folder}: no result (perf.json) in it or below. Run splade.retrieve first")
    return found


def _refuse_other(result: Result, kind: Kind, fingerprints: Mapping[str, str]) -> None:
    """InputError where a result says that it is of another model or index than is pushed."""
    said = result.fact(f"search_stats.{kind}_fingerprint")
    if said and said not in fingerprints.values():
        raise InputError(
            f"push.results={result.folder}: measured with the {kind} {said}, and {', '.join(fingerprints.values())} is "
            f"pushed. Name results of this {kind}"
        )
    if not said:
        logger.warning("%s does not say with which %s it was measured; it is taken to be this one", result.folder, kind)


def _check_licence(chosen: DictConfig) -> None:
    if chosen.licence == "other" and not (chosen.licence_name and chosen.licence_link):
        raise InputError(
            "push.licence=other: the hub wants its name and an address of its text too: push.licence_name=NAME "
            "push.licence_link=ADDRESS"
        )


def _resolved(cfg: DictConfig, name: str) -> dict[str, Any]:
    found = OmegaConf.to_container(cfg[name], resolve=True) if cfg.get(name) is not None else {}
    return dict(found) if isinstance(found, dict) else {}  # type: ignore[arg-type]


def _loss_in_words(loss: Mapping[str, Any]) -> str:
    name = str(loss.get("_target_", "")).rpartition(".")[2]
    own = {key: value for key, value in _plain(loss).items() if not key.startswith("_")}
    weights = loss.get("weights")
    own |= {"weights": weights} if isinstance(weights, dict) else {}
    return name + (f" ({', '.join(f'{key}={value}' for key, value in own.items())})" if own else "")


def _penalties(settings: Any) -> list[tuple[str, Mapping[str, Any]]]:
    named = settings.items() if isinstance(settings, dict) else []
    return [(str(name), each) for name, each in named if isinstance(each, dict)]


def _penalty_in_words(each: Mapping[str, Any]) -> str:
    return ", ".join(f"{word} {each[name]}" for name, word in OF_PENALTY.items() if each.get(name) is not None)


def _hub_name(source: Any) -> str | None:
    """``source`` where it is the name of a model that was loaded from the hub on this machine; else None.

    A path of another machine can look like such a name.
    """
    text = str(source or "")
    if Path(text).exists() or not HUB_NAME.fullmatch(text):
        return None
    if isinstance(try_to_load_from_cache(text, "config.json"), str):
        return text
    logger.warning("the training began from %s: if that is a model on the hub, push.base_model=%s says so", text, text)
    return None


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers and words among ``values``, and no paths."""
    return {
        str(name): value
        for name, value in values.items()
        if isinstance(value, int | float) or (isinstance(value, str) and "/" not in value)
    }
