"""Write an export: documents and queries through a target, whole or absent, gone on with after an interruption.

All is made in a hidden folder beside the one it is for, moved there when it is complete, the manifest last.
"""

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from splade.exporting.anserini import term_words
from splade.exporting.manifest import (
    FORMAT_VERSION,
    MAGIC,
    MANIFEST,
    TERMS,
    all_files,
    are_there,
    described,
    files_in,
    read_manifest,
    read_terms,
)
from splade.exporting.tally import Tally
from splade.exporting.target import ExportTarget, FileTarget, Observed, Written
from splade.files import PART, InputError, check_writable, make_folder, read_json, whole_file, write_json
from splade.locks import Lock
from splade.records import SparseBatch

logger = logging.getLogger(__name__)

DOCUMENTS, QUERIES, KEY, DONE = "documents", "queries", "key.json", "documents.json"


class Named(NamedTuple):
    """A target of the catalog with the arguments that it was made with."""

    name: str
    target: Any  # an ExportTarget; a ModelTarget where the model itself is written
    arguments: dict[str, Any]


class Given(NamedTuple):
    """The documents to be written. Those that are there already are asked for nothing but their names."""

    batches: Callable[[], Iterable[SparseBatch]]  # all of them in order; asked for twice
    texts: Callable[[], Iterable[str]] | None  # their texts in order, where they are at hand
    tokens: Callable[[], Sequence[str | None]]  # what terms are called; known when `batches` has been read once
    named: bool  # False: terms are known by their numbers alone
    fingerprint: str
    origin: dict[str, Any]


QuerySets = Mapping[str, Callable[[int], Iterable[SparseBatch]]]
"""By folder, "" for the export's own, the queries of a set over a number of terms."""


def export(chosen: Named, given: Given, queries: QuerySets, folder: str | Path) -> dict[str, Any]:
    """Write ``given`` and ``queries`` into ``folder`` as ``chosen`` does, and return the manifest.

    Documents that are there already, written from the same vectors by a target with the same arguments, are kept, and
    an interrupted export continues with its whole files. Files of an export before go. Memory: what the target holds,
    and the words of all terms. InputError while another process writes there.
    """
    folder = Path(folder)
    check_writable(folder)
    staged = staging(folder)
    lock = Lock(staged / "lock", "Wait for it, or stop it", "export")
    try:
        _publish(staged, folder)  # what was complete when a process was killed while it moved files
        key = json.loads(json.dumps([chosen.name, chosen.arguments, given.fingerprint, given.origin]))
        target, there = chosen.target, _kept(folder, key)
        if there is None:
            observed, words, renamed = _observe(given)
        else:
            logger.info("%s holds these documents already: %d", folder, there["documents"]["n_texts"])
            observed, words, renamed = Observed(**there["observed"]), read_terms(folder), there["terms"]["renamed"]
        if isinstance(target, FileTarget):
            target.prepare(observed)
        documents = _documents(target, given, words, staged, key) if there is None else there["documents"]
        if isinstance(target, FileTarget):
            target.documents_in = staged / DOCUMENTS if there is None else folder
        manifest = {
            "magic": MAGIC,
            "format_version": FORMAT_VERSION,
            "target": chosen.name,
            "arguments": chosen.arguments,
            "key": key,
            "observed": observed._asdict(),
            "documents": documents,
            "queries": _queries(target, queries, words, staged),
            "terms": _terms(words, renamed, staged),
            **(target.about() if isinstance(target, FileTarget) else {}),
        }
        write_json(staged / MANIFEST, manifest)
        _publish(staged, folder)
        shutil.rmtree(staged)
    except BaseException:
        if staged.is_dir() and {path.name for path in staged.iterdir()} == {"lock"}:  # nothing to go on with
            shutil.rmtree(staged)
        raise
    finally:
        lock.release()
    return manifest


def staging(folder: Path) -> Path:
    """The folder in which an export for ``folder`` is made; what a source keeps for it may lie there too."""
    return folder.with_name(f".{folder.resolve().name}.exporting")


def _observe(given: Given) -> tuple[Observed, list[str], dict[str, str]]:
    """Counts of all documents, the word of each term, and the tokens of those that are called otherwise."""
    n_docs = n_postings = width = 0
    largest = 0.0
    for batch in given.batches():
        n_docs, n_postings = n_docs + len(batch.ids), n_postings + len(batch.rows.columns)
        width, largest = max(width, batch.vocab_size), max(largest, float(batch.rows.weights.max(initial=0)))
    tokens = list(given.tokens())
    width = max(width, len(tokens), 1)
    words = term_words(tokens, width) if given.named else list(map(str, range(width)))
    pairs = zip(words, tokens, strict=False) if given.named else ()
    renamed = {word: token for word, token in pairs if token is not None and word != token}
    return Observed(n_docs, n_postings, width, largest), words, renamed


def _documents(
    target: ExportTarget, given: Given, words: Sequence[str], staged: Path, key: list[Any]
) -> dict[str, Any]:
    if _read(staged / KEY) != key:
        for name in (DOCUMENTS, QUERIES):
            shutil.rmtree(staged / name, ignore_errors=True)
        (staged / DONE).unlink(missing_ok=True)
        write_json(staged / KEY, key)
    if (staged / DONE).is_file():
        return dict(read_json(staged / DONE))
    tally = Tally(target, "document") if isinstance(target, FileTarget) else None
    make_folder(staged / DOCUMENTS)
    for half in (staged / DOCUMENTS).rglob(f".*{PART}"):  # of a process that was killed
        if half.is_file():
            half.unlink()
    if isinstance(target, FileTarget):
        target.resuming = True
    written = target.write_documents(staged / DOCUMENTS, _with_texts(_counted(given.batches(), tally), given), words)
    if isinstance(target, FileTarget):
        target.resuming = False
    told = _told(written, tally) | {"files": files_in(staged / DOCUMENTS)}
    write_json(staged / DONE, told)
    return told


def _queries(target: ExportTarget, queries: QuerySets, words: Sequence[str], staged: Path) -> dict[str, Any]:
    shutil.rmtree(staged / QUERIES, ignore_errors=True)
    told = {}
    for name, batches in sorted(queries.items()):  # "" before the folders within it
        tally = Tally(target, "query") if isinstance(target, FileTarget) else None
        place = staged / QUERIES / name
        make_folder(place)
        written = target.write_queries(place, _counted(batches(len(words)), tally), words)
        told[name] = _told(written, tally) | {"files": files_in(place, staged / QUERIES)}
    return told


def _terms(words: Sequence[str], renamed: dict[str, str], staged: Path) -> dict[str, Any]:
    with whole_file(staged / TERMS) as stream:
        stream.writelines(f"{word}\n" for word in words)
    if renamed:
        word, token = next(iter(renamed.items()))
        logger.info("%d terms have another word than their token, as %s for %r", len(renamed), word, token)
    return {"n": len(words), "renamed": renamed, "file": described(staged / TERMS)}


def _told(written: Written, tally: Tally | None) -> dict[str, Any]:
    if tally is None:
        return {"n_texts": written.n_texts, "n_empty": written.n_empty}
    if tuple(written) != (tally.n_texts, tally.n_empty):
        raise AssertionError(f"{tuple(written)} texts were written of {(tally.n_texts, tally.n_empty)}")
    return {"n_texts": tally.n_texts, "n_empty": tally.n_empty} | tally.told()


def _counted(batches: Iterable[SparseBatch], tally: Tally | None) -> Iterator[SparseBatch]:
    for batch in batches:
        if tally is not None:
            tally.add(batch)
        yield batch


def _with_texts(batches: Iterable[SparseBatch], given: Given) -> Iterator[tuple[SparseBatch, Sequence[str]]]:
    texts = None if given.texts is None else iter(given.texts())
    for batch in batches:
        yield batch, [""] * len(batch.ids) if texts is None else [next(texts) for _ in batch.ids]


def _kept(folder: Path, key: list[Any]) -> dict[str, Any] | None:
    """The manifest of an export in ``folder`` whose documents and terms may stay; None where they are written anew."""
    before = _before(folder)
    if before is None or before["key"] != key:
        return None
    files = before["documents"]["files"] | {TERMS: before["terms"]["file"]}
    return before if are_there(folder, files) else None


def _before(folder: Path) -> dict[str, Any] | None:
    """The manifest that is in ``folder``; None where there is none that can be read."""
    try:
        return read_manifest(folder)
    except InputError:
        return None


def _publish(staged: Path, folder: Path) -> None:
    """Move a complete export to ``folder``; nothing where there is none."""
    if not (staged / MANIFEST).is_file():
        return
    manifest, before = read_manifest(staged), _before(folder)
    make_folder(folder)
    (folder / MANIFEST).unlink(missing_ok=True)
    stale = set(all_files(before)) - set(all_files(manifest)) if before is not None else set()
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    for part, files in _parts(manifest):
        for name in files:
            if (staged / part / name).is_file():
                make_folder((folder / name).parent)
                (staged / part / name).replace(folder / name)
    (staged / MANIFEST).replace(folder / MANIFEST)


def _parts(manifest: dict[str, Any]) -> Iterator[tuple[str, Iterable[str]]]:
    yield DOCUMENTS, manifest["documents"]["files"]
    for told in manifest["queries"].values():
        yield QUERIES, told["files"]
    yield "", [TERMS]


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (InputError, OSError):
        return None
