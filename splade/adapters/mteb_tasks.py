"""Texts and judgements of one's own as a retrieval task of MTEB. Needs the extra ``mteb``, loaded when called."""

from collections.abc import Iterable
from typing import Any

from splade.records import Qrels, Text

UNSAID = (
    "reference", "date", "domains", "task_subtypes", "license", "annotations_creators", "dialect", "sample_creation",
    "bibtex_citation",
)  # fmt: skip


def local_task(
    name: str,
    documents: Iterable[Text],
    queries: Iterable[Text],
    qrels: Qrels,
    *,
    drop_self_matches: bool = False,
    language: str = "eng-Latn",
) -> Any:
    """The task called ``name``; its split is ``test``, its main score nDCG@10. Nothing is downloaded.

    ``drop_self_matches`` as MTEB's ``ignore_identical_ids``: a document with the query's id is no result.
    """
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    about = TaskMetadata(
        name=name, description=name, dataset={"path": f"local/{name}", "revision": "local"}, type="Retrieval",
        category="t2t", modalities=["text"], eval_splits=["test"], eval_langs=[language], main_score="ndcg_at_10",
        **dict.fromkeys(UNSAID),
    )  # fmt: skip
    corpus, asked = ([{"id": text.id, "text": text.text} for text in texts] for texts in (documents, queries))

    class Local(AbsTaskRetrieval):  # type: ignore[misc]
        """The task."""

        metadata = about
        ignore_identical_ids = drop_self_matches

        def load_data(self, **kwargs: Any) -> None:  # noqa: ARG002 - of the base
            """Hand over what is in memory."""
            split = {"relevant_docs": {query: dict(grades) for query, grades in qrels.items()}, "top_ranked": None}
            rows = {"corpus": Dataset.from_list(corpus), "queries": Dataset.from_list(asked)}
            self.dataset = {"default": {"test": split | rows}}
            self.data_loaded = True

    return Local()
