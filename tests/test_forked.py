"""Forks that stand for new processes share what is loaded, and are otherwise by themselves."""

import os
import threading

from tests import forked
from tests.conftest import PATIENCE, ROOT

FAMILY = "import os; of = open(f'/proc/{os.getppid()}/stat').read().split(); print(os.getppid(), of[3])"
"""Prints the numbers of the process that forked this one, and of the one that forked that."""


def asked(code: str, **environment: str) -> dict:
    around = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return {"arguments": ["-c", code], "cwd": str(ROOT), "environment": around, "processes": 1}


def said(ended: list[forked.Ended]) -> str:
    assert not ended[0].status, ended[0].err
    return ended[0].out


def test_all_who_ask_share_one_server_and_each_has_a_fork_of_it():
    lines = [forked.line_to_server(), forked.line_to_server()]
    (one, of_one), (other, of_other) = (said(forked.ask(line, asked(FAMILY))).split() for line in lines)
    assert one != other
    assert of_one == of_other
    assert said(forked.ask(lines[0], asked(FAMILY))).split() == [one, of_one]


def test_who_asks_does_not_wait_for_what_another_asked(tmp_path):
    """The first reads what the second writes, so neither would end if they were to run one after the other."""
    os.mkfifo(tmp_path / "pipe")
    first, second, told = forked.line_to_server(), forked.line_to_server(), []
    reads, writes = (
        f"print(open({str(tmp_path / 'pipe')!r}).read())",
        f"open({str(tmp_path / 'pipe')!r}, 'w').write('x')",
    )
    waiting = threading.Thread(target=lambda: told.append(said(forked.ask(first, asked(reads)))))
    waiting.start()
    assert said(forked.ask(second, asked(writes))) == ""
    waiting.join(PATIENCE)
    assert told == ["x\n"]


def test_a_child_has_the_environment_and_the_arguments_that_were_asked_for():
    (ended,) = forked.run("-c", "import os, sys; print(os.environ.get('OWN'), sys.argv); sys.exit(3)", "a", OWN="1")
    assert (ended.status, ended.out) == (3, "1 ['-c', 'a']\n")
    (ended,) = forked.run("-c", f"import os; print(os.environ.get({forked.SHARED!r}))")
    assert ended.out == "None\n"
