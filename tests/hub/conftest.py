"""A stand-in hub, its client set up for this process, and a small model and index to push."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.utils import _http
from omegaconf import DictConfig, OmegaConf

from splade.config import configure
from splade.engines import Dense, Inverted
from splade.engines.conformance import sample_for
from splade.files import write_json
from splade.models import Splade, save_retriever
from splade.pull import pull_folder
from splade.push import push_folder
from splade.results import write_result
from tests.hub.standin import TOKEN, StandIn, serving
from tests.tiny import tiny_mlm

OF_MODEL = "config.checkpoint_dir="
METRICS = {"mrr_10": 0.513778899240856, "ndcg_cut_10": 2 / 3, "recall_100": 1.0}


class NoWaiting:
    """The clock of the hub's client, whose pauses take no time."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training's folder with a tiny model and a config."""
    folder = tmp_path_factory.mktemp("trained")
    model = Splade(tiny_mlm(folder / "mlm", hidden=16, layers=1), max_length=16, prompt_q="find ")
    save_retriever(model, folder / "checkpoint/model", extra={"training_step": 12})
    return folder / "checkpoint"


@pytest.fixture(scope="session")
def index_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two engines' indexes, one of sparse and one of dense vectors."""
    folder = tmp_path_factory.mktemp("indexed") / "index"
    Inverted(folder).build(sample_for("sparse").as_documents())
    Dense(folder).build(sample_for("dense").as_documents())
    (folder / ".unfinished.part").write_text("no part of it")
    return folder


@pytest.fixture(scope="session")
def small_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of few files."""
    folder = tmp_path_factory.mktemp("indexed") / "small"
    Dense(folder).build(sample_for("dense").as_documents())
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A hub, which the client of this process speaks to as the user ``me``."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # of the two ways to send bytes, plain HTTP
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_http, "time", NoWaiting())
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving() as standin:
        monkeypatch.setenv("HF_ENDPOINT", standin.endpoint)
        yield standin
        assert standin.unknown == []
    _http.close_session()


@pytest.fixture
def api(hub: StandIn) -> HfApi:
    """The client."""
    return HfApi(endpoint=hub.endpoint)


@pytest.fixture(scope="session")
def defaults() -> dict[str, DictConfig]:
    """The nodes of the two commands where only what they need is set."""
    given = {"push": ["push.repo=me/small", "push.licence=mit"], "pull": ["pull.repo=me/small"]}
    return {name: configure(name, settings)[f"{name}ing"] for name, settings in given.items()}


@pytest.fixture
def push(model_folder: Path, defaults: dict[str, DictConfig]) -> Callable[..., object]:
    """``push(setting, …)``: the command with these settings, of the model unless they name a folder."""

    def run(*settings: str) -> object:
        named = any(each.startswith("config.") for each in settings)
        return push_folder(
            with_settings(defaults, "push", *settings, *([] if named else [OF_MODEL + str(model_folder)]))
        )

    return run


@pytest.fixture
def pull(defaults: dict[str, DictConfig]) -> Callable[..., object]:
    """``pull(setting, …)``: the command with these settings."""
    return lambda *settings: pull_folder(with_settings(defaults, "pull", *settings))


def with_settings(defaults: dict[str, DictConfig], name: str, *settings: str) -> DictConfig:
    """The config of a command as far as it is read, without composing it each time."""
    given = OmegaConf.from_dotlist([each.removeprefix(f"{name}.").removeprefix("config.") for each in settings])
    node = {**OmegaConf.to_container(defaults[name], resolve=True), **OmegaConf.to_container(given)}
    named = [each.partition("=")[0] for each in settings]
    return OmegaConf.create({f"{name}ing": node, "named": named})


def write_sample_result(folder: Path, fingerprint: str, dataset: str = "TOY", kind: str = "model") -> Path:
    """A result of the model or index with this fingerprint, as retrieval writes it; returns its folder."""
    details = {
        "dataset": dataset,
        "qrels": "/home/somebody/qrels.json",
        "queries": {"judged": 184},
        "conventions": {
            "unanswered": "count 0", "ties": "as written", "self_matches": "self-matches kept (off)",
            "relevance_level": 1,
        },
        "conditions": {
            "command": "python -m splade.retrieve config.out_dir=/home/somebody/out",
            "versions": {"splade": "0.1.0", "torch": "2.13.0"},
            "machine": {"processor": "a processor", "cores": 2, "gpu": "a GPU"},
        },
        "q_stats": {"L0_q": 30.413},
        "search_stats": {
            "engine": "inverted", "strategy": "auto", "index": {"L0_d": 119.826}, "flops": 6.2581,
            f"{kind}_fingerprint": fingerprint,
        },
    }  # fmt: skip
    write_result(folder, METRICS, details)
    write_json(folder / "run.json", {})
    return folder
