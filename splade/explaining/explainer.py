"""From texts to explanations, by the encoders of a model."""

from collections.abc import Iterable

from splade.explaining.bags import bag_of, held_bag, shared_terms
from splade.explaining.matches import match_of
from splade.explaining.records import Bag, Match
from splade.explaining.side_by_side import SideBySide, compare
from splade.explaining.sides import SideEncoder
from splade.indexing import Index
from splade.kernels.sparse import slice_rows
from splade.records import Text


class Explainer:
    """Explains texts and scores of one model.

    ``query`` and ``document`` are its encoders. ``name`` is what it is called beside others. Of each term the
    ``n_positions`` heaviest positions are kept, and all that gave its maximum. ValueError for encoders of other sides.
    """

    def __init__(self, query: SideEncoder, document: SideEncoder, *, name: str = "", n_positions: int = 8) -> None:
        for side, encoder in (("query", query), ("document", document)):
            if encoder.side != side:
                raise ValueError(f"the {side} encoder of an Explainer encodes each {encoder.side}: swap the two")
        if n_positions < 1:
            raise ValueError(f"n_positions must be at least 1, got {n_positions}")
        self.encoders, self.name, self.n_positions = {"query": query, "document": document}, name, n_positions

    def bag(self, text: str | Text, side: str = "document") -> Bag:
        """The terms of ``text`` as a query or a document, heaviest first, with the tokens behind each.

        ValueError for another ``side``.
        """
        return self.bags([text], side)[0]

    def bags(self, texts: Iterable[str | Text], side: str = "document") -> list[Bag]:
        """A `bag` for each text; they are encoded together."""
        if side not in self.encoders:
            raise ValueError(f"side must be 'query' or 'document', got {side!r}")
        encoder = self.encoders[side]
        named = [text if isinstance(text, Text) else Text("", text) for text in texts]
        rows = encoder.encode_all(named).rows
        return [
            bag_of(encoder, text, slice_rows(rows, row, row + 1), self.name, self.n_positions)
            for row, text in enumerate(named)
        ]

    def match(self, query: str | Text | Bag, document: str | Text | Bag) -> Match:
        """The terms that make the score of ``query`` and ``document``, texts or bags of this model."""
        return match_of(self._bag(query, "query"), self._bag(document, "document"))

    def hit(
        self, query: str | Text | Bag, index: Index, doc_id: str, text: str | None = None, *, whole: bool = True
    ) -> Match:
        """The terms that make the score of a document of ``index``, with the weights that the index keeps.

        ``text`` is the document's, where it is known: it tells own terms from expanded ones and where they come
        from. Without ``whole``, terms that the query lacks are not read: on large indexes that takes much less time.
        InputError where the index has no such document.
        """
        asked = self._bag(query, "query")
        vector = shared_terms(index, asked, doc_id)
        if whole:
            vector = index.vectors(index.doc_ids.numbers([doc_id]))
        known = None if text is None else self.bag(Text(doc_id, text))
        return match_of(asked, held_bag(index, vector, doc_id, self.encoders["document"], known, self.name))

    def compare(
        self, other: "Explainer", text: str | Text, document: str | Text | None = None, *, side: str = "document"
    ) -> SideBySide:
        """One text, or a query and a ``document``, by this model and by ``other``, side by side."""
        if document is None:
            return compare(self.bag(text, side), other.bag(text, side))
        return compare(self.match(text, document), other.match(text, document))

    def _bag(self, text: str | Text | Bag, side: str) -> Bag:
        if not isinstance(text, Bag):
            return self.bag(text, side)
        if text.side != side:
            raise ValueError(f"expected the bag of a {side}, got that of a {text.side}")
        return text
