"""A server for the tests of this folder."""

import pytest

from tests.serving.parts import DOCUMENTS, serving_of, write


@pytest.fixture(scope="package")
def serving(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    write(folder, DOCUMENTS)
    made = serving_of(folder)
    yield made
    made.close()
