"""S2E's search (Yao et al., ICML 2020, algorithm 2) as a sampler of Optuna, the optional extra ``search``.

The n-th trial, counted from 0, belongs to generation n // K, K trainings an iteration. Its x is drawn from p_theta with
the theta that the finished trials of the generations before it give, and with random numbers that depend on the seed
and n alone. theta is never stored: it is a function of the trials in the study. So a search that was killed continues
as if nothing had happened, and workers on one study need not talk to each other.

No trial waits for another one. If some of the generation before are still running when a trial starts, theta is
estimated from those that have finished; once the rest has, later trials use all. With w workers that concerns up to
w - 1 trials at each change of generation.

Failed and pruned trials do not count, and a generation with fewer than two others leaves theta as it is. A trial that
Optuna repeats because its process died keeps its n and its x. Trials that the user added or another sampler chose were
not drawn from p_theta, so they do not count for theta either, but may well be the best. What n is therefore comes from
how trials were created: the number of trials before, without repeated ones and the user's own.

Parameters of the study are the free numbers of a space (``Space.from_unit``), each in [0, 1] and independent, so that
Optuna's own samplers (random, TPE) search the same space from the same uniform distribution.
"""

from __future__ import annotations

import dataclasses
import json
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from mentornet.search import newton
from mentornet.search.base import Space
from mentornet.search.distributions import Array

try:
    import optuna
except ImportError as error:
    raise ImportError("the search needs Optuna: pip install optuna, or this package with its extra 'search'") from error

DEFAULT = newton.Settings(utilities="ranks")
_INDEX = "s2e:index"
_SETUP = "s2e:setup"
_FIXED, _REPEATED = "fixed_params", "failed_trial"  # Optuna's own marks, there from a trial's creation on
_PURPOSE = "search/sample"


def distributions(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    """The parameters of a study that searches in ``space``: name -> a number in [0, 1]."""
    return {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in space.unit_names()}


def suggest(trial: optuna.Trial, space: Space) -> Array:
    """x for this trial, float64 [dim], whatever the study's sampler is; to be called by the objective."""
    return space.from_unit([trial.suggest_float(name, 0.0, 1.0) for name in space.unit_names()])


def point(trial: optuna.trial.FrozenTrial, space: Space) -> Array:
    """x of a trial in the study, float64 [dim].

    Raises:
        ValueError: the trial is from another space.
    """
    names = space.unit_names()
    if not set(names) <= set(trial.params):
        raise ValueError(f"trial {trial.number} has no {', '.join(sorted(set(names) - set(trial.params)))}")
    return space.from_unit([trial.params[name] for name in names])


class StochasticRelaxationSampler(optuna.samplers.BaseSampler):
    """Draws x from p_theta and moves theta between generations, see the head of this module.

    Args:
        space: to search in.
        samples: K, trials a generation.
        settings: how theta is moved. By default Newton steps on ranks, so that the scale of the objective, usually
            an error rate, does not matter; ``newton.PAPER`` takes the values themselves.
        seed: 0 or more.

    Raises:
        ValueError: ``samples`` or ``seed`` is out of range.

    Example:
        >>> space = spaces.get("paper")
        >>> study = optuna.create_study(sampler=StochasticRelaxationSampler(space, samples=6))
        >>> study.optimize(lambda trial: error_after_training(space.schedule(suggest(trial, space), 200)), 60)
    """

    def __init__(self, space: Space, samples: int = 6, settings: newton.Settings = DEFAULT, seed: int = 0):
        if samples < 1 or seed < 0:
            raise ValueError(f"samples={samples}, seed={seed}: give 1 or more samples and a seed of 0 or more")
        self.space, self.samples, self.settings, self.seed = space, samples, settings, seed
        self._claimed: set[str] = set()

    def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Notes which draw the trial is, in the study, so that a repetition of it knows.

        Raises:
            ValueError: the study was made with another space, K, seed or settings, or has several objectives.
        """
        self._claim(study)
        if _FIXED not in trial.system_attrs and _INDEX not in trial.system_attrs:
            study._storage.set_trial_system_attr(trial._trial_id, _INDEX, self._index(study, trial))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        """All parameters of the space."""
        return distributions(self.space)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        search_space: dict[str, optuna.distributions.BaseDistribution],
    ) -> dict[str, Any]:
        """The free numbers of an x drawn from p_theta."""
        if _FIXED in trial.system_attrs:
            return {}  # the user's own point
        if set(search_space) <= set(trial.params):
            return {}  # a repeated trial keeps its numbers
        index = self._index(study, trial)
        key = (zlib.crc32(_PURPOSE.encode()), index)
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
        u = self.space.to_unit(self.space.sample(self.theta(study, index // self.samples), rng))
        return dict(zip(self.space.unit_names(), u.tolist(), strict=True))

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> Any:
        """Refuses: every parameter of this search belongs to the space, unless the user's own point left it out.

        Raises:
            ValueError: always.
        """
        names = self.space.unit_names()
        if param_name in names:
            raise ValueError(f"trial {trial.number} was given some numbers of its own but not {param_name}: give all")
        raise ValueError(f"{param_name!r} is no parameter of this search space, which has {', '.join(names)}")

    def theta(self, study: optuna.Study, generation: int | None = None) -> Array:
        """theta of a generation, float64 [theta_size]; by default after all finished trials."""
        trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        sign = -1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
        return self.theta_of(trials, generation, sign)

    def theta_of(
        self, trials: Sequence[optuna.trial.FrozenTrial], generation: int | None = None, sign: float = 1.0
    ) -> Array:
        """theta as a function of trials alone; ``sign`` -1 if larger values are better."""
        drawn: dict[int, optuna.trial.FrozenTrial] = {}
        for trial in sorted(trials, key=lambda trial: trial.number):
            index = trial.system_attrs.get(_INDEX)
            finished = trial.state == optuna.trial.TrialState.COMPLETE
            if index is not None and finished and trial.value is not None and math.isfinite(trial.value):
                drawn.setdefault(int(index), trial)
        groups: dict[int, list[optuna.trial.FrozenTrial]] = {}
        for index in sorted(drawn):
            groups.setdefault(index // self.samples, []).append(drawn[index])
        theta = self.space.start()
        needed = 1 if self.settings.kind == "reference" else 2
        for own, group in groups.items():
            if (generation is not None and own >= generation) or len(group) < needed:
                continue
            xs = [point(trial, self.space) for trial in group]
            values = [sign * float(trial.value) for trial in group if trial.value is not None]
            theta = newton.update(theta, xs, values, self.space, self.settings)
        return theta

    def setup(self) -> dict[str, Any]:
        """What has to be the same for all workers of a study and whenever it is continued."""
        return {
            "space": self.space.title,
            "samples": self.samples,
            "seed": self.seed,
            **dataclasses.asdict(self.settings),
        }

    @staticmethod
    def _index(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> int:
        """Which draw a trial is. It follows from what is known of every earlier trial from its creation on."""
        known = trial.system_attrs.get(_INDEX)
        if known is not None:
            return int(known)
        number = trial.system_attrs.get(_REPEATED, trial.number)
        return sum(other.number < number and _is_new(other) for other in study.get_trials(deepcopy=False))

    def _claim(self, study: optuna.Study) -> None:
        """Writes the setup into a new study and compares it with that of an old one, once a study."""
        if study.study_name in self._claimed:
            return
        if len(study.directions) > 1:
            raise ValueError(f"study {study.study_name!r} has several objectives, but this search has one")
        mine = self.setup()
        # As text: databases differ in what they make of numbers.
        found = study.user_attrs.get(_SETUP)
        if found is None:
            study.set_user_attr(_SETUP, json.dumps(mine, sort_keys=True))
        else:
            other = json.loads(found)
            differing = [key for key in sorted({*mine, *other}) if mine.get(key) != other.get(key)]
            if differing:
                said = ", ".join(f"{key} {other.get(key)} and not {mine.get(key)}" for key in differing)
                raise ValueError(f"study {study.study_name!r} was made with {said}: use the same, or another study")
        self._claimed.add(study.study_name)


def _is_new(trial: optuna.trial.FrozenTrial) -> bool:
    return _FIXED not in trial.system_attrs and _REPEATED not in trial.system_attrs
