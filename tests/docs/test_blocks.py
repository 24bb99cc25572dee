"""What the tests of pages see in a page, and what they refuse."""

import sys
from pathlib import Path

import pytest

from tests.docs.blocks import Block, PageError, blocks_of, commands_of, documents_of
from tests.docs.composing import check_page
from tests.docs.running import BlockError, run_page, shortened

ECHO = "```bash\necho honey\n```\n"


@pytest.fixture
def page(tmp_path):
    """``page(text)``: a page with that text."""

    def written(text: str) -> Path:
        path = tmp_path / "page.md"
        path.write_text(text)
        return path

    return written


def bash(text: str) -> Block:
    return Block("page.md:1", "bash", text)


def test_a_block_runs_unless_the_line_before_it_says_why_not(page):
    first, second = blocks_of(page(f"# Bees\n\n{ECHO}\n<!-- not run: needs a GPU -->\n{ECHO}"))
    assert (first.place, first.runs, first.text) == ("page.md:3", True, "echo honey\n")
    assert (second.runs, second.reason) == (False, "needs a GPU")


@pytest.mark.parametrize("mark", ["<!-- not run -->", "<!-- not run: -->", "<!-- not run:   -->"])
def test_a_mark_without_a_reason_is_refused(page, mark):
    with pytest.raises(PageError, match=r"page\.md:2: .* needs a reason"):
        blocks_of(page(f"{mark}\n{ECHO}"))


@pytest.mark.parametrize("language", ["", "sh", "console", "py"])
def test_a_block_in_a_language_that_no_test_runs_is_refused(page, language):
    with pytest.raises(PageError, match=r"page\.md:1: a block of "):
        blocks_of(page(f"```{language}\necho honey\n```\n"))


def test_a_block_that_fails_is_an_error_that_names_its_place(page, tmp_path):
    with pytest.raises(BlockError, match=r"page\.md:5: ended with status 1"):
        run_page(blocks_of(page(f"{ECHO}\n```bash\nfalse\necho on\n```\n")), tmp_path)


def test_an_output_that_is_not_printed_is_an_error(page, tmp_path):
    shown = f"{ECHO}\n<!-- output -->\n```text\nwax\n```\n"
    with pytest.raises(BlockError, match="shows\nwax\n\nand printed\nhoney"):
        run_page(blocks_of(page(shown)), tmp_path)
    assert run_page(blocks_of(page(shown.replace("wax", "honey"))), tmp_path)[0].out == "honey\n"


def test_an_output_needs_a_block_that_prints_it(page):
    with pytest.raises(PageError, match="an output without a block"):
        blocks_of(page("<!-- output -->\n```text\nhoney\n```\n"))


def test_the_blocks_of_a_page_share_folder_and_variables(tmp_path):
    texts = ["export HIVE=bees\nmkdir -p a\ncd a\n", "echo $HIVE > b\n", "python -c 'print(open(\"b\").read())'\n"]
    told = run_page([bash(text) for text in texts], tmp_path)
    assert told[-1].out == "bees\n\n"
    assert (tmp_path / "a/b").exists()


def test_a_block_that_names_its_file_is_written_and_can_be_imported(tmp_path, monkeypatch):
    own = Block("page.md:1", "python", "# my_losses.py\nfrom splade.losses import KlDiv\n\n\nclass Own(KlDiv): ...\n")
    uses = Block("page.md:9", "python", "import my_losses\nprint(my_losses.Own.__name__)\n")
    assert run_page([own, uses], tmp_path)[1].out == "Own\n"
    taken = "+catalog.loss.Own=my_losses.Own config.loss=Own '~config.augment_pairs'"
    line = f"python -m splade.train train/data=toy_with_teacher {taken}\n"
    assert check_page([own, bash(line)], tmp_path, monkeypatch) == 1
    assert "my_losses" not in sys.modules


def test_a_shell_finds_python_with_the_package_and_its_exit_status(tmp_path):
    (told,) = run_page([bash("splade nonsense || echo ended with $?\n")], tmp_path)
    assert told.out == "ended with 2\n"
    assert "there is no command nonsense" in told.err


def test_commands_are_found_in_scripts():
    text = """\
export SPLADE_CONFIG_NAME=config_hf_toy
cat > f <<'END'
python -m splade.train inside=document
END
for e in 0.1 0.2; do
  A=b python -m splade.add_bm25 init_dict.expansion=$e \\
    'x=[a,${b.c}]' | head -1   # in a pipe
done
torchrun --nproc_per_node 2 -m splade.encode --shard 1/2 > log; splade index config.lr=1
"""
    exported: dict[str, str] = {}
    name = {"SPLADE_CONFIG_NAME": "config_hf_toy"}
    assert list(commands_of(bash(text), exported)) == [
        ("add_bm25", ("init_dict.expansion=0.1", "x=[a,${b.c}]"), name | {"A": "b"}),
        ("encode", ("--shard", "1/2"), name),
        ("index", ("config.lr=1",), name),
    ]
    assert list(documents_of(text)) == [("f", "python -m splade.train inside=document\n")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "python -m splade.train config.topk=3\n",
            r"page.md:1: splade.train .*: .*did you mean config.top_k",
        ),
        ("splade trane config.lr=1\n", "page.md:1: there is no command splade.trane"),
    ],
)
def test_a_command_that_would_be_refused_does_not_compose(text, message, tmp_path, monkeypatch):
    with pytest.raises(PageError, match=message):
        check_page([bash(text)], tmp_path, monkeypatch)


def test_of_commands_that_differ_in_values_alone_the_values_are_read(tmp_path, monkeypatch):
    lines = ["python -m splade.train config.lr=1e-3\n", "python -m splade.train config.seed=7 config.lr=fast\n"]
    with pytest.raises(PageError, match=r"config\.lr=fast: config\.lr must be float > 0"):
        check_page([bash(line) for line in lines], tmp_path, monkeypatch)


def test_texts_of_later_commands_are_read_as_they_are_typed_too(tmp_path, monkeypatch):
    lines = [f'python -m splade.explain explain.text="{text}"\n' for text in ("the sun", "the sun, in summer [2]")]
    assert check_page([bash(line) for line in lines], tmp_path, monkeypatch) == 2


def test_a_command_that_only_needs_something_composes_all_the_same(tmp_path, monkeypatch):
    block = bash("torchrun --nproc_per_node 8 -m splade.train config.topk=3\n")
    with pytest.raises(PageError):
        check_page([block._replace(reason="needs 8 GPUs")], tmp_path, monkeypatch)
    assert check_page([block._replace(reason="shows a wrong key")], tmp_path, monkeypatch) == 0


def test_a_name_that_the_package_does_not_have_is_noticed(tmp_path, monkeypatch):
    block = Block("page.md:1", "python", "from splade import InvertedIndex, Honey\n")
    with pytest.raises(ImportError):
        check_page([block], tmp_path, monkeypatch)


def test_a_training_is_shortened_but_for_what_it_says_itself():
    told = shortened("train", ["config.nb_iterations=9", "config.monitoring_ckpt=loss"])
    assert "config.nb_iterations=4" not in told
    assert "config.warmup_steps=1" in told
    assert "validation=none" not in told
    assert shortened("train", ["--cfg", "job"]) == ["--cfg", "job"]
    assert shortened("index", ["a=1"]) == ["a=1"]
