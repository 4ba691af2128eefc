"""A sweep whose trials are compared as it goes: bayes, which learns from them, and early_terminate, which stops some.

Optuna searches and stops. Its study is a SQLite file in the sweep's folder that the sweep and its workers share, on
whatever machine of the file system they are, and from which a sweep that was interrupted goes on.
"""

import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.callbacks import Callback

from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.sweep.objective import Hyperband, Metric
from experiments.sweep.sweep_file import Parameter, Sweep, draw
from experiments.sweep.workers import Job, Outcome
from experiments.trial.callbacks import TrialStopped
from experiments.trial.outcome import read_summary, was_stopped

FILE = "study.sqlite3"
NAME = "sweep"  # of the study in its file
# Distributions of sweep files between min and max that Optuna has, with their options there.
BOUNDED: dict[str, tuple[str, dict[str, Any]]] = {
    "int_uniform": ("IntDistribution", {}),
    "uniform": ("FloatDistribution", {}),
    "log_uniform_values": ("FloatDistribution", {"log": True}),
}
SQLITE_SECONDS = 60  # a process waits so long for the file while another writes


def _optuna() -> Any:
    try:
        import optuna  # type: ignore[import-not-found]  # an optional extra
    except ImportError:
        raise UsageError("this sweep needs Optuna, which is not installed; pip install 'lengthwise[bayes]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def _storage(path: Path) -> Any:
    engine = {"connect_args": {"timeout": SQLITE_SECONDS}}
    return _optuna().storages.RDBStorage(f"sqlite:///{path}", engine_kwargs=engine)


def _pruner(hyperband: Hyperband | None) -> Any:
    pruners = _optuna().pruners
    if hyperband is None:
        return pruners.NopPruner()
    most = max(hyperband.most or 1, hyperband.first)
    return pruners.HyperbandPruner(hyperband.first, most, hyperband.eta)


@dataclass(frozen=True)
class EarlyTermination:
    """What a worker has to know to stop its trial where it falls behind the others.

    Attributes:
        path: file of the study.
        number: of the trial in the study.
        metric: of validation.
        hyperband: when to compare.
    """

    path: Path
    number: int
    metric: Metric
    hyperband: Hyperband

    def callback(self) -> Callback:
        """For the trainer of the trial."""
        return _Compare(self)


class _Compare(Callback):
    """Tells the study each validation of a trial, and stops the trial when the study says so."""

    def __init__(self, rule: EarlyTermination) -> None:
        optuna = _optuna()
        study = optuna.load_study(study_name=NAME, storage=_storage(rule.path), pruner=_pruner(rule.hyperband))
        frozen = study.get_trials(deepcopy=False)[rule.number]
        self.name = rule.metric.name
        self.told = set(frozen.intermediate_values)  # by a process that was interrupted
        self.trial = optuna.trial.Trial(study, frozen._trial_id)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or not trainer.is_global_zero:
            return
        interval = int(trainer.val_check_interval) / trainer.accumulate_grad_batches  # Lightning counts batches
        count = math.ceil(trainer.global_step / interval)
        if count in self.told:
            return
        self.told.add(count)
        value = float(trainer.callback_metrics[self.name])
        self.trial.report(value, count)
        if self.trial.should_prune():
            raise TrialStopped(self.name, value, trainer.global_step)


class Study:
    """The trials of one sweep, each asked for when there is a worker for it.

    The randomness of a trial follows from the seed and the trial's number alone. So one worker gets the same trials,
    interrupted or not.

    Args:
        sweep: what `read_sweep` gave; it has a metric.
        points: the configurations of a grid or random sweep, in order; None where Optuna chooses them.
        count: most trials.
        seed: what Optuna draws from.
        runs: the sweep's folder; the study may be there already.
        first: the first trial, which says how many validations there are where the file does not.

    Raises:
        UsageError: Optuna is not installed, or the file is of another sweep or seed.
    """

    def __init__(
        self, sweep: Sweep, points: list[dict[str, Any]] | None, count: int, seed: int, runs: Path, first: Trial
    ) -> None:
        assert sweep.metric is not None
        self.optuna = _optuna()
        self.sweep, self.points, self.count, self.seed, self.metric = sweep, points, count, seed, sweep.metric
        self.path = path = runs.resolve() / FILE
        trainer = first.config["trainer"]
        validations = math.ceil(trainer["max_steps"] / trainer["val_check_interval"])
        whole = sweep.hyperband and replace(sweep.hyperband, most=sweep.hyperband.most or validations)
        self.hyperband = whole
        self.running: dict[str, list[int]] = {}  # numbers in the study by the name of the trial: it may draw one twice
        self.refused = 0
        self.space = {} if points else {p.name: _space(p) for p in sweep.parameters if p.distribution != "constant"}
        try:
            self.study = self.optuna.create_study(
                storage=_storage(path),
                study_name=NAME,
                direction="maximize" if sweep.metric.maximize else "minimize",
                pruner=_pruner(self.hyperband),
                load_if_exists=True,
            )
        except Exception as error:  # of Optuna or of the library beneath it
            raise UsageError(f"{path}: no study can be kept there: {str(error).partition(chr(10))[0]}") from None
        identity = json.dumps([sweep.method, seed, str(sweep.parameters), str(sweep.metric), str(sweep.hyperband)])
        if self.study.user_attrs.setdefault("sweep", identity) != identity:
            raise UsageError(f"{path}: the study of another sweep or --seed; give this one another --output")
        self.study.set_user_attr("sweep", identity)
        self.target_reached = (best := self.best()) is not None and self.metric.reached(best[1])

    @property
    def ended(self) -> int:
        """How many trials are complete, stopped or failed."""
        running = self.optuna.trial.TrialState.RUNNING
        return sum(trial.state != running for trial in self.study.get_trials(deepcopy=False))

    @property
    def unfinished(self) -> int:
        """How many trials the same command would go on with."""
        trials = self.study.get_trials(deepcopy=False)
        running = sum(trial.state == self.optuna.trial.TrialState.RUNNING for trial in trials)
        return running if self.target_reached else running + max(0, self.count - self._begun())

    def jobs(self, resolve: Callable[[dict[str, Any]], Trial], runs: Path, threads: int) -> Iterator[Job]:
        """The trials to run, each chosen when it is asked for.

        Args:
            resolve: makes a trial of a configuration.
            runs: the sweep's folder, as workers see it.
            threads: of a trial.
        """
        for number, point in self._trials():
            try:
                trial = resolve(point)
            except UsageError as error:
                print(error, file=sys.stderr)
                self.refused += 1
                self.study.tell(number, state=self.optuna.trial.TrialState.FAIL)
                continue
            folder = runs / trial.name
            known = self.running.setdefault(trial.name, [])
            known.append(number)
            if len(known) > 1:
                continue
            if read_summary(folder) is not None or was_stopped(folder):
                self.told(Outcome(Job(trial.name, folder, None), "done"))
                continue
            early = [EarlyTermination(self.path, number, self.metric, self.hyperband)] if self.hyperband else []
            yield Job(trial.name, folder, (trial, threads, *early), trial.cost, trial.kind)

    def told(self, outcome: Outcome) -> None:
        """How a trial ended, which the next choice knows. One that was interrupted goes on another time.

        Raises:
            UsageError: it did not measure the sweep's metric.
        """
        states, folder = self.optuna.trial.TrialState, outcome.job.folder
        numbers = self.running.pop(outcome.job.name)
        if outcome.status == "interrupted":
            return
        if outcome.status == "failed" or was_stopped(folder):
            for number in numbers:
                self.study.tell(number, state=states.FAIL if outcome.status == "failed" else states.PRUNED)
            return
        value = self.metric.of(folder)
        if value is None:
            raise UsageError(f"{self.sweep.path}: metric: {folder.name} did not measure {self.metric.name}")
        self.target_reached = self.target_reached or self.metric.reached(value)
        for number in numbers:
            self.study.tell(number, value)

    def _trials(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Numbers and configurations of the trials that are to run: first those that were interrupted, then new ones,
        each chosen when it is asked for."""
        states = self.optuna.trial.TrialState
        for trial in self.study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            if self.space.keys() <= trial.params.keys():
                yield trial.number, self._point(trial)
            else:  # interrupted while it was being chosen
                self.study.tell(trial.number, state=states.FAIL)
        while self._begun() < self.count and not self.target_reached:
            number = len(self.study.get_trials(deepcopy=False))
            seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
            self.study.sampler = self.optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            trial = self.study.ask(self.space)
            yield trial.number, self._point(trial)

    def _begun(self) -> int:
        return sum(self.space.keys() <= trial.params.keys() for trial in self.study.get_trials(deepcopy=False))

    def _point(self, trial: Any) -> dict[str, Any]:
        if self.points is not None:
            return self.points[trial.number]
        return {p.name: _value(self.sweep.path, p, trial.params) for p in self.sweep.parameters}

    def best(self) -> tuple[dict[str, Any], float] | None:
        """The configuration and the value of the best complete trial; None where none is complete."""
        try:
            best = self.study.best_trial
        except ValueError:
            return None
        return self._point(best), best.value


def _space(parameter: Parameter) -> Any:
    """A parameter as a distribution of Optuna: its own where it has it, else the quantile of ours.

    A choice is its JSON text, as Optuna keeps no lists.
    """
    distributions, settings = _optuna().distributions, parameter.settings
    match parameter.distribution:
        case "categorical":
            if "probabilities" not in settings:
                return distributions.CategoricalDistribution(tuple(dict.fromkeys(map(json.dumps, settings["values"]))))
        case name if name in BOUNDED:
            kind, options = BOUNDED[name]
            return getattr(distributions, kind)(settings["min"], settings["max"], **options)
    return distributions.FloatDistribution(1e-9, 1 - 1e-9)


def _value(path: Path, parameter: Parameter, chosen: dict[str, Any]) -> Any:
    """The value that stands for what Optuna chose."""
    if parameter.distribution == "constant":
        return parameter.settings["value"]
    value = chosen[parameter.name]
    if isinstance(value, str):
        return json.loads(value)
    if parameter.distribution in BOUNDED:
        return value
    return draw(path, parameter, value)
