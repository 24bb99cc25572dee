"""A reranker from the folder that ``save_pretrained`` wrote, or from a plain one of a stated kind."""

from pathlib import Path
from typing import Any

from splade.files import InputError, read_json
from splade.models.rerankers.base import DESCRIPTION, FORMAT, Reranker
from splade.models.rerankers.kinds import CrossEncoder, DuoT5, MonoT5, PairwisePrompt, RankT5

KINDS: dict[str, type[Reranker]] = {kind.kind: kind for kind in (CrossEncoder, RankT5, MonoT5, DuoT5, PairwisePrompt)}


def load_reranker(path: str | Path, kind: str | None = None, **overrides: Any) -> Reranker:
    """The reranker of a folder; ``overrides`` replace saved constructor arguments (``max_length``).

    A folder without ``reranker.json``, or a hub name, needs its ``kind``. InputError where the folder is
    of another kind, of an unknown format, or damaged.
    """
    description = Path(path) / DESCRIPTION
    if description.is_file():
        saved = _read(description)
        if kind not in (None, saved["kind"]):
            raise InputError(f"{path} holds a {saved['kind']} reranker, but config.reranker_type is {kind}")
        return KINDS[saved["kind"]](path, **{**saved["settings"], **overrides})
    if kind is None:
        raise InputError(f"{path} has no {DESCRIPTION}: say its kind, one of {', '.join(KINDS)}")
    if kind not in KINDS:
        raise InputError(f"config.reranker_type={kind}: unknown reranker; accepted: {', '.join(KINDS)}")
    return KINDS[kind](path, **overrides)


def _read(description: Path) -> dict[str, Any]:
    saved = read_json(description)
    if not isinstance(saved, dict) or saved.get("format") != FORMAT:
        raise InputError(f"{description}: not a reranker description of format {FORMAT}: save the model again")
    if saved.get("kind") not in KINDS or not isinstance(saved.get("settings"), dict):
        raise InputError(f"{description}: unknown kind {saved.get('kind')!r}; accepted: {', '.join(KINDS)}")
    return saved
