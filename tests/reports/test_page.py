"""The page of an experiment: nothing is left out silently, nothing comes from outside, no text becomes markup."""

import json
import re
from html.parser import HTMLParser

import pytest

from splade.expectations import rows_of
from splade.files import InputError
from splade.reports import hardest, page, read_experiment
from splade.reports.hardest import worst
from splade.reports.markup import STYLE
from splade.reports.postings import postings_of, stored_postings
from splade.results import read_result
from tests.expectations.test_rows import ROW
from tests.reports.made import HOSTILE, a_result, a_training, an_index, query_vectors

PARTS = [
    "Metrics", "Expected values", "Training", "Sparsity", "Hardest queries", "Posting lists", "Costs", "Conventions",
    "Versions and machine", "Config",
]  # fmt: skip
VOID = {"meta"}


class Read(HTMLParser):
    """What a page holds: its elements with their attributes, its text, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.headings, self.attributes, self.words = [], [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        self.words += data if not self.open or self.open[-1] != "style" else ""


@pytest.fixture
def experiment(tmp_path):
    """``experiment(...)``: a whole one, read, and its judgements."""
    out = tmp_path / "exp <b>" / "out"
    qrels = a_result(out / "SETS")
    a_training(tmp_path / "checkpoint")
    config = tmp_path / "config.yaml"
    config.write_text(f"config:\n  lr: 1.0\n  name: {HOSTILE}\n")
    found = read_experiment(out, tmp_path / "checkpoint", None, config)
    return found._replace(postings=[postings_of(an_index(), tmp_path / "index")]), qrels


def whole_page(experiment, named=()):
    found, qrels = experiment
    texts = {"q1": f"what {HOSTILE}", "q2": "second", "d1": HOSTILE, "d2": "the moon"}
    queries = hardest(
        found.results[0], ["q2", "q1"], "mrr_10", qrels, queries=texts.get, documents=texts.get, index=an_index(),
        vectors=query_vectors(),
    )  # fmt: skip
    rows = rows_of({"a.yaml": [ROW | {"set": "SETS & MORE", "value": 0.255, "model": HOSTILE}, ROW | {"name": "x"}]})
    return page(found, {"SETS & MORE": ("mrr_10", queries)}, rows, named)


def test_a_whole_experiment_has_every_part_and_says_of_none_that_it_is_missing(experiment):
    read = Read(whole_page(experiment))
    assert read.headings == PARTS
    assert read.open == []
    assert ("class", "missing") not in read.attributes


def test_each_part_holds_what_the_folders_hold(experiment):
    words = Read(whole_page(experiment)).words
    for said in (
        "mrr_100.2500",  # a tile
        "SETS & MORE0.25000.30002250%",  # metrics, judged, answered, share judged
        "loss: 1 at step 107, 0.1 at step 1,070", "MRR@10: 0.25 at step 535, 0.5 at step 1,070", "MRR@100.50001,070",
        "1.51.671.25",  # non-zeros per query, per document, FLOPS
        "documents: 200 at step 107, 20 at step 1,070", "Penalties' weights",
        "SETS & MORE: time per query, 2 threads", "4.5 ms", "index bytes12.3k", "build: encode seconds3.5",
        "unansweredcount 0", "versions.torch2.9", "revisionabc123", "seed7", "lr: 1.0",
    ):  # fmt: skip
        assert said in words, said


def test_no_text_of_an_experiment_becomes_markup(experiment):
    text = whole_page(experiment)
    read = Read(text)
    assert not {"script", "img", "b "} & set(read.elements)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert read.words.count(HOSTILE) >= 6  # query, document, two terms, config, convention


def test_the_page_fetches_nothing_and_forbids_it(experiment):
    text = whole_page(experiment)
    read = Read(text)
    links = [value for name, value in read.attributes if name in ("src", "href", "xlink:href", "action", "data")]
    assert all(link.startswith("#") for link in links)
    assert len(links) == len(PARTS)
    assert "url(" not in STYLE.read_text()
    assert "@import" not in STYLE.read_text()
    assert "Content-Security-Policy" in text
    ids = [value for name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links} <= set(ids)


def test_what_is_not_at_hand_is_said_in_its_place(tmp_path):
    a_result(tmp_path / "out/SETS", conditions=False)
    (tmp_path / "out/SETS/per_query.json").unlink()
    details = json.loads((tmp_path / "out/SETS/details.json").read_text())
    (tmp_path / "out/SETS/details.json").write_text(json.dumps({"dataset": details["dataset"]}))
    found = read_experiment(tmp_path / "out", None, None)
    found.missing["queries SETS & MORE"] = "No values of single queries."
    text = page(found)
    assert Read(text).headings == PARTS
    for said in (
        "No expected value is known for these sets and metrics.", "The folder of the training is not known.",
        "The results do not say their non-zeros and FLOPS.", "Over training: The folder of the training",
        "No values of single queries.", "There is no index at hand.", "The time per query was not measured.",
        "Times to encode and index, memory and energy were not recorded", "The conventions were not recorded",
        "Versions, machine, revision, seed and command were not recorded", "No config.yaml was found",
    ):  # fmt: skip
        assert said in text, said


def test_a_training_without_results_is_reported_and_an_empty_folder_is_refused(tmp_path):
    a_training(tmp_path / "checkpoint")
    (tmp_path / "out").mkdir()
    text = page(read_experiment(tmp_path / "out", tmp_path / "checkpoint", None))
    assert text.count("There are no results below") >= 3
    with pytest.raises(InputError, match=r"there is nothing to report: no result .* and no training log\. Run splade"):
        read_experiment(tmp_path / "out", tmp_path, None)
    with pytest.raises(InputError, match="there is no such folder"):
        read_experiment(tmp_path / "nowhere", None, None)


def test_a_log_is_read_as_csv_too_without_what_is_no_number_and_without_a_line_cut_short(tmp_path):
    a_result(tmp_path / "out/SETS")
    (tmp_path / "training_log.csv").write_text("step,loss,MRR@10\n1,0.5,\n2,nan,0.25\n")
    rows = read_experiment(tmp_path / "out", tmp_path, None).training
    assert rows == [{"step": 1, "loss": 0.5}, {"step": 2, "MRR@10": 0.25}]
    (tmp_path / "training_log.jsonl").write_text('{"step": 1, "loss": Infinity, "lr": 1}\n{"step": 2, "lo')
    assert read_experiment(tmp_path / "out", tmp_path, None).training == [{"step": 1, "lr": 1.0}]
    (tmp_path / "training_log.jsonl").write_text("[1]\n")
    with pytest.raises(InputError, match=r"training_log.jsonl:1: expected a row of a training log"):
        read_experiment(tmp_path / "out", tmp_path, None)


def test_expected_values_of_the_sets_are_compared_and_only_this_models_rows_are_judged(experiment):
    words = Read(whole_page(experiment)).words
    assert f"mrr_100.25000.2550 ± 0.01not judged-0.0050{HOSTILE}a paper" in words
    assert "matches-0.0050" in Read(whole_page(experiment, ["one"])).words
    found, _ = experiment
    far = rows_of({"a.yaml": [ROW | {"set": "SETS & MORE", "value": 0.9}]})
    assert "differs-0.6500" in Read(page(found, rows=far, named=["one"])).words


def test_an_expected_mean_is_compared_where_all_of_its_sets_are_there(tmp_path):
    a_result(tmp_path / "out/one", "one")
    a_result(tmp_path / "out/beir/two", "two")
    found = read_experiment(tmp_path / "out", None, None)
    mean = ROW | {"set": ["one", "two"], "value": 0.25}
    rows = rows_of({"a.yaml": [mean, mean | {"name": "more", "set": ["one", "two", "three"]}]})
    words = Read(page(found, rows=rows)).words
    assert words.count("mean of 2 sets") == 1
    assert "mean of 3 sets" not in words


def test_the_worst_queries_come_first_and_of_equal_ones_those_whose_documents_come_later():
    values = {"a": 0.5, "b": 0.0, "c": 0.0, "d": 0.0, "e": 0.0, "unjudgeable": 0.0}
    run = {"b": {"x": 2, "r": 1}, "c": {"x": 3, "y": 2, "r": 1}, "d": {"x": 1}, "a": {"r": 1}}
    qrels = {name: {"r": 1} for name in "abcde"} | {"unjudgeable": {"x": 0}}
    assert worst(values, run, qrels, 9) == ["d", "e", "c", "b", "a"]
    assert worst(values, run, qrels, 2) == ["d", "e"]


def test_the_terms_of_a_score_sum_to_it_and_are_those_of_both_vectors(tmp_path):
    qrels = a_result(tmp_path / "SETS")
    queries = hardest(
        read_result(tmp_path / "SETS"), ["q1", "q2"], "mrr_10", qrels, index=an_index(), vectors=query_vectors()
    )
    first, second = queries
    assert first.terms == [("sun", 2.0), ("moon", 1.0)]
    assert (first.relevant.id, first.relevant.rank, first.relevant.terms) == ("d1", 2, [("sun", 4.0)])
    assert (first.first.id, first.first.score, first.first.terms) == ("d2", 5.0, [("moon", 3.0), ("sun", 2.0)])
    assert sum(weight for _, weight in first.first.terms) == first.first.score
    assert (second.relevant.rank, second.n_relevant, second.first.id) == (None, 2, HOSTILE)
    assert second.relevant.terms == [(HOSTILE, 4.0)]


def test_queries_are_shown_without_terms_where_no_vectors_are_known(tmp_path, experiment):
    found, qrels = experiment
    (query,) = hardest(found.results[0], ["q1"], "mrr_10", qrels)
    assert query.terms is query.first.terms is query.text is None
    text = page(found, {"SETS & MORE": ("mrr_10", [query])})
    assert "Query q1. Relevant documents: 1." in text
    assert "heaviest terms" not in text


def test_posting_lists_come_longest_first_with_their_terms_or_numbers(tmp_path, experiment):
    found, _ = experiment
    (postings,) = found.postings
    assert postings.lengths == {"sun": 2, "moon": 2, HOSTILE: 2}
    words = Read(page(found)).words
    assert "postings6terms in use3longest list2terms unused1documents3postings per document2" in words
    assert "sun266.7%" in words
    (tmp_path / "index_dist.json").write_text('{"5": 1, "7": 4, "9": 0}')
    assert stored_postings(tmp_path / "index_dist.json").lengths == {"7": 4, "5": 1}
    (tmp_path / "index_dist.json").write_text("[]")
    with pytest.raises(InputError, match=r"expected {term id: number of documents}"):
        stored_postings(tmp_path / "index_dist.json")


def test_details_of_other_shapes_do_not_stop_a_report(tmp_path):
    a_result(tmp_path / "out/SETS")
    odd = {"queries": 3, "conventions": "some", "search_stats": [1], "costs": "none", "q_stats": {"L0_q": "many"}}
    for details in (
        odd,
        {"search_stats": {"index": 4, "latency_ms": {"mean": "fast"}}, "queries": {"judged_at_10": "x"}},
    ):
        (tmp_path / "out/SETS/details.json").write_text(json.dumps(details))
        assert Read(page(read_experiment(tmp_path / "out", None, None))).headings == PARTS


def test_the_same_experiment_gives_the_same_page(experiment):
    assert whole_page(experiment) == whole_page(experiment)


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_lines_stand_out_from_what_is_behind_them(scheme):
    """WCAG 2.1: 4.5 for text, 3 for what a chart draws."""
    light, dark = (dict(re.findall(r"--([\w-]+):\s+(#\w{6})", block)) for block in style_roots())
    colours = {"light": light, "dark": dark}[scheme]
    assert light.keys() == dark.keys()
    for name, colour in colours.items():
        least = {"page": 0, "raised": 0, "edge": 0, "series-1": 4.5}.get(name, 3 if "series" in name else 4.5)
        for behind in ("page", "raised"):
            high, low = sorted((luminance(colour), luminance(colours[behind])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= least, (name, behind)


def style_roots():
    return re.findall(r":root \{(.*?)\}", STYLE.read_text(), re.S)
