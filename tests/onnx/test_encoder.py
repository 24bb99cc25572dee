"""The encoder by onnxruntime: in everything as the encoder by torch, and without torch."""

import numpy as np
import pytest

from splade.encoding import Encoder
from splade.exporting.models import export_model
from splade.files import InputError
from splade.kernels.sparse import to_dense
from splade.models import Splade
from splade.onnx.encoder import OnnxEncoder, onnx_encoder
from splade.onnx.folder import OnnxModel
from splade.onnx.target import Onnx
from splade.records import Text
from tests.onnx.conftest import MODEL

TEXTS = [Text(f"d{number}", " ".join(["heat wave sea river snow ice"] * (number % 7))) for number in range(40)]


def dense(batch):
    return to_dense(batch.rows, batch.vocab_size)


@pytest.mark.parametrize("side", ["document", "query"])
def test_texts_of_all_lengths_have_the_vectors_of_the_model_in_their_order(source, exported, side):
    own = Encoder(Splade(source, **MODEL), side, batch_size=4, device="cpu")
    other = onnx_encoder(OnnxModel(exported), side, batch_size=4, batch_tokens=50)
    expected, found = own.encode_all(TEXTS), other.encode_all(TEXTS)
    assert found.ids == expected.ids
    np.testing.assert_allclose(dense(found), dense(expected), atol=1e-4)
    assert (other.n_cut, other.max_length) == (own.n_cut, own.max_length)
    assert other.n_cut > 0
    assert (other.terms, other.fingerprint(), other.vocab_size) == (own.terms, own.fingerprint(), own.vocab_size)


def test_no_texts_make_no_vectors(exported):
    assert onnx_encoder(OnnxModel(exported), "document").encode_all([]).ids == ()


def test_settings_of_the_use_are_those_of_the_model(source, exported):
    changed = {"top_q": 3, "prompt_q": "find ", "max_length_q": 9}
    own = Encoder(Splade(source, **{**MODEL, **changed}), "query", device="cpu").encode_all(TEXTS)
    found = onnx_encoder(OnnxModel(exported, changed), "query").encode_all(TEXTS)
    assert np.diff(found.rows.offsets).max() == 3
    np.testing.assert_allclose(dense(found), dense(own), atol=1e-4)


def test_a_length_without_positions_is_refused(exported):
    with pytest.raises(InputError, match=r"config\.max_length=600: this model has positions for 512"):
        OnnxModel(exported, {"max_length": 600})


def test_where_padding_would_count_texts_of_one_length_are_computed_together(exported):
    model = OnnxModel(exported)
    model.about["sides"]["document"]["pads"] = False
    encoder = OnnxEncoder(model, "document", batch_size=3)
    lengths = np.array([4, 2, 4, 4, 2, 4])
    assert [bucket.tolist() for bucket in encoder._buckets(lengths)] == [[1, 4], [0, 2, 3], [5]]


@pytest.mark.parametrize("wrong", ["batch_size", "batch_tokens", "n_threads"])
def test_numbers_below_1_are_refused(exported, wrong):
    with pytest.raises(ValueError, match=f"{wrong} must be at least 1"):
        OnnxEncoder(OnnxModel(exported), "document", **{wrong: 0})


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"export\.target=onnx"):
        OnnxModel(tmp_path)


def test_encoding_and_proving_load_no_torch(exported, run_python):
    told = run_python(
        "import sys; from splade.exporting.checking import check_export; from splade.onnx.target import Onnx; "
        "from splade.onnx.encoder import onnx_encoder; from splade.onnx.folder import OnnxModel; "
        "from splade.records import Text; "
        f"model = OnnxModel({str(exported)!r}); "
        "print(len(onnx_encoder(model, 'query').encode_all([Text('q', 'the heat of the sun')]).rows.columns) > 0); "
        f"check_export({str(exported)!r}, lambda name, arguments: Onnx(**arguments)); "
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    assert told.split() == ["True", "False", "False"]


@pytest.mark.slow
def test_texts_of_the_users_own_are_proven_too(source, tmp_path):
    model = Splade(source, **MODEL)
    export_model(Onnx(), "onnx", {}, model, TEXTS, tmp_path / "model")
    assert TEXTS[6].text in (tmp_path / "model" / "proof-document.json").read_text()
