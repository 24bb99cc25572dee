"""Validation as in use: encode a collection, index it in memory, search it with queries, evaluate."""

import logging
from collections.abc import Iterable, Sequence

from splade.dense.index import DenseBatch, in_matrix
from splade.encoding import Encoder
from splade.engines import OWN, Documents, Queries, engine_of, kind_of
from splade.evaluation.conventions import drop_self_matches, search_depth
from splade.evaluation.metrics import evaluate
from splade.files import InputError
from splade.models import Retriever
from splade.records import Qrels, Run, SparseBatch, Text

logger = logging.getLogger(__name__)


class FullRanking:
    """Metrics of ``model`` on judged queries over a whole, small collection.

    ``collection`` is read again at each validation; its vectors are held in memory. Judged queries
    without text count 0, with a warning when made; queries without judgements are not searched.
    ``drop_self_matches``: a document with the id of the query is no result, as BEIR has it.
    """

    def __init__(
        self,
        collection: Iterable[Text],
        queries: Iterable[Text],
        qrels: Qrels,
        *,
        top_k: int = 1000,
        batch_size: int = 32,
        fp16: bool = False,
        drop_self_matches: bool = False,
    ) -> None:
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        self.drop_self_matches = drop_self_matches
        self.collection, self.qrels, self.top_k = collection, qrels, top_k
        self.batch_size, self.fp16 = batch_size, fp16
        self.queries = [query for query in queries if query.id in qrels]
        if not self.queries:
            raise InputError(
                "data.VALIDATION_FULL_RANKING: none of the queries in Q_COLLECTION_PATH is judged in QREL_PATH"
            )
        if len(self.queries) < len(qrels):
            logger.warning(
                "data.VALIDATION_FULL_RANKING: %d of %d judged queries have no text in Q_COLLECTION_PATH and count 0",
                len(qrels) - len(self.queries),
                len(qrels),
            )

    def __call__(self, model: Retriever, metrics: Sequence[str]) -> dict[str, float]:
        """The ``metrics`` of the model as it is; it is left in the mode it was in."""
        documents = self._encode(model, "document", self.collection)
        queries = self._encode(model, "query", self.queries)
        if not documents.ids:
            raise InputError("data.VALIDATION_FULL_RANKING.D_COLLECTION_PATH has no documents")
        opened = OWN[engine_of(model)](None).build(Documents(lambda _: [documents], model.vocab_size, None, "", {}))
        policy = "beir" if self.drop_self_matches else "off"
        depth = min(search_depth(self.top_k, policy, ""), len(documents.ids))
        rankings = drop_self_matches(opened.search(Queries(queries), depth), self.top_k, policy, "")
        run: Run = {
            ranking.query_id: dict(zip(ranking.doc_ids, ranking.scores.tolist(), strict=True)) for ranking in rankings
        }
        return evaluate(run, self.qrels, list(metrics))

    def _encode(self, model: Retriever, side: str, texts: Iterable[Text]) -> SparseBatch | DenseBatch:
        device = next(model.parameters()).device
        found = Encoder(model, side, batch_size=self.batch_size, device=device, fp16=self.fp16).encode_all(texts)
        return in_matrix(found) if kind_of(model) == "dense" else found
