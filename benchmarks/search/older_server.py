"""Answers `benchmarks.search.older` from the checkout that PYTHONPATH names: JSON, a request and an answer a line."""

import json
import sys
from pathlib import Path

sys.path.pop(0)  # this file's folder: modules are those of the checkout


def main() -> None:
    """Serve until the input ends; other output goes to the errors."""
    import numpy as np
    import scipy.sparse as sp

    from benchmarks.search.ours import Ours
    from benchmarks.search.vectors import Vectors

    answers, sys.stdout = sys.stdout, sys.stderr
    engine = Ours(**json.loads(sys.argv[1]))
    for line in sys.stdin:
        asked, said = json.loads(line), {}
        if asked["do"] == "build":
            vectors, inputs = Vectors(Path(asked["vectors"])), Path(asked["inputs"])
            engine.prepare(vectors, inputs)
            engine.build(vectors, inputs, Path(asked["folder"]), asked["n_threads"])
        elif asked["do"] == "open":
            said["seconds"] = engine.open(Path(asked["folder"]))
        else:
            docs, seconds = engine.search(sp.load_npz(asked["queries"]).tocsr(), asked["k"])
            np.save(asked["docs"], docs)
            said["seconds"] = seconds.tolist()
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
