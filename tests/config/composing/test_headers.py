"""The opening comments of config files are read part by part."""

import re
import shlex

import pytest

from splade.config import ConfigError, conf_dir, config_names
from splade.config.composing.headers import Header, read_header
from tests.config.support import configured

COMMENT = """\
# @package _global_
# Honey is found in the hive,
# and nowhere else.
# Published: 40.0 on bees.
# Hardware: one hive.
# Launch:
#   python -m bees.first
#   python -m bees.second
# One override:
#   bees=12   # a dozen
defaults:
  - /bees: many # Hardware: none
"""


def test_a_comment_is_read_up_to_the_first_line_that_is_none(tmp_path):
    (tmp_path / "bees.yaml").write_text(COMMENT)
    assert read_header(tmp_path / "bees.yaml") == Header(
        reproduces=("Honey is found in the hive,", "and nowhere else."),
        figure=("Published: 40.0 on bees.",),
        hardware=("one hive.",),
        launch=("python -m bees.first", "python -m bees.second"),
        override=("bees=12   # a dozen",),
    )


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("# Hardware: one hive.\n", "no hardware, 'Hardware:'"),
        ("# Published: 40.0 on bees.\n", "no figure, 'Published' or 'No published figure'"),
        ("#   python -m bees.first\n#   python -m bees.second\n", "no launch, 'Launch:'"),
    ],
)
def test_a_comment_without_one_of_its_parts_is_an_error_that_says_which(part, message, tmp_path):
    (tmp_path / "bees.yaml").write_text(COMMENT.replace(part, ""))
    with pytest.raises(ConfigError, match=rf"bees\.yaml: its opening comment has {message}"):
        read_header(tmp_path / "bees.yaml")


RUN = re.compile(r"-m splade\.(?P<command>[\w.]+)(?P<overrides>.*)")
NAMES = config_names(conf_dir())


@pytest.mark.thinned(6)
@pytest.mark.parametrize("name", NAMES)
def test_the_launch_lines_and_the_override_of_a_config_fit_it(name):
    header = read_header(conf_dir() / f"{name}.yaml")
    runs = [match for line in header.launch if (match := RUN.search(line))]
    assert runs
    override = shlex.split(" ".join(header.override), comments=True)
    assert override
    for run in runs:
        more = override if run is runs[-1] else []
        configured(*shlex.split(run["overrides"], comments=True), *more, name=name, command=run["command"])


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_for_several_gpus_is_launched_on_as_many(name):
    header = read_header(conf_dir() / f"{name}.yaml")
    several = re.match(r"(\d+) GPUs", " ".join(header.hardware))
    launched = re.findall(r"torchrun --nproc_per_node (\w+) -m splade\.", "\n".join(header.launch))
    assert set(launched) <= ({several[1], "gpu"} if several else set())
    assert bool(launched) == bool(several)
