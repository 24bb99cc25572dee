"""The fenced blocks of a page: language, text, the reason why one is not run, and the output that it shows.

``<!-- not run: REASON -->`` on the line before a fence marks a block that no test runs, and ``<!-- output -->`` a block
of text that the block before it must print.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

CODE = ("bash", "python")
"""Languages whose blocks run."""
PLAIN = ("text", "yaml", "json")
"""Languages of blocks that only show something."""
FENCE = re.compile(r"( *)```(\S*)\s*$")
MARK = re.compile(r"\s*<!-- not run(?P<reason>.*?)-->\s*$")
OUTPUT = re.compile(r"\s*<!-- output -->\s*$")
HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
FOLDED = re.compile(r"\\\n\s*")
PYTHON = re.compile(r"python3?$")


class PageError(Exception):
    """A page has a block that no test can follow; the message says where."""


class Block(NamedTuple):
    """A fenced block of a page, and where it begins."""

    place: str
    language: str
    text: str
    reason: str | None = None
    output: str | None = None

    @property
    def runs(self) -> bool:
        """True for code that is not marked as not run."""
        return self.language in CODE and self.reason is None

    @property
    def file(self) -> str | None:
        """The name of the file that a block of Python is, by its first line ``# name.py``; it is written, not run."""
        named = re.match(r"# ([\w/]+\.py)\n", self.text) if self.language == "python" else None
        return named[1] if named else None


class Command(NamedTuple):
    """One line that starts a command of the package: its name, arguments and environment."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of ``page`` in their order; PageError for a language or a mark that says nothing."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        number += 1
        if fence is None:
            continue
        place, before = f"{page.name}:{number}", lines[number - 2] if number > 1 else ""
        body: list[str] = []
        while number < len(lines) and lines[number].strip() != "```":
            body.append(lines[number].removeprefix(fence[1]))
            number += 1
        number += 1
        text = "\n".join(body) + "\n"
        if OUTPUT.match(before):
            if not found or not found[-1].runs or found[-1].output is not None:
                raise PageError(f"{place}: an output without a block that prints it")
            found[-1] = found[-1]._replace(output=text)
        else:
            found.append(_checked(Block(place, fence[2], text, _reason(before, place))))
    return found


def _checked(block: Block) -> Block:
    if block.language not in (*CODE, *PLAIN):
        raise PageError(f"{block.place}: a block of {block.language or 'no language'}: name one of {CODE + PLAIN}")
    if block.reason is not None and block.language not in CODE:
        raise PageError(f"{block.place}: a block of {block.language} is never run, and needs no mark")
    return block


def _reason(line: str, place: str) -> str | None:
    mark = MARK.match(line)
    if mark is None:
        return None
    reason = mark["reason"].removeprefix(":").strip()
    if not reason:
        raise PageError(f"{place}: <!-- not run: … --> needs a reason")
    return reason


def commands_of(block: Block, exported: dict[str, str]) -> Iterator[Command]:
    """The package's commands in a block of bash; ``exported`` gains the variables that it exports."""
    loop = dict(re.findall(r"\bfor (\w+) in (\S+)", block.text))
    for line in logical_lines(block.text):
        for words in simple_commands(line):
            given = {name: loop[value] if (value := word[1:]) in loop else word for name, word in _assigned(words)}
            if words[0] == "export":
                exported |= given
            elif (called := _called(words)) is not None:
                arguments = tuple(re.sub(r"\$(\w+)", lambda m: loop.get(m[1], m[0]), each) for each in called[1])
                yield Command(called[0], arguments, exported | given)


def logical_lines(text: str) -> Iterator[str]:
    """The lines of a script, folded ones joined, without what a here-document holds."""
    rows = iter(FOLDED.sub(" ", text).splitlines())
    for line in rows:
        yield line
        if document := HEREDOC.search(line):
            for inner in rows:
                if inner == document[1]:
                    break


def documents_of(text: str) -> Iterator[tuple[str, str]]:
    """Name and content of each file that a script writes by ``cat > FILE <<'END'``."""
    pattern = r"cat > (\S+) <<'?(\w+)'?\n(.*?)^\2$"
    for name, _, content in re.findall(pattern, text, re.S | re.M):
        yield name, content


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line, split at pipes, semicolons and redirections."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    words: list[str] = []
    for word in [*reader, ";"]:
        if set(word) <= set("();<>|&"):
            if words:
                yield words
            words = []
        elif word not in ("do", "then", "done", "!") or words:
            words.append(word)


def _assigned(words: list[str]) -> Iterator[tuple[str, str]]:
    for word in words[1:] if words[0] == "export" else words:
        name, mark, value = word.partition("=")
        if not mark or not name.isidentifier():
            return
        yield name, value


def _called(words: list[str]) -> tuple[str, list[str]] | None:
    """Name and arguments of the command of ours that ``words`` start, or None."""
    rest = words[len(list(_assigned(words))) :]
    if not rest:
        return None
    if rest[0] == "splade" and len(rest) > 1 and not rest[1].startswith("-"):
        return rest[1], rest[2:]
    if (PYTHON.match(rest[0]) or rest[0] == "torchrun") and "-m" in rest:
        module, arguments = rest[rest.index("-m") + 1], rest[rest.index("-m") + 2 :]
        return (module.removeprefix("splade."), arguments) if module.startswith("splade.") else None
    return None
