"""A search as plain values: what every worker of it has to know, passed on as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from mentornet.search import newton, proposals
from mentornet.search.proposals import Proposals
from mentornet.search.sampler import StochasticRelaxationSampler, optuna

RELAXATIONS = newton.KINDS
SAMPLERS = (*RELAXATIONS, "random", "tpe", "hyperband", "grid")
SHARING = "asng"
"""The sampler that is no search of many trainings but one whose weights all samples share, see ``weight_sharing``."""
SCORES = ("last", "mean_last_10", "best")


@dataclasses.dataclass(frozen=True)
class Plan:
    """One search.

    Attributes:
        output: the search folder.
        storage: where the study is, see ``study.open_storage``.
        study: its name there.
        command: starts a training of the recipe with its full length; flags of the trial are added.
        trial_flags: what shortens it.
        training: the settings of a trial that decide its result, by name.
        space: text of --space.
        sampler: one of SAMPLERS, or SHARING.
        samples: K, trials a generation.
        trials: how many in all.
        utilities: what counts of a trial's score, see ``newton.Settings``.
        rate: rho, the step size.
        seed: of the search; that of the trainings is in their flags.
        epochs: of the full training; None if its length is given in steps.
        trial_epochs: of a trial.
        score: what of the validation accuracies of a trial counts, one of SCORES.
        column: which column of metrics.csv they are.
        test_column: the same of the test images.
        curriculum, parameters, integers: see ``proposals.settings``.
        threads: CPU threads of a training; 0: TensorFlow decides.
    """

    output: str
    storage: str
    study: str
    command: tuple[str, ...]
    training: dict[str, Any]
    space: str
    sampler: str
    samples: int
    trials: int
    trial_flags: tuple[str, ...] = ()
    utilities: str = "ranks"
    rate: float = 1.0
    seed: int = 0
    epochs: int | None = None
    trial_epochs: int | None = None
    score: str = "last"
    column: str = "eval_validation_accuracy"
    test_column: str = "eval_accuracy"
    curriculum: str | None = None
    parameters: tuple[str, ...] = ()
    integers: tuple[str, ...] = ()
    threads: int = 0

    @property
    def folder(self) -> Path:
        """The search folder."""
        return Path(self.output)

    def trial_folder(self, number: int) -> Path:
        """Folder of a trial; a repeated one has that of its first try, so that its training goes on."""
        return self.folder / "trials" / f"{number:04d}"

    def proposals(self) -> Proposals:
        """What the trials choose from.

        Raises:
            ValueError: the space cannot be read.
        """
        if self.space.partition(":")[0] in ("grid", "range"):
            return proposals.settings(self.space, self.curriculum, self.parameters, self.integers)
        assert self.epochs is not None
        return proposals.schedules(self.space, self.epochs)

    def make_sampler(self, number: int | None = None) -> optuna.samplers.BaseSampler:
        """The sampler of the study; Optuna's own get a seed for every trial, so that workers draw different numbers.

        Args:
            number: of the trial it is for, by its first try.
        """
        found = self.proposals()
        if self.sampler in RELAXATIONS:
            assert isinstance(found, proposals.Schedules)
            settings = newton.Settings(kind=self.sampler, rate=self.rate, utilities=self.utilities)
            return StochasticRelaxationSampler(found.space, self.samples, settings, self.seed)
        if self.sampler == "grid":
            assert isinstance(found, proposals.Settings)
            return optuna.samplers.GridSampler(found.choices(), seed=self.seed)
        seed = self.seed * 1_000_003 + (0 if number is None else number + 1)
        if self.sampler == "tpe":
            return optuna.samplers.TPESampler(seed=seed % 2**32)
        return optuna.samplers.RandomSampler(seed=seed % 2**32)

    def pruner(self) -> optuna.pruners.BasePruner:
        """Hyperband stops trials early; no other sampler does."""
        if self.sampler != "hyperband":
            return optuna.pruners.NopPruner()
        assert self.trial_epochs is not None
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=self.trial_epochs, reduction_factor=3)

    def setup(self) -> dict[str, Any]:
        """What has to stay the same while the study goes on; the number of trials may grow."""
        return {
            "space": self.proposals().title,
            "sampler": self.sampler,
            "samples": self.samples,
            "search_seed": self.seed,
            "utilities": self.utilities,
            "step_size": self.rate,
            "epochs": self.epochs,
            "trial_epochs": self.trial_epochs,
            "score": self.score,
            **{f"training {name}": value for name, value in self.training.items()},
        }

    def environment(self) -> dict[str, str]:
        """Environment variables of a training."""
        limits = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
        own = {name: str(self.threads) for name in limits if name not in os.environ} if self.threads else {}
        return {**os.environ, **own}

    def to_json(self) -> str:
        """The plan as text."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan of a text that ``to_json`` made."""
        stored = json.loads(text)
        lists = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
        return Plan(**{**stored, **lists})
