"""Trials that several tests look at, each run once."""

from collections.abc import Callable
from typing import Any

import pytest

from experiments.config.trial import Trial
from tests.helpers.trials import run, run_until, small_trial, text_trial


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A small attention model that has learned the toy language somewhat; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("trained")
    trial = text_trial(
        folder,
        model="Bahdanau",
        model__hidden_size=32,
        model__bidirectional="true",
        model__learning_rate=0.02,
        trainer__max_steps=200,
        trainer__val_check_interval=50,
        checkpoint__monitor="validation/bleu",
    )
    run(trial)
    return trial


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trial]:
    """Gives the small trial with some changes, run to its end: once, for all tests that ask for the same. They leave it
    as it is.
    """
    folder = tmp_path_factory.mktemp("finished")

    def finish(**changes: Any) -> Trial:
        trial = small_trial(folder, **changes)
        run(trial)  # which leaves a complete trial alone
        return trial

    return finish


@pytest.fixture(scope="session")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """The small trial, killed half way; tests that go on with it take a copy."""
    trial = small_trial(tmp_path_factory.mktemp("killed"))
    run_until(trial, 26)
    return trial
