"""A cell of a table with a seed: its folder, the command that makes it, what it needs first, whether it is made.

``OUTPUT/<folder of the recipe>_<recipe>_seed<seed>`` is its folder, so tables that share a cell share its run. A cell
that is tuned first is one job with all its seeds: it is searched once, with seed 0, and further seeds may come later.
``OUTPUT/.cells`` has a lock, a log and the settings of each.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mentornet import files, reading
from scripts.reproduction import machine
from scripts.tables import declarations
from scripts.tables.declarations import Cell
from scripts.tables.recipe_files import ROOT

_FIRST = re.compile(r"(?P<flag>--\w+)=runs/(?P<name>[^/]+)(?P<inside>/.*)?")
RECORDS = ".cells"
SEARCH_FLAGS = ("space", "sampler", "trials", "outer", "samples", "retrain_seeds", "eta", "workers", "trial_steps",
                "trial_epochs")  # fmt: skip
"""Flags of a search that its trainings, and what it needs first, do not have."""


class OtherSettings(ValueError):
    """A folder that was made with other settings."""


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        cell: of the table.
        seed: of everything random.
        output: the folder of all runs, absolute.
        data: flags that say where the data is.
        more: flags that change the training.
        retrained: of a tuned cell, the seeds with which its best is trained anew; of others none.
    """

    cell: Cell
    seed: int
    output: Path
    data: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    retrained: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return self.cell.name if self.cell.tuned else f"{self.cell.name}_seed{self.seed}"

    @property
    def counted(self) -> tuple[str, ...]:
        """The flags that come to those of the recipe, as far as they change what it costs."""
        again = (f"--retrain_seeds={','.join(map(str, self.retrained))}",) if self.cell.tuned else ()
        return (*self.more, *again)

    @property
    def folder(self) -> Path:
        return self.output / self.name

    @property
    def result_file(self) -> Path:
        return self.folder / self.cell.run / "result.json"

    @property
    def metrics_file(self) -> Path:
        return self.folder / self.cell.run / "metrics.csv"

    def record(self, suffix: str) -> Path:
        """A file of its own beside the runs: "lock", "log" or "json"."""
        return self.output / RECORDS / f"{self.name}.{suffix}"

    @property
    def finished(self) -> bool:
        """Whether all of it is done; a search writes its result before the best is trained anew, and after."""
        if self.cell.tuned:
            return len(self.runs()) == len(self.retrained)
        file = self.folder / self.cell.finished
        if not file.is_file():
            return False
        seeds = self.cell.named.get("retrain_seeds", "none")
        return seeds in ("", "none") or len(reading.read_json(file).get("retrained") or []) == len(seeds.split(","))

    def runs(self) -> list[Path]:
        """Run folders with a result, one a seed."""
        if not self.cell.tuned:
            return [self.result_file.parent] if self.finished and self.result_file.is_file() else []
        search = self.folder / "result.json"
        if not search.is_file():
            return []
        best = reading.read_json(search)["best_trial"]
        folders = [self.folder / "retrained" / f"trial{best:04d}_seed{seed}" / "run" for seed in self.retrained]
        return [folder for folder in folders if (folder / "result.json").is_file()]

    @property
    def started(self) -> bool:
        return self.folder.is_dir()

    def needs(self) -> list[Job]:
        """What has to be finished before: the runs that its flags name as ``runs/...``, of the same seed.

        Raises:
            ValueError: neither a recipe of the same folder nor a command of the head makes such a run.
        """
        found = []
        for match in filter(None, map(_FIRST.fullmatch, self.cell.flags)):
            first = _cell_of(match["name"], match["inside"] or "", self.cell)
            if first is None:
                raise ValueError(f"{self.cell.recipe}: no recipe beside it makes {match[0]}")
            search = self.cell.script.endswith("search_schedule.py")
            more = [flag for flag in self.more if not (search and flag.lstrip("-").partition("=")[0] in SEARCH_FLAGS)]
            found.append(Job(first, self.seed, self.output, self.data, tuple(more)))
        return found

    def arguments(self) -> list[str]:
        """Script and flags, as they are given to Python."""
        cell = self.cell
        if cell.recipe is None:
            head = f"{cell.inner}="
            own = [flag for flag in cell.flags if not cell.inner or not flag.startswith(head)]
            inside = [flag.partition("=")[2] for flag in cell.flags if flag not in own]
            if self.more and cell.inner:
                inside.append(shlex.join(self.more))
            flags = [*own, *([head + " ".join(inside)] if inside else []), *(() if cell.inner else self.more)]
        else:
            firsts = [
                f"{match['flag']}={self.output / match['name']}_seed{self.seed}{match['inside'] or ''}"
                for match in filter(None, map(_FIRST.fullmatch, cell.flags))
            ]
            flags = [f"--flagfile={ROOT / cell.recipe}", *firsts, *self.more]
        flags += self.counted[len(self.more) :]
        return [cell.script, *flags, f"--seed={self.seed}", *self.data, f"{cell.output}={self.folder}"]

    def command(self) -> list[str]:
        """The whole command line."""
        return [sys.executable, *self.arguments()]

    def settings(self) -> list[str]:
        """What decides the result, for people and for comparison."""
        return [*self.cell.flags, *self.more, f"--seed={self.seed}"]

    @property
    def changed(self) -> tuple[str, ...]:
        """How the run in the folder was made otherwise than the table declares; empty also where nothing is noted."""
        file = self.record("json")
        if not file.is_file():
            return ()
        noted, declared = reading.read_json(file)["flags"], [*self.cell.flags, f"--seed={self.seed}"]
        added = [flag for flag in noted if flag not in declared]
        names = {flag.partition("=")[0] for flag in added}
        left_out = [flag for flag in declared if flag not in noted and flag.partition("=")[0] not in names]
        return (*added, *(f"without {flag}" for flag in left_out))

    def write_settings(self) -> None:
        """Notes what the run is started with, unless that is known already."""
        file = self.record("json")
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            settings = {"cell": self.cell.name, "seed": self.seed, "flags": self.settings()}
            files.write_json(file, {**settings, "processor": machine.processor()})

    def check_settings(self) -> None:
        """Makes sure that what is in the folder was made with these settings.

        Raises:
            OtherSettings: it was not.
        """
        file = self.record("json")
        before = reading.read_json(file)["flags"] if file.is_file() else None
        if before == self.settings() or not self.started:
            return
        if self.cell.recipe is not None and self.cell.script in ("train_cifar.py", "train_imagenet.py"):
            self._check_identity()
        elif before is not None:
            missing = [flag for flag in before if flag not in self.settings()]
            added = [flag for flag in self.settings() if flag not in before]
            raise OtherSettings(
                f"{self.folder} was made with {' '.join(missing) or 'fewer flags'} and is now asked for with "
                f"{' '.join(added) or 'fewer flags'}: give the same, or another --output"
            )

    def _check_identity(self) -> None:
        from mentornet import quiet

        quiet.start_tensorflow()  # takes seconds: only where the flags are written in another way

        from absl import flags as absl_flags

        from flags import configuration
        from flags.define import imagenet_flags
        from mentornet.runs.workdir import Workdir

        parser = configuration if self.cell.script == "train_cifar.py" else imagenet_flags
        workdir = Workdir(self.folder)
        if not workdir.is_run_folder():
            return
        try:
            workdir.check_identity(parser.parse(self.arguments()).of_run(workdir).identity())
        except (ValueError, absl_flags.Error) as error:
            raise OtherSettings(" ".join(str(error).split())) from None


def _cell_of(name: str, inside: str, beside: Cell) -> Cell | None:
    """The cell whose folder has a name: of a command in the recipe's head, or a recipe of the same folder."""
    if beside.recipe is None:
        return None
    prepared = declarations.prepared_by_head((ROOT / beside.recipe).read_text(encoding="utf-8"), name, inside)
    if prepared is not None:
        return declarations.command_cell(prepared, beside.table)
    for path in sorted((ROOT / beside.recipe).parent.glob("*.flags")):
        if name == f"{path.parent.name}_{path.stem}":
            relative = path.relative_to(ROOT)
            return declarations.recipe_cell(relative, beside.table, path.stem, "", beside.scale)
    return None


def with_needs(wanted: Sequence[Job]) -> list[Job]:
    """The jobs and all that they need first, each once, in an order in which they can be made."""
    found: dict[str, Job] = {}

    def add(job: Job) -> None:
        if job.name not in found:
            for first in job.needs():
                add(first)
            found[job.name] = job

    for job in wanted:
        add(job)
    return list(found.values())
