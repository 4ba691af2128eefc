"""A trained model that several tests look at."""

import pytest

from experiments.config.trial import Trial
from tests.helpers.trials import run, text_trial


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
