"""The limits that a planned collection meets: of our index's format, and of this machine's memory and disk."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from splade.indexing.layout.blocked import MOST_SLOTS
from splade.kernels.faults import LARGEST
from splade.planning.laws import Estimate

OTHERS = "Milvus, OpenSearch, Elasticsearch, Vespa, Qdrant"

Foresee = Callable[[int], Estimate]


class Machine(NamedTuple):
    """Bytes of memory, and bytes free on the disk of the folder that is written to."""

    memory: int
    disk: int


def this_machine(folder: Path) -> Machine:
    """The memory of this machine and what is free where ``folder`` is, or will be."""
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return Machine(memory, shutil.disk_usage(place).free)


def beyond_the_format(plan: Estimate) -> list[str]:
    """A sentence for each limit of one index that ``plan`` is beyond."""
    found = []
    if plan.documents > LARGEST:
        found.append(f"{plan.documents:,} documents are more than an index can number ({LARGEST:,})")
    if plan.slots > MOST_SLOTS:
        found.append(f"{plan.slots:,.0f} slots of skip tables are more than an index can number ({MOST_SLOTS:,})")
    return found


def beyond_the_machine(plan: Estimate, machine: Machine) -> list[str]:
    """A sentence for each need of one index that ``machine`` cannot meet."""
    found = []
    if plan.build_memory > machine.memory:
        found.append(f"the build holds {_gib(plan.build_memory)} of memory, and here are {_gib(machine.memory)}")
    if plan.build_disk > machine.disk:
        found.append(f"the build needs {_gib(plan.build_disk)} of disk, and {_gib(machine.disk)} are free")
    if plan.index_bytes > machine.memory:
        found.append(
            f"the index ({_gib(plan.index_bytes)}) is larger than memory ({_gib(machine.memory)}): searches would read "
            "the disk"
        )
    return found


def advice(plan: Estimate, machine: Machine, foresee: Foresee) -> list[str]:
    """Sentences about one collection: whether one index holds it, and what to do where it does not.

    ``foresee`` is the estimate for another number of documents.
    """
    told = _of_encoding(plan, machine)
    problems = beyond_the_format(plan) + beyond_the_machine(plan, machine)
    if not problems:
        return [*told, "one index of ours on this machine"]
    most = most_documents(plan.documents, machine, foresee)
    if not most:
        return [*told, *problems, f"no index fits here: another machine, or an engine of many ({OTHERS})"]
    n_indexes = -(-plan.documents // most)
    return [
        *told,
        *problems,
        f"{n_indexes:,} indexes of up to {most:,} documents each, on as many machines like this one; or an engine that "
        f"spreads over machines ({OTHERS}), fed by splade.export",
    ]


def _of_encoding(plan: Estimate, machine: Machine) -> list[str]:
    if plan.encode_memory is None or plan.encode_memory <= machine.memory:
        return []
    return [
        f"a worker of the encoding holds {_gib(plan.encode_memory)}, most of it the places of all texts: cut the "
        "collection into several files, and encode and index each of them as a collection of its own"
    ]


def most_documents(documents: int, machine: Machine, foresee: Foresee) -> int:
    """The largest number of documents, up to ``documents``, of an index within all limits; to two digits."""
    fits, fails = 0, documents + 1
    while fails - fits > max(1, fits // 100):
        middle = (fits + fails) // 2
        plan = foresee(middle)
        if beyond_the_format(plan) or beyond_the_machine(plan, machine):
            fails = middle
        else:
            fits = middle
    step = 10 ** max(len(str(fits)) - 2, 0)
    return fits // step * step


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / (1 << 30):,.1f} GiB"


def disagreement(values: Sequence[float | None]) -> float | None:
    """Percent by which two foreseen values differ, of the second one; None where one of them is missing."""
    one, other = values
    if one is None or other is None:
        return None
    return 100 * abs(one - other) / other if other else 0.0
