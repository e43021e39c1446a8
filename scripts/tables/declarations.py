"""What a table of a paper is here: its name, where its cells stand in the paper's table, which recipe makes each.

A table's recipes are the flagfiles in ``flags/recipes/<name>``: one a cell, named so that ``cell`` tells row and
column. Cells that other folders have are named one by one; those of ``cpu`` are its twins for ``--scale=cpu``. What is
made by another script than a recipe's is a ``Command``. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts.tables.recipe_files import FOLDER, ROOT, RecipeLike

SCALES = ("cpu", "paper")


@dataclass(frozen=True)
class Command:
    """A cell that another script than a recipe's makes, or what a recipe needs first.

    Attributes:
        name: of its folder, without the seed.
        script: from the repository's root.
        flags: its own; the folder, the seed and where the data is come to them.
        row, column: of the table it belongs to; empty for what is only needed first.
        scale: "cpu" or "paper".
        output: the flag that takes its folder.
        inner: the flag that takes further flags of its trainings, in one string; empty: it takes them itself.
        run: where in its folder the run is whose result counts.
        finished: the file in its folder that the last of its work writes.
        steps: of the training that takes longest.
    """

    name: str
    script: str
    flags: tuple[str, ...]
    row: str = ""
    column: str = ""
    scale: str = "paper"
    output: str = "--output"
    inner: str = "--flags"
    run: str = "run"
    finished: str = "run/result.json"
    steps: int = 0


@dataclass(frozen=True)
class Table:
    """One table or figure.

    Attributes:
        name: as on the command line; of the recipes' folder, too, unless ``folder`` names another.
        title: paper and table, as people call them.
        cell: a regular expression for the stem of a recipe, with the groups ``row`` and ``column``; stems that do not
            match are no cells of this table. Empty: it has no recipes of its own.
        paper: the csv in docs/papers without its ending; empty if the paper has no numbers.
        printed: the table's name in there.
        column: where {} stands for that group; constant if the expression has none.
        shared: stem of a recipe in flags/recipes/cpu, or folder/stem -> its row and column.
        commands: cells of other scripts.
        own_command: what makes the whole of it, for the few that have a script of their own and no cells here.
        figure: what of result.json stands in a cell, a path with dots.
        remark: what of the printed table is no cell here, or why it has none, in one sentence.
        setting: how the cells at CPU scale differ from the paper, in one sentence.
    """

    name: str
    title: str
    cell: str = r"(?P<row>.+)"
    paper: str = ""
    printed: str = ""
    folder: str = ""
    column: str = "{}"
    shared: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    commands: tuple[Command, ...] = ()
    own_command: str = ""
    figure: str = "accuracy_last"
    setting: str = ""
    remark: str = ""

    @property
    def apart(self) -> bool:
        """Whether it has no cells: a command of its own makes it, or it is no table of trainings."""
        return bool(self.own_command) or not (self.cell or self.shared or self.commands)


@dataclass(frozen=True)
class Cell:
    """One training of a table, but for its seed.

    Attributes:
        name: of its folder, without the seed.
        recipe: the flagfile from the repository's root; None for a ``Command``.
        output: the flag that takes its folder.
        data: the flags of the data in the recipe's own command, as ``--data_dir=DATA``.
    """

    table: str
    row: str
    column: str
    scale: str
    name: str
    script: str
    flags: tuple[str, ...]
    recipe: Path | None = None
    output: str = "--train_log_dir"
    data: tuple[str, ...] = ("--data_dir=DATA",)
    inner: str = ""
    run: str = "."
    finished: str = "result.json"
    declared_steps: int = 0

    @property
    def named(self) -> dict[str, str]:
        """Its flags by name."""
        return {name.lstrip("-"): value for name, _, value in (flag.partition("=") for flag in self.flags)}

    @property
    def tuned(self) -> bool:
        """Whether it is a search, made once, whose best is trained anew with the seeds that are asked for."""
        return self.script == "scripts/search_schedule.py" and "retrain_seeds" not in self.named

    @property
    def stem(self) -> str:
        """As results in docs/results name it."""
        return self.recipe.stem if self.recipe is not None else self.name


_COMMAND = re.compile(r"^# command: python (?P<script>\S+) --flagfile=\S+ (?P<data>.*?) ?(?P<output>--\w+)=runs/\S+$")


def recipe_cell(path: Path, table: str, row: str, column: str, scale: str, text: str | None = None) -> Cell:
    """The cell that a recipe makes.

    Raises:
        ValueError: the head of the recipe has no command.
    """
    content = (ROOT / path).read_text(encoding="utf-8") if text is None else text
    lines = content.splitlines()
    found = next(filter(None, map(_COMMAND.match, lines)), None)
    if found is None:
        raise ValueError(f"{path}: its head has no line '# command: python SCRIPT --flagfile=... FLAG=runs/...'")
    return Cell(
        table=table,
        row=row,
        column=column,
        scale=scale,
        name=f"{path.parent.name}_{path.stem}",
        script=found["script"],
        flags=tuple(line.strip() for line in lines if line.startswith("--")),
        recipe=path,
        output=found["output"],
        data=tuple(shlex.split(found["data"])),
    )


_FOLDER_FLAG = re.compile(r"(?P<flag>--\w+)=runs/(?P<name>[^/]+)")


def prepared_by_head(text: str, name: str, inside: str) -> Command | None:
    """The command in a recipe's head that makes ``runs/<name>``; None if there is none.

    Args:
        text: of the recipe.
        name: of the folder.
        inside: what the recipe takes from it, as "/mentornet"; empty: it takes a run.
    """
    for found in re.finditer(r"^#.*?\bpython (?P<command>scripts/\S+\.py .*)$", text, re.MULTILINE):
        script, *flags = shlex.split(found["command"])
        places = [place for place in map(_FOLDER_FLAG.fullmatch, flags) if place and place["name"] == name]
        if not places or any(flag.startswith("--flagfile=") for flag in flags):
            continue
        own = tuple(flag for flag in flags if flag != places[0][0] and not flag.startswith("--data_dir="))
        inner = "--flags" if any(flag.startswith("--flags=") for flag in own) else ""
        finished = f"{inside[1:]}/card.json" if inside else "result.json"
        return Command(name, script, own, output=places[0]["flag"], inner=inner, run=".", finished=finished)
    return None


def command_cell(command: Command, table: str) -> Cell:
    """The cell that a command makes."""
    return Cell(
        table=table,
        row=command.row,
        column=command.column,
        scale=command.scale,
        name=command.name,
        script=command.script,
        flags=command.flags,
        output=command.output,
        inner=command.inner,
        run=command.run,
        finished=command.finished,
        declared_steps=command.steps,
    )


def cells(table: Table, written: Mapping[Path, str]) -> list[Cell]:
    """All cells of a table in the order of its declaration, both scales.

    Args:
        table: the declaration.
        written: path -> text of all declared recipes.

    Raises:
        ValueError: a shared cell has no recipe.
    """
    folder = FOLDER / (table.folder or table.name)
    found = []
    for path, text in written.items():
        place = re.fullmatch(table.cell, path.stem) if table.cell and path.parent == folder else None
        if place is not None:
            groups = place.groupdict()
            column = table.column.format(groups.get("column") or "")
            found.append(recipe_cell(path, table.name, groups["row"], column, _scale(path), text))
    for stem, (row, column) in table.shared.items():
        path = FOLDER / (f"{stem}.flags" if "/" in stem else f"cpu/{stem}.flags")
        if path not in written:
            raise ValueError(f"table {table.name}: {stem} is no declared recipe")
        found.append(recipe_cell(path, table.name, row, column, _scale(path), written[path]))
    return found + [command_cell(command, table.name) for command in table.commands]


def _scale(path: Path) -> str:
    return "cpu" if path.parent.name.startswith("cpu") else "paper"


def rendered(recipe: RecipeLike) -> tuple[Path, str]:
    """Path and text of what a module's ``recipes`` gives: either these two, or (path, lines of the head, flags)."""
    from scripts.tables import recipe_files

    if len(recipe) == 2:
        return recipe
    path, head, flags = recipe
    return recipe_files.file(path, head, flags, "train_cifar.py")
