"""Varints against the definition, number by number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splade.exporting.postings.varints import decode, encode, sizes_of, varint

NUMBERS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 300) | st.integers(0, 63).map(lambda bit: 1 << bit))


@given(NUMBERS, st.sampled_from([10, 13, 1 << 18]))
def test_an_array_is_encoded_as_its_numbers_are_and_read_back_in_pieces(numbers, size):
    octets = encode(np.array(numbers, np.uint64))
    assert octets.tobytes() == b"".join(map(varint, numbers))
    assert sizes_of(np.array(numbers, np.uint64)).tolist() == [len(varint(number)) for number in numbers]
    with pytest.MonkeyPatch.context() as context:
        context.setattr("splade.exporting.postings.varints.AT_ONCE", size)
        assert decode(octets).tolist() == numbers


@pytest.mark.parametrize(
    ("number", "octets"), [(0, "00"), (1, "01"), (127, "7f"), (128, "80 01"), (300, "ac 02"), (2**32, "80 80 80 80 10")]
)
def test_seven_bits_go_into_each_byte_the_lowest_first(number, octets):
    assert varint(number) == bytes.fromhex(octets)


@pytest.mark.parametrize("octets", ["80", "01 ff", "80 80 80 80 80 80 80 80 80 80 01"])
def test_a_varint_that_is_cut_off_or_too_long_is_refused(octets):
    with pytest.raises(ValueError, match=r"cut off|over 10 bytes"):
        decode(np.frombuffer(bytes.fromhex(octets), np.uint8))
