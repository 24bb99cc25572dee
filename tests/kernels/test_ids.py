import numpy as np

from splade.kernels.ids import hash_ids


def test_hashes_are_the_published_fnv1a_values():
    text = np.frombuffer(b"afoobar", np.uint8)
    expected = [0xCBF29CE484222325, 0xAF63DC4C8601EC8C, 0x85944171F73967E8]  # "", "a", "foobar"
    assert hash_ids(text, np.array([0, 0, 1, 7])).tolist() == expected
