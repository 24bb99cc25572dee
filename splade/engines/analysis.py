"""Words of a text as Lucene's ``EnglishAnalyzer`` makes them, and as a plain splitter does.

Published BM25 baselines (Anserini, Pyserini, BEIR) rest on that analysis: words by Unicode's rules, possessives off,
lower case, 33 stop words, Porter's stemmer ("An algorithm for suffix stripping", 1980; here from the Snowball
project).
"""

import re
from collections.abc import Callable
from functools import lru_cache

_STOP = """a an and are as at be but by for if in into is it no not of on or such that the their then there these they
this to was will with"""
STOP_WORDS = frozenset(_STOP.split())
"""Lucene's ``EnglishAnalyzer.ENGLISH_STOP_WORDS_SET``."""

_IDEOGRAPH = "\u3005-\u3007\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # a word each
_LETTER, _PART = "[^\\W\\d_]", f"[^\\W{_IDEOGRAPH}]"
# Letters may be joined by one of ' ’ . : · (don't, e.g, example.com), digits by one of ' ’ . , ; (3.14, 1,000).
_JOINED = f"(?:(?<={_LETTER})['\u2018\u2019.:\u00b7](?={_LETTER})|(?<=\\d)['\u2018\u2019.,;](?=\\d))"
_WORD = re.compile(f"[{_IDEOGRAPH}]|(?=\\w)(?:{_PART}+(?:{_JOINED}{_PART}+)*)")
_POSSESSIVE = re.compile("['\u2019\uff07]s$")
LONGEST = 255  # letters of a word; a longer one is cut into several, as Lucene cuts it

Analyzer = Callable[[str], list[str]]
"""The terms of a text, in order, repeated as often as they occur."""


def split(text: str) -> list[str]:
    """The words of ``text`` by Unicode's word boundaries (UAX #29), for scripts that put spaces between words."""
    found = _WORD.findall(text)
    if all(len(word) <= LONGEST for word in found):
        return [word for word in found if word.strip("_")]
    return [word[i : i + LONGEST] for word in found if word.strip("_") for i in range(0, len(word), LONGEST)]


def plain(text: str) -> list[str]:
    """The lower-cased runs of letters and digits of ``text``: no stemming, no stop words."""
    return _RUN.findall(text.lower())


_RUN = re.compile(r"\w+")


class English:
    """Lucene's English analysis. Each different word is stemmed once; its stem is kept."""

    def __init__(self) -> None:
        import snowballstemmer  # only here: what needs no stemming needs not the package

        self._stem = snowballstemmer.stemmer("porter").stemWord
        self._terms: dict[str, str | None] = {}

    def __call__(self, text: str) -> list[str]:
        """The terms of ``text``."""
        known, terms = self._terms, []
        for word in split(text):
            term = known[word] if word in known else self._term(word)
            if term is not None:
                terms.append(term)
        return terms

    def _term(self, word: str) -> str | None:
        lowered = _POSSESSIVE.sub("", word.replace("'S", "'s").replace("\u2019S", "\u2019s")).lower()
        term = None if lowered in STOP_WORDS or not lowered else str(self._stem(lowered))
        self._terms[word] = term
        return term


ANALYZERS: dict[str, Callable[[], Analyzer]] = {"english": English, "plain": lambda: plain}


@lru_cache(maxsize=len(ANALYZERS))
def analyzer(name: str) -> Analyzer:
    """The analyzer called ``name``, made once; ValueError with the accepted names for another one."""
    if name not in ANALYZERS:
        raise ValueError(f"engine.analyzer={name}: accepted are {', '.join(ANALYZERS)}")
    return ANALYZERS[name]()
