"""The study of a search: where it is kept, whose it is, which of its trials are done and which have to be repeated.

Storage is Optuna's: a journal file, or a database by URL (SQLite, PostgreSQL, MySQL). A trial whose process died is
repeated under a new number with the numbers it had, and all tries of one trial count as one, by the number of the
first. Which processes live is known from the locks of ``locks`` on this machine, from signs of life in a shared folder,
and, where a database is all that machines share, from Optuna's heartbeats.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mentornet import files
from mentornet.search.locks import Lock, is_held
from mentornet.search.plan import Plan
from mentornet.search.sampler import optuna

JOURNAL = "study.journal"
HEARTBEAT, GRACE = 20, 90  # seconds
ERROR, SURPLUS, HOST, LOCK = "error", "surplus", "host", "lock"
"""User attributes of trials: why it failed; that it is one too many; where it runs; the file that is locked there."""
_SETUP = "search:setup"
_FIRST, _HISTORY = "failed_trial", "retry_history"  # Optuna's own names
_SHOWN = 4
_State = optuna.trial.TrialState
_ATTEMPTS = 3  # to open a database in which another process makes its tables at the same moment


@dataclass(frozen=True)
class Tries:
    """One trial with its repetitions.

    Attributes:
        number: of the first.
        trials: in the order of their numbers.
    """

    number: int
    trials: Sequence[optuna.trial.FrozenTrial]

    def _with(self, *states: Any) -> list[optuna.trial.FrozenTrial]:
        return [trial for trial in self.trials if trial.state in states]

    @property
    def done(self) -> optuna.trial.FrozenTrial | None:
        """The one that counts: the first that came to its end, or was pruned."""
        return next(iter(self._with(_State.COMPLETE, _State.PRUNED)), None)

    @property
    def open(self) -> list[optuna.trial.FrozenTrial]:
        """Those that run or wait."""
        return self._with(_State.RUNNING, _State.WAITING)

    @property
    def error(self) -> str | None:
        """Why its last try failed, if nothing else became of it."""
        return None if self.done or self.open else self.trials[-1].user_attrs.get(ERROR)

    @property
    def lost(self) -> bool:
        """Whether its process died and nobody has repeated it."""
        return not (self.done or self.open or self.error)

    @property
    def repeated(self) -> int:
        """How often it has been repeated."""
        return len(self.trials) - 1


def grouped(trials: Sequence[optuna.trial.FrozenTrial]) -> list[Tries]:
    """Trials with their repetitions, in the order of the first ones; those that were one too many are left out."""
    found: dict[int, list[optuna.trial.FrozenTrial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if SURPLUS not in trial.user_attrs:
            found.setdefault(first_number(trial), []).append(trial)
    return [Tries(number, found[number]) for number in sorted(found)]


def first_number(trial: optuna.trial.FrozenTrial) -> int:
    """The number of a trial's first try; its own if it is that."""
    return int(trial.system_attrs.get(_FIRST, trial.number))


def repetitions(trial: optuna.trial.FrozenTrial) -> int:
    """How often its trial was tried before."""
    return len(trial.system_attrs.get(_HISTORY, []))


def frozen(study: optuna.Study, number: int) -> optuna.trial.FrozenTrial:
    """What the study has of a trial."""
    return study.get_trials(deepcopy=False)[number]


def is_database(storage: str) -> bool:
    """Whether --storage names a database and no journal file."""
    return "://" in storage


def open_storage(storage: str) -> optuna.storages.BaseStorage:
    """The storage of that URL or file.

    Args:
        storage: sqlite:///FILE, postgresql://USER:PASSWORD@HOST/DATABASE, mysql://..., or the path of a journal file.

    Raises:
        ValueError: it cannot be reached, or is none; one sentence without the password.
    """
    shown = re.sub(r"//([^:/@]+):[^@]*@", r"//\1:***@", storage)
    if not is_database(storage):
        path = Path(storage).expanduser().resolve()  # its lock is a symbolic link, which must not be relative
        with files.explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            alien = not _may_be_journal(path)
            backend = optuna.storages.journal.JournalFileBackend(str(path))
        try:
            if alien:
                raise ValueError("its first line is no entry")
            return optuna.storages.JournalStorage(backend)
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise ValueError(f"--storage={shown} is no journal of a search: name another file") from error
    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if storage.startswith("sqlite"):
        arguments = {"connect_args": {"timeout": 60}}
    for attempt in range(_ATTEMPTS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return optuna.storages.RDBStorage(
                    storage, engine_kwargs=arguments, heartbeat_interval=HEARTBEAT, grace_period=GRACE
                )
        except ImportError as error:
            driver = re.findall(r"'([\w.]+)'", str(error.__cause__ or error)) or ["the database's driver"]
            raise ValueError(
                f"--storage={shown} needs a Python package that is not installed, {driver[0]}: pip install it"
            ) from error
        except Exception as error:  # SQLAlchemy's and the drivers' own
            if attempt == _ATTEMPTS - 1:
                raise ValueError(
                    f"--storage={shown} cannot be used ({_first_line(error)}): check the address, and that the "
                    "database runs"
                ) from error
    raise AssertionError


def _may_be_journal(path: Path) -> bool:
    """Whether a file is missing, empty, or begins with an entry; Optuna looks at a single line only after writing."""
    if not path.exists():
        return True
    with open(path, "rb") as stream:
        first = stream.readline(1 << 20)
    try:
        return not first or "op_code" in dict(json.loads(first))
    except (ValueError, TypeError):
        return False


def open_study(plan: Plan) -> optuna.Study:
    """The study of a search, made if it is not there.

    Raises:
        ValueError: its storage cannot be reached, or it was made with other settings.
    """
    storage = open_storage(plan.storage)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        name = _name_in(storage, plan)
        chosen = {"storage": storage, "sampler": plan.make_sampler(), "pruner": plan.pruner(), "study_name": name}
        try:
            study = optuna.load_study(**chosen)
        except KeyError:
            study = optuna.create_study(**chosen, direction="maximize", load_if_exists=True)
    mine = files.plain(plan.setup())
    found = study.user_attrs.get(_SETUP)
    if found is None and study.get_trials(deepcopy=False):
        raise ValueError(f"study {name!r} in the storage is not one of this command: give another --study_name")
    if found is None:
        study.set_user_attr(_SETUP, json.dumps(mine, sort_keys=True))
        return study
    other = json.loads(found)
    differing = [key for key in sorted({*mine, *other}) if mine.get(key) != other.get(key)]
    if differing:
        said = [f"{key} {other.get(key)} and not {mine.get(key)}" for key in differing[:_SHOWN]]
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise ValueError(
            f"study {name!r} was made with {', '.join(said)}{more}: continue it with the same, or give another "
            "--output and --study_name"
        )
    return study


def _name_in(storage: optuna.storages.BaseStorage, plan: Plan) -> str:
    """The study's name; of a search folder that was copied or renamed since, the one it had."""
    names = [study.study_name for study in storage.get_all_studies()]
    renamed = plan.study == plan.folder.resolve().name and Path(plan.storage) == plan.folder / JOURNAL
    return names[0] if renamed and len(names) == 1 else plan.study


def turn_lock(plan: Plan) -> Lock:
    """Held while a worker looks what is to be done and takes a trial; beside the journal, or in the search folder."""
    if is_database(plan.storage):
        return Lock(plan.folder / ".turn")
    path = Path(plan.storage).expanduser()
    return Lock(path.with_name(f".{path.name}.turn"))


def repair(study: optuna.Study, plan: Plan) -> None:
    """Repeats the trials whose process died. To be called under ``turn_lock``."""
    if is_database(plan.storage):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False, states=(_State.RUNNING,)):
        if _is_dead(trial, shared=not is_database(plan.storage)):
            with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
                study._storage.set_trial_state_values(trial._trial_id, state=_State.FAIL)
    for tries in grouped(study.get_trials(deepcopy=False)):
        if tries.lost:
            repeat(study, tries)


def repeat(study: optuna.Study, tries: Tries) -> None:
    """Puts a trial in the queue once more, with the numbers that it had."""
    last = tries.trials[-1]
    history = [trial.number for trial in tries.trials]
    study.add_trial(
        optuna.trial.create_trial(
            state=_State.WAITING,
            params=last.params,
            distributions=last.distributions,
            system_attrs={**last.system_attrs, _FIRST: tries.number, _HISTORY: history},
        )
    )


def repeat_failed(study: optuna.Study) -> int:
    """Queues all trials that failed; how many."""
    failed = [tries for tries in grouped(study.get_trials(deepcopy=False)) if tries.error]
    for tries in failed:
        repeat(study, tries)
    return len(failed)


def is_superfluous(study: optuna.Study, number: int, most: int) -> bool:
    """Whether a trial that was just taken is one too many, because machines without a common folder took one at once.

    Either the search is full, or another try of the same trial is under way or done. The one with the lower number
    stays, so all machines agree.
    """
    groups = grouped(study.get_trials(deepcopy=False))
    for rank, tries in enumerate(groups):
        for trial in tries.trials:
            if trial.number == number:
                return rank >= most
            if trial.state != _State.FAIL and any(later.number == number for later in tries.trials):
                return True
    return False


def _is_dead(trial: optuna.trial.FrozenTrial, shared: bool) -> bool:
    host, lock = trial.user_attrs.get(HOST), trial.user_attrs.get(LOCK)
    if host is None:
        # It died between taking its number and saying where; nobody is there now if all share the turn's lock.
        started = trial.datetime_start
        if shared or started is None:
            return True
        return bool((started.now() - started).total_seconds() > GRACE)
    here = host == socket.gethostname()
    return (here or shared) and not is_held(Path(str(lock)), elsewhere=not here)


def _first_line(error: BaseException) -> str:
    return " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())[:200]
