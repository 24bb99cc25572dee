"""The page and the text of an explanation: whole in themselves, escaped, with the words that count highlighted."""

import re
from html.parser import HTMLParser

import pytest

from splade.explaining.forms import FORMS
from splade.explaining.page import page, segments
from splade.explaining.records import Bag, Term
from splade.explaining.text import as_text

HOSTILE = '<script>alert(1)</script> & "sun" <b>'


class Read(HTMLParser):
    """The marks, the targets of links, the ids and the tags of a page, and whether its tags close in order."""

    def __init__(self, markup):
        super().__init__()
        self.open, self.marks, self.links, self.ids, self.tags = [], [], [], [], set()
        self.feed(markup)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.add(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" else []
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "mark":
            self.marks.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "mark" in self.open:
            self.marks[-1] += data


def explanations(explainer_of):
    first, second = explainer_of("bm25"), explainer_of("shared")
    yield first.bag(HOSTILE)
    yield first.match("heat of the sun", HOSTILE)
    yield first.compare(second, HOSTILE)
    yield first.compare(first, "sun", HOSTILE)


def test_a_page_escapes_its_texts_fetches_nothing_and_links_only_to_itself(explainer_of):
    for explained in explanations(explainer_of):
        markup = page(explained, 4)
        found = Read(markup)
        assert "<script>alert" not in markup
        assert not found.tags & {"script", "img", "link", "iframe"}
        assert not re.search(r"(?:src|href)=\"(?!#)|url\(|@import|https?:", markup)
        assert len(found.ids) == len(set(found.ids))
        assert {link.removeprefix("#") for link in found.links} <= set(found.ids)


def test_the_words_behind_the_score_are_marked_in_both_texts(explainer_of):
    match = explainer_of("shared").match("heat of the sun", "The sun, it heats")
    marks = Read(page(match)).marks
    assert [word for word in marks if word in ("heat", "sun")] == ["heat", "sun", "sun", "heat"]


def test_a_text_is_cut_where_pieces_begin_and_end_and_their_weights_add_up():
    pieces = [((0, 4), 1.0, "a"), ((2, 6), 2.0, "b")]
    assert list(segments("abcdefgh", pieces)) == [
        ((0, 2), 1.0, ["a"]),
        ((2, 4), 3.0, ["b", "a"]),
        ((4, 6), 2.0, ["b"]),
        ((6, 8), 0, []),
    ]


def test_nothing_to_show_is_a_page_and_a_text_too(explainer_of):
    empty = explainer_of("idf").match("zebra", "")
    assert empty.terms == ()
    for form in FORMS.values():
        assert form(empty, 5)
    Read(page(empty))


def test_the_text_of_a_bag_lists_own_and_added_words_and_sums_up_the_rest():
    terms = tuple(
        Term(token, place, token, weight, own)
        for place, (token, weight, own) in enumerate([("sun", 2.0, True), ("sea", 1.0, False), ("sky", 0.5, False)])
    )
    assert as_text(Bag("query", "sun", terms, model="m"), 1).splitlines() == [
        "query by m: 3 terms",
        "sun",
        "",
        "its own words (1)",
        "  term  weight  from",
        "  sun        2",
        "",
        "words that the model added (2)",
        "  term  weight  from",
        "  sea        1",
        "  and 1 more, of weight 0.5 together",
    ]


@pytest.mark.parametrize("kind", ["shared", "decoder"])
def test_the_text_of_a_match_gives_the_score_and_its_share_by_word(kind, explainer_of):
    text = as_text(explainer_of(kind).match("the fluviometer", "a fluviometer"), 500)
    assert re.match(r"score \d", text)
    assert re.search(r"^  fluviometer +[\d.]+ +[\d.]+%$", text, re.M)
    assert sum(float(share) for share in re.findall(r"([\d.]+)%", text)) == pytest.approx(100, abs=30 * 0.05)
