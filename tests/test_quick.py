"""What the tests work out once is what would be worked out each time."""

import hydra
import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf

from splade.config import conf_dir
from tests import quick

CONF = [str(conf_dir())]
CASES = [
    ("config_default", []),
    ("config_default", ["++config.lr=0.5", "++config.regularizer.FLOPS.lambda_q=1", "++new.key={a: 1}"]),
    ("config_default", ["loss=kl", "++config.lr=1"]),
    ("config_hf_toy", ["++hf.training={max_steps: 3}", "++config.lr=null"]),
    ("config_default", ["~config.lr", "++config.seed=3"]),
    ("config_default", ["++config.lr=0.25", "++config.lr=0.5"]),
]


@pytest.mark.thinned(3)
@pytest.mark.parametrize(("name", "overrides"), CASES)
def test_a_config_composed_again_is_what_hydra_composes(name, overrides):
    for _ in range(2):  # the second one from what was kept
        with hydra.initialize_config_dir(CONF[0], version_base="1.3"):
            ours, theirs = quick.compose(name, overrides), quick._compose(name, overrides=overrides)
        assert OmegaConf.to_container(ours, resolve=False) == OmegaConf.to_container(theirs, resolve=False)
        assert OmegaConf.is_struct(ours) == OmegaConf.is_struct(theirs)


def test_what_cannot_be_set_is_refused_in_the_same_words():
    said, wrong = [], ["++config.lr.x.y=3", "nothing=3"]
    for compose in (lambda: quick.compose("config_default", wrong), lambda: quick._compose("config_default", wrong)):
        with hydra.initialize_config_dir(CONF[0], version_base="1.3"), pytest.raises(HydraException) as refused:
            compose()
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_a_changed_file_is_composed_anew(tmp_path):
    for value in (1, 2):
        (tmp_path / "mine.yaml").write_text(f"defaults: [_self_]\nvalue: {value}\n" + "# longer\n" * value)
        with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
            assert quick.compose("mine", ["++other=5"]) == {"value": value, "other": 5}
