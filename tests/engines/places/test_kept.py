import numpy as np
import pytest

from splade.engines.conformance import check_engine, sample_for
from splade.engines.places.kept import in_order
from splade.engines.places.retries import Retries
from splade.engines.places.secrets import refuse_secret_in, secret
from splade.engines.places.store import Found
from splade.files import InputError
from splade.places import places
from tests.config.support import configured
from tests.engines.places.memory_store import SYSTEMS, Memory


def test_a_store_becomes_an_engine_that_keeps_its_contract(tmp_path):
    check_engine(Memory, tmp_path)


def test_a_system_that_breaks_ties_otherwise_is_asked_for_more(tmp_path):
    sample = sample_for("sparse")
    opened = Memory(tmp_path).build(sample.as_documents())
    found = list(opened.search(sample.as_queries(), 1))
    assert max(opened.searching.limits) > 2
    everything = list(opened.search(sample.as_queries(), 100))
    assert [r.doc_ids[:1] for r in found] == [r.doc_ids[:1] for r in everything]


def test_a_build_goes_on_after_what_was_noted_and_puts_nothing_twice(tmp_path):
    sample = sample_for("sparse")

    class Killed(BaseException):
        pass

    def stop(first):
        if first >= 12:
            raise Killed

    with pytest.raises(Killed):  # nothing of the engine runs after this, as after kill -9
        Memory(tmp_path).build(sample.as_documents(read=stop))
    read = []
    opened = Memory(tmp_path).build(sample.as_documents(read=read.append))
    assert read[0] == 12
    assert opened.n_docs == len(sample.doc_ids)
    assert len(SYSTEMS[str(tmp_path / "memory")]) == 1


def test_other_settings_of_what_is_stored_build_it_again_and_the_old_place_goes(tmp_path):
    sample = sample_for("sparse")
    Memory(tmp_path).build(sample.as_documents())
    before = Memory(tmp_path).places()
    Memory(tmp_path, scale=2.0).build(sample.as_documents())
    after = Memory(tmp_path).places()
    assert len(before) == len(after) == 1
    assert before != after


def test_a_place_that_another_command_replaced_is_refused(tmp_path):
    sample = sample_for("sparse")
    Memory(tmp_path).build(sample.as_documents())
    place = next(iter(SYSTEMS[str(tmp_path / "memory")].values()))
    place["about"] = {"build": "another", "fingerprint": "f" * 32}
    with pytest.raises(InputError, match="built by another command"):
        Memory(tmp_path).open()


def test_a_place_that_lost_documents_is_refused(tmp_path):
    sample = sample_for("sparse")
    Memory(tmp_path).build(sample.as_documents())
    place = next(iter(SYSTEMS[str(tmp_path / "memory")].values()))
    place["rows"].popitem()
    with pytest.raises(InputError, match="were put there"):
        Memory(tmp_path).open()


def test_dropping_leaves_nothing_that_opens(tmp_path):
    sample = sample_for("sparse")
    engine = Memory(tmp_path)
    engine.build(sample.as_documents())
    engine.drop()
    assert engine.places() == []
    assert not engine.exists()
    with pytest.raises(InputError):
        engine.open()


def test_more_documents_than_the_system_returns_are_refused(tmp_path):
    sample = sample_for("sparse")
    opened = Memory(tmp_path, most=5).build(sample.as_documents())
    with pytest.raises(InputError, match="at most 5"):
        opened.search(sample.as_queries(), 6)


def test_ties_go_by_number():
    found = in_order(Found(np.array([9, 3, 5]), np.array([1.0, 1.0, 2.0], np.float32)), 2)
    assert found.numbers.tolist() == [5, 3]


def test_calls_are_repeated_for_errors_that_pass_and_no_others():
    waits, calls = [], []

    def flaky():
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError("busy")
        return "answer"

    retries = Retries(attempts=4, first=1.0, sleep=waits.append)
    assert retries.call(flaky, lambda error: 0.0, "a call") == "answer"
    assert len(waits) == 2
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2
    with pytest.raises(ZeroDivisionError):
        retries.call(lambda: 1 / 0, lambda error: None, "a call")
    assert len(waits) == 2
    with pytest.raises(ConnectionError):
        retries.call(lambda: (_ for _ in ()).throw(ConnectionError("down")), lambda error: 7.0, "a call")
    assert waits[2:] == [7.0, 7.0, 7.0]


def test_secrets_come_from_a_file_or_the_environment(tmp_path):
    path = tmp_path / "token"
    path.write_text(" abc \n")
    assert secret("TOKEN", path, {"TOKEN": "other"}) == "abc"
    assert secret("TOKEN", None, {"TOKEN": "other"}) == "other"
    assert secret("TOKEN", None, {}) is None
    path.write_text("\n")
    with pytest.raises(InputError, match="no secret"):
        secret("TOKEN", path, {})


def test_an_address_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(InputError, match="https://host:9200") as raised:
        refuse_secret_in("https://me:hidden@host:9200", "engine.uri", "OPENSEARCH_PASSWORD")
    assert "hidden" not in str(raised.value)
    refuse_secret_in("https://host:9200", "engine.uri", "OPENSEARCH_PASSWORD")


def test_the_command_lists_places_and_drops_those_of_its_folder_alone(tmp_path, capsys):
    system = SYSTEMS.setdefault(str(tmp_path / "memory"), {})
    Memory(tmp_path).build(sample_for("sparse").as_documents())
    system["of others"] = {"about": {}, "rows": {}, "finished": True}
    own = ("engine._target_=tests.engines.places.memory_store.Memory", f"config.index_dir={tmp_path}")
    assert places(configured(*own, command="places")) == sorted(system)
    assert "(of config.index_dir)" in capsys.readouterr().out
    assert places(configured(*own, "places.drop=true", command="places")) == ["of others"]
    with pytest.raises(InputError, match="remove the folder"):
        places(configured("engine=inverted", f"config.index_dir={tmp_path}", command="places"))
