"""The card of a repository, ``README.md``: a header that the hub reads, and sections for people.

Nothing is invented: a licence is the one that was named, a figure stands in a result folder, a recipe in the config of
the training. Paths of the machine are left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from huggingface_hub import DatasetCardData, EvalResult, ModelCardData

from splade.hub.sections import conditions, metrics, recipe, sparsity, table
from splade.results import Result

TASK, TASK_NAME = "sparse-information-retrieval", "Sparse Information Retrieval"
LIBRARY = "sentence-transformers"
TAGS = ("splade", "sparse-encoder", "sparse", "learned-sparse-retrieval")
NO_LICENCE = "none"


class About(NamedTuple):
    """Everything that a card tells of a model or an index."""

    repo: str
    licence: str  # as the hub spells it; `NO_LICENCE`: none is declared
    fingerprints: Mapping[str, str]
    results: Sequence[Result] = ()
    base_model: str | None = None  # of a model: what it was trained from; of an index: the model of its queries
    datasets: Sequence[str] = ()  # names on the hub of the training data
    licence_name: str | None = None
    licence_link: str | None = None


class Model(NamedTuple):
    """The model of a card: its kind, settings and training step, and why Sentence Transformers cannot load it."""

    kind: str
    settings: Mapping[str, Any]
    vocab_size: int
    unsaid: str = ""  # "" where Sentence Transformers makes the same vectors
    recipe: Mapping[str, Any] = {}  # empty where no config of the training is known
    dense: bool = False
    step: int | None = None  # of the training, that these weights are of


def model_card(about: About, model: Model) -> str:
    """The card of a model, Markdown with YAML front matter."""
    header = ModelCardData(
        **_licence(about),
        library_name="splade" if model.unsaid else LIBRARY,
        pipeline_tag="feature-extraction",
        tags=_tags(model),
        base_model=about.base_model,
        datasets=list(about.datasets) or None,
        model_name=about.repo.split("/")[1],
        eval_results=_evaluated(about.results) or None,
    )
    parts = [
        f"# {about.repo.split('/')[1]}",
        _model_in_words(about, model),
        "## Use",
        _use_of_model(about, model),
        *metrics(about.results),
        *sparsity(about.results),
        *recipe(model.recipe),
        *conditions(about.results),
        _licence_in_words(about),
    ]
    return _written(header.to_yaml(), parts)


def index_card(about: About, engines: Mapping[str, Mapping[str, Any]]) -> str:
    """The card of an index folder; ``engines`` are the facts of each engine that has documents there, by name."""
    header = DatasetCardData(
        **_licence(about),
        tags=["splade", "sparse-index", "information-retrieval"],
        task_categories=["text-retrieval"],
        viewer=False,
    )
    names = list(dict.fromkeys(name for facts in engines.values() for name in facts))
    rows = [
        (name, about.fingerprints.get(name) or "none", *(facts.get(each, "") for each in names))
        for name, facts in engines.items()
    ]
    parts = [
        f"# {about.repo.split('/')[1]}",
        "An index folder of splade. Its queries are encoded by "
        + (f"`{about.base_model}`." if about.base_model else "the model with the same fingerprint."),
        table(["engine", "fingerprint", *names], rows),
        "## Use",
        _block(
            "bash",
            f"python -m splade.pull {about.repo} config.index_dir=INDEX",
            "python -m splade.retrieve config.index_dir=INDEX config.checkpoint_dir=DIR "
            "'data.Q_COLLECTION_PATH=[QUERIES]' 'config.retrieval_name=[NAME]' config.out_dir=OUT",
        ),
        "DIR is the folder of the model. Searching with a model of another fingerprint is refused.",
        *metrics(about.results),
        *sparsity(about.results),
        *conditions(about.results),
        _licence_in_words(about),
    ]
    return _written(header.to_yaml(), parts)


def _licence(about: About) -> dict[str, Any]:
    if about.licence == NO_LICENCE:
        return {}
    named = {"license_name": about.licence_name, "license_link": about.licence_link}
    return {"license": about.licence} | {name: value for name, value in named.items() if value}


def _licence_in_words(about: About) -> str:
    if about.licence == NO_LICENCE:
        return "## Licence\n\nNone is declared: ask the owner before you use this."
    named = about.licence_name or about.licence
    return f"## Licence\n\n{f'[{named}]({about.licence_link})' if about.licence_link else named}"


def _tags(model: Model) -> list[str]:
    tags = ["splade", "dense"] if model.dense else [*TAGS]
    return ([] if model.unsaid else [LIBRARY]) + [*tags, "feature-extraction"]


def _evaluated(results: Sequence[Result]) -> list[EvalResult]:
    return [
        EvalResult(
            task_type=TASK,
            task_name=TASK_NAME,
            dataset_type="-".join(result.dataset.split()),  # figures of one type are taken for one set's
            dataset_name=result.dataset,
            metric_type=name,
            metric_name=name,
            metric_value=value,
        )
        for result in results
        for name, value in result.metrics.items()
    ]


def _model_in_words(about: About, model: Model) -> str:
    settings = {name: value for name, value in model.settings.items() if value not in (None, "", False)}
    rows = [("kind", model.kind), ("terms" if not model.dense else "numbers", model.vocab_size), *settings.items()]
    base = f" trained from `{about.base_model}`" if about.base_model else ""
    what = "dense retrieval model" if model.dense else "learned sparse retrieval model"
    fingerprint = about.fingerprints.get("model", "")
    rows += [("training step", model.step)] if model.step is not None else []
    return f"A {what}{base}.\n\n" + table(["", ""], [*rows, ("fingerprint", fingerprint)])


def _use_of_model(about: About, model: Model) -> str:
    ours = _block(
        "bash",
        f"python -m splade.pull {about.repo} config.checkpoint_dir=DIR",
        "python -m splade.index config.checkpoint_dir=DIR data.COLLECTION_PATH=COLLECTION config.index_dir=INDEX",
        "python -m splade.retrieve config.checkpoint_dir=DIR config.index_dir=INDEX "
        "'data.Q_COLLECTION_PATH=[QUERIES]' 'config.retrieval_name=[NAME]' config.out_dir=OUT",
    )
    if model.unsaid:
        return (
            f"{ours}\n\nSentence Transformers does not make these vectors: {model.unsaid}. `SparseEncoder` would load "
            "something else from this repository; load it with splade, "
            f'`splade.models.load_retriever("{about.repo}")`.'
        )
    theirs = _block(
        "python",
        "from sentence_transformers import SparseEncoder",
        "",
        f'model = SparseEncoder("{about.repo}")',
        'queries = model.encode_query(["heat of the sun"])',
        'documents = model.encode_document(["the heat of the sun and the water of the sea"])',
        "print(model.similarity(queries, documents))",
    )
    return f"{ours}\n\nThe same vectors with Sentence Transformers (5 or later):\n\n{theirs}"


def _block(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])


def _written(header: str, parts: Sequence[str]) -> str:
    return f"---\n{header}\n---\n\n" + "\n\n".join(part for part in parts if part) + "\n"
