"""Arrays in files: the same bytes however they are written, and in pieces that large pages of memory can hold."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.indexing.format import storage
from splade.indexing.format.storage import LARGE_PAGE, ArrayWriter, map_array

PAGE, UNDER_ONE_CHECKSUM = 16, 64


class Recorded(io.RawIOBase):
    """A stream that keeps what it was given, piece by piece."""

    def __init__(self):
        self.pieces = []

    def writable(self):
        return True

    def write(self, octets):
        self.pieces.append(bytes(octets))
        return len(octets)


@given(st.lists(st.integers(0, 150), max_size=12))
@settings(deadline=None)
def test_all_but_the_last_piece_of_a_file_are_whole_pages(tmp_path_factory, sizes):
    folder = tmp_path_factory.mktemp("arrays")
    whole = np.random.default_rng(0).integers(0, 256, sum(sizes)).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "PIECE", UNDER_ONE_CHECKSUM)
        patch.setattr(storage, "LARGE_PAGE", PAGE)
        entries = []
        for parts in (sizes, [sum(sizes)]):
            writer, raw = ArrayWriter(folder, "array", whole.dtype), Recorded()
            writer._stream.close()
            writer._stream = io.BufferedWriter(raw, PAGE)
            with writer:
                for part in np.split(whole, np.cumsum(parts)[:-1].astype(int)) if parts else []:
                    writer.write(part)
                writer.flush()
                assert b"".join(raw.pieces) == whole.tobytes()
                assert all(len(piece) % PAGE == 0 for piece in raw.pieces[:-1])
            entries.append(writer.entry)
    assert entries[0] == entries[1]
    assert len(entries[0]["crc32"]) == -(-whole.size // UNDER_ONE_CHECKSUM)


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="large pages are Linux's")
def test_large_arrays_are_mapped_with_a_wish_for_large_pages(tmp_path):
    entries = {}
    for name, length in (("large", LARGE_PAGE // 4 + 1), ("small", LARGE_PAGE // 4 - 1)):
        with ArrayWriter(tmp_path, name, np.dtype("<f4")) as writer:
            writer.write(np.arange(length, dtype=np.float32))
        entries[name] = writer.entry
    arrays = {name: map_array(tmp_path, name, entry) for name, entry in entries.items()}
    assert arrays["large"][-1] == LARGE_PAGE // 4
    wishes = {}
    for part in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        for name in entries:
            if str(tmp_path / f"{name}.bin") in part:
                wishes[name] = "hg" in re.search(r"VmFlags:(.*)", part).group(1).split()
    assert wishes == {"large": True, "small": False}
