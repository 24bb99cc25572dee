"""Pages agree with the code: lists are whole, samples have the keys that are written, links lead to sections."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from splade.indexing.layout.blocked import STORED
from splade.search.searcher import STRATEGIES
from tests.conftest import ROOT
from tests.forked import run_well

DOCS = ROOT / "docs"
BLOCK = re.compile(r"```.*?```", re.S)
PAGES = sorted(path.name for path in DOCS.glob("*.md"))


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def code_in(page: str) -> set[str]:
    """The words that a page sets as code, outside its blocks; ``a.{b,c}`` and ``a_*`` stay as they are."""
    return set(re.findall(r"`([^`\n]+)`", BLOCK.sub("", text_of(page))))


def sections(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", text_of(page)), re.M)
    plain = (re.sub(r"[^\w\- ]", "", title.replace("`", "").strip().lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


@pytest.mark.parametrize("page", PAGES)
def test_links_to_sections_lead_to_a_section(page):
    for target, anchor in re.findall(r"\]\(([\w./-]*\.md)?#([\w-]+)\)", text_of(page)):
        assert anchor in sections(target or page), f"{target}#{anchor}"


def test_the_page_of_searching_lists_every_strategy():
    table = text_of("search.md").split("## Strategies")[1].split("\n\n")[1]
    assert re.findall(r"^\| `(\w+)`", table, re.M) == list(STRATEGIES)


def test_the_page_of_the_format_names_every_array_of_the_layout():
    named = code_in("index-format.md")
    for array in STORED:
        family = "block_tail_*" if array.startswith("block_tail_") else array
        assert family in named or array in ("block_head_rows", "block_shape"), array


def test_the_page_of_losses_lists_every_option_and_its_name():
    named = code_in("losses.md")
    for option in options("loss"):
        loss = yaml.safe_load((ROOT / "conf/loss" / f"{option}.yaml").read_text())["loss"]
        assert {option, loss} <= named, option


def test_the_page_of_models_lists_every_kind():
    named = code_in("models.md")
    for option in options("model"):
        settings = yaml.safe_load((ROOT / "conf/model" / f"{option}.yaml").read_text())
        assert settings["config"]["matching_type"] in named, option


def test_the_gigabytes_of_an_index_are_computed_from_measured_bytes():
    measured = (ROOT / "benchmarks/search/README.md").read_text().split("### 5,000,000 documents")[1]
    row = re.search(r"\| splade-float32 \|(.*)\|", measured)
    bytes_per_posting = float(row[1].split("|")[5])
    terms = float(re.search(r"documents of ([\d.]+) terms", measured)[1])
    for weights, saved in (("float32", 0), ("float16", 2), ("uint8", 3)):
        line = re.search(rf"^\| `{weights}` \|(.*)\|$", text_of("choosing.md"), re.M)[1].split("|")
        for cell, documents in zip(line[1:], (8.8e6, 138e6), strict=True):
            expected = documents * terms * (bytes_per_posting - saved) / 1e9
            assert float(cell.split()[0]) == pytest.approx(expected, rel=0.01), (weights, documents)


def rows_of_real_search(strategy):
    """Milliseconds at k = 10, 100 and 1000 of each set of real queries, as the benchmark's page has them."""
    page = (ROOT / "benchmarks/search/README.md").read_text().split("### 535,383 documents")[1]
    rows = re.findall(rf"^\| splade {re.escape(strategy)} \|(.*)\|$", page, re.M)
    return [[row.split("|")[column].split()[0] for column in (0, 2, 4)] for row in rows]


def test_the_milliseconds_of_strategies_are_measured():
    exact, approximate = rows_of_real_search("auto"), rows_of_real_search("approximate recall=0.99")
    for name, (own, other) in (("`auto`", exact[:2]), ("`approximate`, recall .99", approximate[:2])):
        row = re.search(rf"^\| {re.escape(name)} \|(.*)\|$", text_of("choosing.md"), re.M)[1]
        assert row.replace("|", " ").split() == own + other, name
    fastest, slowest = (f"{float(exact[0][k]):.2f}"[1:] for k in (0, 2))
    assert f"it takes {fastest} to {slowest} ms on one core" in (ROOT / "README.md").read_text()


def test_the_hours_of_encoding_are_computed_from_measured_speeds():
    benchmark = (ROOT / "benchmarks/encode/README.md").read_text()
    for shape in ("DistilBERT", "MiniLM"):
        speed = float(re.search(rf"\| {shape} shape.*\n.*\n\| ours \| ([\d.]+) ", benchmark)[1])
        line = re.search(rf"^\| encode, {shape}'s shape, one core \|(.*)\|$", text_of("choosing.md"), re.M)[1].split(
            "|"
        )
        assert float(line[0].split()[0]) == speed
        for cell, documents in zip(line[1:], (8.8e6, 138e6), strict=True):
            hours = float(cell.split()[0].replace(",", ""))
            assert hours == pytest.approx(documents / speed / 3600, rel=0.01)


def test_samples_of_an_evaluation_have_the_keys_of_the_files(tmp_path):
    Path(tmp_path / "docs.jsonl").write_text('{"id": "d1", "vector": {"sun": 1.5}}\n')
    Path(tmp_path / "queries.jsonl").write_text('{"id": "q1", "vector": {"sun": 1.0}}\n')
    Path(tmp_path / "qrels.txt").write_text("q1 0 d1 1\n")
    run_well("-m", "splade.index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=index", cwd=tmp_path)
    run_well(
        "-m", "splade.retrieve", "data.Q_VECTORS_PATH=[queries.jsonl]", "data.EVAL_QREL_PATH=[qrels.txt]",
        "config.retrieval_name=[TOY]", "config.eval_metric=[[mrr_10,ndcg_cut_10,recall_100]]", "config.index_dir=index",
        "config.out_dir=out", cwd=tmp_path,
    )  # fmt: skip
    only_of_texts = {"cut_queries"}  # vectors are not cut
    for name, sample in samples().items():
        written = json.loads((tmp_path / "out/TOY" / name).read_text())
        if name == "stats/costs.json":
            for part in (written["build"], written["search"]):
                part.pop("energy_joules", None)  # which this machine may tell
        assert keys_of(sample) - only_of_texts == keys_of(written), name


def samples() -> dict[str, dict]:
    """The samples of written files on the page, by the name of the file."""
    rows = re.findall(r"^\| `([\w/]+\.json)`.*?\| `(\{.*\})` \|$", text_of("evaluation.md"), re.M)
    return {name: json.loads(sample.replace("{…}", '{"…": 0}')) for name, sample in rows}


OF_QUERIES = {"mrr_10", "ndcg_cut_10", "recall_100"}
LEFT_TO_THEMSELVES = {"q_stats", "search_stats", "costs", "conditions", "versions", "machine", *OF_QUERIES}
"""Objects that have a sample of their own, are of one machine, or have a key for each query."""


def keys_of(value: dict) -> set[str]:
    """All keys, those of objects within included; an object that a sample leaves out has none."""
    found = set(value)
    for name, inner in value.items():
        if isinstance(inner, dict) and name not in LEFT_TO_THEMSELVES:
            found |= keys_of(inner)
    return found


@pytest.mark.parametrize("picture", sorted(path.name for path in (DOCS / "pictures").glob("*.svg")))
def test_a_picture_has_a_title_and_colours_for_dark_pages(picture):
    root = ElementTree.parse(DOCS / "pictures" / picture).getroot()
    assert root.find("{http://www.w3.org/2000/svg}title").text
    assert "prefers-color-scheme: dark" in (DOCS / "pictures" / picture).read_text()
