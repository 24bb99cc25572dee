"""While tests run, the garbage collector does, and it passes over what was imported."""

import gc


def test_the_collector_runs_again_once_all_tests_are_imported():
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000
