"""A store in this process, for tests of what all systems share."""

import numpy as np

from splade.engines.places.kept import Kept
from splade.engines.places.store import Found

SYSTEMS = {}  # vectors by place, by folder: they outlive the objects, as a server's do


class MemoryStore:
    name = "memory"
    at_once = 3

    def __init__(self, folder, scale=1.0, most=None):
        self.system, self.scale, self.most_found = SYSTEMS.setdefault(str(folder), {}), scale, most

    def create(self, place, about):
        self.system[place] = {"about": about, "rows": {}, "finished": False}

    def put(self, place, first, batch):
        assert len(batch.ids) <= self.at_once
        for row in range(len(batch.ids)):
            own = slice(*batch.rows.offsets[row : row + 2])
            if own.stop > own.start:
                pairs = zip(batch.rows.columns[own].tolist(), batch.rows.weights[own].tolist(), strict=True)
                self.system[place]["rows"][first + row] = dict(pairs)

    def finish(self, place):
        self.system[place]["finished"] = True

    def count(self, place):
        return len(self.system[place]["rows"]) if place in self.system else None

    def about(self, place):
        return self.system[place]["about"] if place in self.system else None

    def drop(self, place):
        self.system.pop(place, None)

    def places(self):
        return sorted(self.system)

    def identity(self):
        return {"scale": self.scale}

    def open(self, place):
        assert self.system[place]["finished"]
        return MemorySearching(self.system[place]["rows"], self.most_found)


class MemorySearching:
    """Among equals, the largest numbers come first: the opposite of the contract's order."""

    concurrent = True

    def __init__(self, rows, most):
        self.rows, self.most = rows, most
        self.limits = []

    def search(self, rows, limit):
        self.limits.append(limit)
        return [self._one(rows, row, limit) for row in range(len(rows.offsets) - 1)]

    def _one(self, rows, row, limit):
        own = slice(*rows.offsets[row : row + 2])
        query = dict(zip(rows.columns[own].tolist(), rows.weights[own].tolist(), strict=True))
        assert query
        scores = {
            number: sum(weight * query.get(term, 0.0) for term, weight in vector.items())
            for number, vector in self.rows.items()
        }
        best = sorted((number for number in scores if scores[number] > 0), key=lambda n: (-scores[n], -n))[:limit]
        return Found(np.array(best, np.int64), np.array([scores[n] for n in best], np.float32))

    def facts(self):
        return {"strategy": "exhaustive", "version": "1"}


class Memory(Kept):
    noted = 4

    def __init__(self, folder, **settings):
        super().__init__(folder, "memory")
        self.settings = settings

    def store(self, folder):
        return MemoryStore(folder, **self.settings)
