"""The search page in a browser: what a person types, sees and links to, with no complaint on the console."""

import json
import re
import threading
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from splade.data.collections.opening import open_collection
from splade.engines.inverted import OpenedInverted
from splade.indexing import InvertedIndex, Vocabulary
from splade.records import Provenance
from splade.serving import running
from splade.serving.limits import Limits
from splade.serving.metrics import Metrics
from splade.serving.serving import Serving
from splade.serving.sides import Sides
from splade.serving.system import Parts, System
from splade.workflow.querying.encoding import QueryEncoder
from tests.conftest import ROOT
from tests.serving.browser import CHROMIUM, browser
from tests.serving.parts import Side, ask, served, serving_of, write

HOSTILE = "<img src=x onerror=alert(1)> heart </p><script>document.title='taken'</script>"
TITLE = "<b>Whales</b> & seals"
LONG = "water " * 400 + "the heart of a whale " + "stone " * 400
TEXTS = {"d1": "😀 A heart attack begins in the arteries.", "d2": LONG, "d3": HOSTILE, "d4": "The pulse of an athlete."}
PAGES = ("", "page/search.js", "page/view.js", "page/marks.js", "page/asking.js", "page/search.css", "page/icon.svg")

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


def test_the_page_is_made_of_files_of_the_server_alone_and_sets_no_markup_from_data(serving):
    answers = {path: ask(serving, f"/{path}", method="GET") for path in PAGES}
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", "": "text/html"}
    for path, answer in answers.items():
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kinds[re.search(r"(\.\w+)?$", path)[0]])
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", answer.text) == []
        if path.endswith(".js"):
            assert (
                re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", answer.text)
                == []
            )
            assert {f"page/{name}" for name in re.findall(r'from "\./(.*?)"', answer.text)} <= set(PAGES)
        assert "cross-origin-opener-policy" not in answer.headers  # a complaint on consoles, but on this machine
    page = answers[""].text
    assert set(re.findall(r'(?:src|href)="(page/.*?)"', page)) == {"page/search.js", "page/search.css", "page/icon.svg"}
    assert re.findall(r'<script(?! type="module" src=)|<style|\sstyle=|\son\w+=', page) == []


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a server of two models: one that adds terms, and ``table``, of the words of a text alone."""
    from splade.encoding import Encoder
    from splade.models import SpladeTopK
    from splade.records import Text

    folder = tmp_path_factory.mktemp("searched")
    model = SpladeTopK(ROOT / "data/toy/encoder", top_d=30, top_q=40, max_length=64)
    encoders = {side: Encoder(model, side) for side in ("query", "document")}
    texts = {**TEXTS, "d5": f"{TITLE} swim with a slow heart."}
    (folder / "corpus.jsonl").write_text("".join(lines_of(texts)))
    batch = encoders["document"].encode_all([Text(id, text) for id, text in texts.items()])
    names = Vocabulary(encoders["document"].terms)
    InvertedIndex.from_csr(batch, fingerprint=model.fingerprint(), vocabulary=names).save(folder)

    def parts():
        opened = OpenedInverted(InvertedIndex.open(folder))
        return Parts(opened, QueryEncoder(encoders["query"], opened), open_collection(folder))

    bounds, metrics = Limits(), Metrics()
    main = System("toy", Sides(encoders.__getitem__, bounds, metrics), parts, engine="inverted")
    for side in encoders:
        main.sides.encoder(side)
    write(folder / "words", {"w1": "heart attack", "d4": "the pulse of an athlete"})
    words = serving_of(folder / "words")
    systems = {"toy": main, "table": words.first}
    with listening(Serving(systems, bounds, metrics, words.about, words.searchers)) as found:
        yield found


def lines_of(texts):
    """The lines of a collection; the last text has a title."""
    for id, text in texts.items():
        title = TITLE if text.startswith(TITLE) else ""
        yield json.dumps({"_id": id, "title": title, "text": text[len(title) :].strip()}) + "\n"


def words_alone(side, text, terms):
    """The tokens of a text, by an encoder that cannot tell where its weights come from."""
    return Provenance(side.reading().placed(text.text), ())


class listening:
    """``with listening(serving) as address``: a server on a free port."""

    def __init__(self, serving):
        self.serving, self.ready = serving, threading.Event()
        self.socket = running.bound("127.0.0.1", 0)
        self.server = running.server_of(served(serving), seconds_to_stop=1, ready=self.ready.set)
        self.thread = threading.Thread(target=running.run, args=(self.server, self.socket))

    def __enter__(self):
        self.thread.start()
        self.ready.wait()
        return running.address_of(self.socket) + "/"

    def __exit__(self, *error):
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()
        self.serving.close()


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(one_browser, address):
    """A page of the server; at the end of a test it must not have complained."""
    one_browser.console.clear()
    one_browser.size(1200)
    yield one_browser
    assert one_browser.console == []


def texts(page, selector, of="each.textContent"):
    """What every element of a selector has."""
    return page.run(f"[...document.querySelectorAll({selector!r})].map(each => {of})")


def link(address, **view):
    return f"{address}#{urlencode(view)}"


@pytest.mark.slow
@in_browser
def test_a_search_shows_terms_as_bars_and_hits_with_the_words_behind_them(page, address):
    page.open(address)
    assert texts(page, "#answers *") == []
    page.write("heart 😀 attack")
    page.doing(lambda: page.press("Enter"))
    assert texts(page, ".bag h4")[0].startswith("Words of the query")
    own = texts(page, ".bag:first-child .label")
    added = texts(page, ".bag:last-child .label")
    assert {"heart", "attack"} <= set(own)
    assert added
    assert not set(own) & set(added)
    widths = texts(page, ".bag:last-child .bars > li .bar", "each.getBoundingClientRect().width")
    assert widths == sorted(widths, reverse=True)
    assert {"heart", "attack"} <= set(texts(page, ".query-text mark"))
    first = page.run("document.querySelector('.hit .text').textContent")
    assert first == TEXTS["d1"]
    assert {"heart", "attack"} <= set(
        texts(page, ".hit:first-child mark.own")
    )  # after 😀, which JavaScript counts twice
    assert re.search(r"of 5 documents in .* ms .*strategy auto", texts(page, ".facts")[0])
    asked = ask_server(address, {"query": "heart 😀 attack", "explain": True})
    assert texts(page, ".hit h4 .number") == [f"{hit['score']:.3f}" for hit in asked["hits"]]
    rows = texts(page, ".hit:first-child tbody tr", "each.lastChild.textContent")
    assert sum(map(float, rows)) == pytest.approx(asked["hits"][0]["score"], abs=0.001 * len(rows))


def ask_server(address, content):
    request = Request(f"{address}search", json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        return json.load(answer)


@pytest.mark.slow
@in_browser
def test_a_link_gives_the_same_view_again(page, address):
    view = {
        "q": "pulse of the heart",
        "k": 2,
        "strategy": "exhaustive",
        "only": "d4",
        "beside": "table",
        "term": "heart",
    }
    page.open(link(address, **view))
    before = page.run("document.querySelector('#answers').innerHTML.replace(/[\\d.]+ ms.*?\\)/g, '')")
    fields = {name: page.run(f"document.getElementById({name!r}).value") for name in view if name != "term"}
    assert fields == {name: str(value) for name, value in view.items() if name != "term"}
    assert texts(page, "h2") == ["toy", "table"]
    assert set(texts(page, "mark.picked")) == {"heart"}
    assert set(texts(page, "[aria-pressed=true] .label")) == {"heart"}
    shared = page.run("document.getElementById('link').href")
    page.open(shared)
    assert page.run("document.querySelector('#answers').innerHTML.replace(/[\\d.]+ ms.*?\\)/g, '')") == before
    page.open(f"{address}?{urlencode({'q': 'pulse', 'k': 1})}")
    assert texts(page, "#q, #k", "each.value") == ["pulse", "1"]
    assert len(texts(page, ".hit")) == 1


@pytest.mark.slow
@in_browser
def test_a_term_that_is_picked_unfolds_and_its_words_alone_stand_out(page, address):
    page.open(link(address, q="heart attack begins in arteries"))
    terms = texts(page, ".bag details .label")
    assert terms != []
    page.open(link(address, q="heart attack begins in arteries", term=terms[-1]))
    assert texts(page, ".bag [aria-pressed=true]", "each.checkVisibility()") == [True]
    page.run("document.querySelector('.hit summary').click()")
    token = page.run("document.querySelector('.hit tbody button').textContent")
    page.run("document.querySelector('.hit tbody button').click()")
    assert page.run("new URLSearchParams(location.hash.slice(1)).get('term')") == token
    assert set(texts(page, "[aria-pressed=true]", "getComputedStyle(each).backgroundColor")) == {"rgb(27, 27, 25)"}
    assert set(texts(page, "[aria-pressed=true]", "getComputedStyle(each).color")) == {"rgb(252, 252, 251)"}
    picked = "each.classList.contains('picked') === each.tokens.has(" + json.dumps(token) + ")"
    assert set(texts(page, "#answers mark", picked)) == {True}
    page.run("document.querySelector('.hit tbody button').click()")
    assert "term" not in page.run("location.hash")
    assert texts(page, ".picked, [aria-pressed=true]") == []


@pytest.mark.slow
@in_browser
def test_two_models_stand_side_by_side_and_each_says_where_the_other_has_a_document(page, address):
    page.open(link(address, q="pulse of the heart", beside="table"))
    left, right = texts(page, ".answer", "each.getBoundingClientRect().left")
    assert left < right
    assert texts(page, "h2") == ["toy", "table"]
    asked = [ask_server(address, {"query": "pulse of the heart", "system": name})["hits"] for name in ("toy", "table")]
    ranks = [{hit["id"]: rank for rank, hit in enumerate(hits, 1)} for hits in asked]
    told = [f"hit {ranks[1]['d4']} beside", f"hit {ranks[0]['d4']} beside"]
    assert [line for line in texts(page, ".id") if line.startswith("hit")] == told
    page.size(400)
    left, right = texts(page, ".answer", "each.getBoundingClientRect().left")
    assert left == right


@pytest.mark.slow
@in_browser
def test_of_two_models_one_that_refuses_says_why_and_the_other_answers(page, address):
    page.open(link(address, q="heart of a whale", only="d1 d4", beside="table"))
    page.console.clear()  # the browser itself notes every status above 399
    assert texts(page, "h2") == ["toy", "table"]
    assert re.search("does not take this.*'d1'", texts(page, ".answer .problem")[0])
    assert len(texts(page, ".hit")) == 2


@pytest.mark.slow
@in_browser
def test_a_filter_keeps_the_documents_that_it_names(page, address):
    page.open(link(address, q="heart", only="d3 d5"))
    found = texts(page, ".hit .title")
    assert len(found) == 2
    page.open(link(address, q="attack", only="d4", strategy="exhaustive", system="table"))
    assert texts(page, ".nothing") == ["None of the ids that may be found (1) has a term of the query."]


@pytest.mark.slow
@in_browser
def test_markup_in_documents_titles_and_queries_stays_text(page, address):
    page.open(link(address, q="heart <img src=y onerror=alert(2)>", only="d3 d5"))
    assert sorted(texts(page, ".hit .text"))[0] == HOSTILE
    assert TITLE in texts(page, ".hit .title")
    assert texts(page, ".query-text") == ["heart <img src=y onerror=alert(2)>"]
    assert texts(page, "#answers img, #answers script, #answers b") == []
    assert page.run("document.title") == "splade: search"


@pytest.mark.slow
@in_browser
def test_an_empty_query_is_said_to_be_one_and_nothing_is_asked(page, address):
    page.open(address)
    page.write("   ")
    page.doing(lambda: page.press("Enter"))
    assert texts(page, "#status") == ["The query is empty: type some words to search for."]
    assert (
        page.run("performance.getEntriesByType('resource').filter(each => each.name.endsWith('/search')).length") == 0
    )


@pytest.mark.slow
@in_browser
def test_a_query_of_5000_words_is_searched_and_linked_to_and_what_was_not_read_is_pale(page, address):
    query = " ".join(["heart", "attack", "whale", "pulse", "ü"] * 1000)
    page.open(address)
    page.write(query)
    page.doing(lambda: page.press("Enter"))
    assert texts(page, ".hit") != []
    assert texts(page, ".query-text") == [query]
    assert len(texts(page, ".unread")[0]) > 20_000
    shared = page.run("document.getElementById('link').href")
    page.open(shared)
    assert texts(page, "#q", "each.value") == [query]
    assert texts(page, ".hit") != []


@pytest.mark.slow
@in_browser
def test_a_document_whose_text_the_server_does_not_have_is_shown_by_its_id_and_terms(one_browser, tmp_path):
    write(tmp_path, {"d1": "heart attack"})
    serving = serving_of(tmp_path)
    serving.first.standing.texts = None
    with listening(serving) as address:
        one_browser.open(link(address, q="heart"))
        assert texts(one_browser, ".hit .title") == ["d1"]
        assert "The server does not have the text of this document." in texts(one_browser, ".hit .soft")
        assert texts(one_browser, ".hit .chip") == ["heart 1.00"]
        assert texts(one_browser, ".several", "each.hidden") == [True, True]  # one model: nothing to choose


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize("tells", [True, False])
def test_a_model_that_does_not_trace_terms_to_words_is_said_not_to(one_browser, tmp_path, monkeypatch, tells):
    if not tells:
        monkeypatch.setattr(Side, "provenance", words_alone)
    write(tmp_path, {"d1": "heart attack"})
    with listening(serving_of(tmp_path)) as address:
        one_browser.open(link(address, q="heart"))
        assert texts(one_browser, "#traced, #untraced", "each.checkVisibility()") == [tells, not tells]
        assert (texts(one_browser, "#answers mark") != []) == tells


@pytest.mark.slow
@in_browser
def test_a_query_that_fits_in_no_line_is_shown_whole(page, address):
    page.size(400)
    page.open(link(address, q="which painless check lets a doctor spot an uneven heartbeat at home"))
    (field,) = texts(page, "#q", "[each.clientHeight, each.scrollHeight]")
    assert field[0] == field[1]


@pytest.mark.slow
@in_browser
def test_a_long_document_is_shown_around_its_words_and_whole_when_asked(page, address):
    page.open(link(address, q="heart of whales", only="d2"))
    assert len(texts(page, ".hit .text")[0]) < 900
    page.run("document.querySelector('.hit .plain').click()")
    assert texts(page, ".hit .text") == [LONG.strip()]


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"q": "heart", "only": "nowhere"}, "The server does not take this: `filter` names .*'nowhere'"),
        ({"q": "heart", "k": 5000}, "`k` is 5000.*1000"),
        ({"q": "heart", "k": "many"}, "Hits: many is not a whole number"),
        ({"q": "heart", "strategy": "fast"}, "strategy"),
        ({"q": "heart", "system": "third"}, "'third' is not one of toy, table"),
    ],
)
def test_a_refusal_is_told_in_words(page, address, view, words):
    page.open(link(address, **view))
    page.console.clear()  # the browser itself notes every status above 399
    (told,) = texts(page, "#problem:not([hidden])")
    assert re.search(words, told)
    assert texts(page, ".hit") == []


@pytest.mark.slow
@in_browser
def test_a_query_that_no_request_holds_is_refused_in_words_and_no_link_is_offered(page, address):
    page.open(address)
    page.run("document.getElementById('q').value = 'heart '.repeat(400000)")
    page.doing(lambda: page.press("Enter"))
    page.console.clear()
    assert re.search("^The query is too long: a body of 24.....", texts(page, "#problem:not([hidden])")[0])
    assert texts(page, "#link-row", "each.hidden") == [True]
    assert page.run("location.hash") == ""


@pytest.mark.slow
@in_browser
def test_a_busy_server_a_missing_key_and_a_server_that_has_gone_are_told_in_words(one_browser, tmp_path):
    write(tmp_path, {"d1": "heart attack"})
    serving = serving_of(tmp_path, key="secret")
    with listening(serving) as address:
        one_browser.open(link(address, q="heart"))
        assert texts(one_browser, "#problem")[0].startswith("The server asks for a key")
        one_browser.write("secret")
        one_browser.doing(lambda: one_browser.press("Enter"))
        assert texts(one_browser, ".hit .title") == ["d1"]
        assert "secret" not in one_browser.run("location.href")
        serving.n_answering = serving.limits.max_concurrent_requests
        one_browser.doing(lambda: one_browser.run("document.querySelector('[type=submit]').click()"))
        assert re.search(r"^The server is busy: .*Try again in 1 s\.$", texts(one_browser, "#problem")[0])
        serving.n_answering = 0
    one_browser.doing(lambda: one_browser.run("document.querySelector('[type=submit]').click()"))
    assert texts(one_browser, "#problem")[0].startswith("The server does not answer")


@pytest.mark.slow
@in_browser
def test_the_keyboard_alone_searches_picks_a_term_and_opens_reasons(page, address):
    page.open(address)
    page.write("heart attack")
    page.doing(lambda: page.press("Enter"))
    reached = []
    for _ in range(200):
        page.press("Tab")
        reached.append(
            page.run("document.activeElement.id || document.activeElement.className || document.activeElement.tagName")
        )
        outline = page.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", reached
        if reached[-1].startswith("term line"):
            break
    assert [each for each in reached if each in ("system", "beside", "k", "strategy", "only", "link")] == [
        "system", "beside", "k", "strategy", "only", "link",
    ]  # fmt: skip
    page.press("Space")
    assert texts(page, "[aria-pressed=true] .label") != []
    while page.run("document.activeElement.closest('.hit') && document.activeElement.tagName") != "SUMMARY":
        page.press("Tab")
    page.press("Enter")
    assert page.run("document.activeElement.parentElement.open") is True


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize("beside", ["", "table"])
def test_nothing_is_wider_than_a_telephone(page, address, beside):
    page.size(400)
    page.open(link(address, q="heart " * 30 + "w" * 300, beside=beside))
    page.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.run("document.documentElement.scrollWidth") <= 400
    wide = "each.getBoundingClientRect().right > 400.5 ? each.outerHTML.slice(0, 80) : ''"
    assert set(texts(page, "body *", wide)) == {""}
