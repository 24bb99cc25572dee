"""A collection planned before it is encoded: hours, bytes and memory of N documents, from a sample measured here.

`measure` takes a sample's vectors through our index, a shard, and export targets. `laws` says what becomes of the
figures at N documents, `limits` where that is too much; `answered` writes it down.
"""

from splade.planning.answering import Question, answered
from splade.planning.limits import Machine, this_machine
from splade.planning.measuring import Measured, measure
from splade.planning.sample import Encoding, Sample

__all__ = ["Encoding", "Machine", "Measured", "Question", "Sample", "answered", "measure", "this_machine"]
