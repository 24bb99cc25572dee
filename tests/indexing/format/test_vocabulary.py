import pytest
from hypothesis import given
from hypothesis import strategies as st

from splade.indexing import IndexBuilder, InvertedIndex
from splade.indexing.format.vocabulary import Vocabulary
from tests.kernels.cases import batch, random_batch


@given(st.lists(st.text(max_size=5), unique=True))
def test_stored_terms_come_back(terms):
    vocabulary = Vocabulary(terms)
    assert Vocabulary.from_arrays(vocabulary.arrays()) == vocabulary
    assert list(vocabulary) == terms
    assert [vocabulary.numbers_of[term] for term in terms] == list(range(len(terms)))
    assert list(Vocabulary.from_arrays(vocabulary.arrays(len(terms) // 2))) == terms[len(terms) // 2 :]


def test_a_term_keeps_its_number():
    vocabulary = Vocabulary(["a", "b"])
    assert [vocabulary.add(term) for term in ("b", "c", "a", "c")] == [1, 2, 0, 2]
    assert (len(vocabulary), vocabulary[2]) == (3, "c")
    with pytest.raises(ValueError, match="'a' occurs twice"):
        Vocabulary(["a", "a"])


def test_an_index_knows_what_its_terms_are_called(tmp_path):
    InvertedIndex.from_csr(batch([[1, 2]]), vocabulary=["wind", "tunnel"]).save(tmp_path / "index")
    assert list(InvertedIndex.open(tmp_path / "index").vocabulary) == ["wind", "tunnel"]
    assert InvertedIndex.from_csr(batch([[1, 2]])).vocabulary is None


def test_a_vocabulary_grows_with_the_documents_and_goes_on_where_a_build_was_left(tmp_path):
    def grow(builder, vocabulary, words):
        for word in words:
            vocabulary.add(word)
            matrix = [[0.0] * vocabulary.numbers_of[word] + [1.0] + [0.0] * (len(vocabulary) - 1)]
            matrix[0] = matrix[0][: len(vocabulary)]
            builder.add(batch(matrix, first=builder.n_docs))
            builder.checkpoint()

    words = ["a", "b", "a", "c", "b", "d"]
    straight = Vocabulary()
    builder = IndexBuilder(tmp_path / "straight", vocabulary=straight)
    grow(builder, straight, words)
    whole = builder.finish()
    assert list(whole.vocabulary) == ["a", "b", "c", "d"]
    assert whole.postings.columns.tolist() == [0, 2, 1, 4, 3, 5]
    first = Vocabulary()
    builder = IndexBuilder(tmp_path / "index", vocabulary=first)
    grow(builder, first, words[:4])
    del builder
    second = Vocabulary()
    builder = IndexBuilder(tmp_path / "index", vocabulary=second, resume=True)
    assert (builder.n_docs, list(second)) == (4, ["a", "b", "c"])
    grow(builder, second, words[4:])
    continued = builder.finish()
    assert continued.vocabulary == whole.vocabulary
    for name, array in whole.arrays.items():
        assert (continued.arrays[name] == array).all(), name


def test_a_build_of_another_vocabulary_is_not_continued(tmp_path, caplog):
    builder = IndexBuilder(tmp_path / "index", 30, vocabulary=Vocabulary(map(str, range(30))))
    builder.add(random_batch(0, 20, 30))
    builder.checkpoint()
    del builder
    other = Vocabulary(f"t{i}" for i in range(30))
    assert IndexBuilder(tmp_path / "index", 30, vocabulary=other, resume=True).n_docs == 0
    assert "other vocabulary" in caplog.text


def test_without_a_promised_size_there_are_as_many_terms_as_the_widest_batch_has(tmp_path):
    builder = IndexBuilder(tmp_path / "index")
    builder.add(batch([[1.0]]))
    builder.checkpoint()
    builder.add(batch([[0, 0, 2.0]], first=1))
    assert builder.vocab_size == 3
    builder.checkpoint()
    builder.add(batch([[0, 4.0]], first=2))
    index = builder.finish()
    assert index.vocab_size == 3
    assert index.postings.columns.tolist() == [0, 2, 1]
    assert IndexBuilder(tmp_path / "empty").finish().vocab_size == 1
