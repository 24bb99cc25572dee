"""The wiring is one tree from several files, each address in one of them."""

import pytest

from splade.config import ConfigError, conf_dir, config_names
from splade.config.checking.wiring import components
from splade.config.checking.wiring_files import merged, wiring_files
from splade.config.composing.compose import Groups


def test_tables_of_several_files_are_joined(tmp_path):
    (tmp_path / "one.yaml").write_text("catalog: {loss: {A: my.A}}\nloss: ${catalog.loss.A}")
    (tmp_path / "two.yaml").write_text("catalog: {loss: {B: my.B}, model: {}}")
    tree = merged([tmp_path / "one.yaml", tmp_path / "two.yaml"])
    assert tree == {"catalog": {"loss": {"A": "my.A", "B": "my.B"}, "model": {}}, "loss": "my.A"}


@pytest.mark.parametrize("second", ["a: {b: 2}", "a: 2", "a: {b: {c: 2}}", "a: {b: null}", "a: {}"])
def test_an_address_in_two_files_is_refused_with_both(second, tmp_path):
    (tmp_path / "one.yaml").write_text("a: {b: 1}")
    (tmp_path / "two.yaml").write_text(second)
    with pytest.raises(ConfigError, match=r"^a(\.b)? is defined in .*one\.yaml and in .*two\.yaml: remove it from one"):
        merged([tmp_path / "one.yaml", tmp_path / "two.yaml"])


def test_the_shipped_files_define_every_address_once():
    assert len(wiring_files(conf_dir())) > 5
    assert {"model", "loss", "examples", "trainer", "index", "search", "mine"} <= set(components())


def test_the_files_of_the_wiring_are_no_configs_and_no_options():
    assert "wiring" not in Groups([conf_dir()]).names()
    assert not any(name.startswith(("wiring", "catalog")) for name in config_names(conf_dir()))
