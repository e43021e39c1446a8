"""Every table of the papers by its name.

    python scripts/reproduce.py list
    python scripts/reproduce.py plan icml_table2 --scale=cpu --seeds=0,1 --data_dir=DATA
    python scripts/reproduce.py run icml_table2 --cells='*0.4*' --seeds=0,1 --data_dir=DATA --processes=2
    python scripts/reproduce.py show icml_table2 --seeds=0,1
    python scripts/reproduce.py write           # the recipes, from the declarations in scripts/tables
    python scripts/reproduce.py docs            # the tables in README.md and docs/, from docs/results

Cells are recipes of flags/recipes; flags that are not this command's own go to their trainings. Started again after a
stop `run` continues: finished cells are skipped, a killed one goes on from its checkpoint, a run made with other
settings is refused. docs/reproducing.md shows the uses.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mentornet import quiet
from scripts import tables
from scripts.reproduction import asked, cluster, pages, planning, runner, showing
from scripts.reproduction.jobs import Job, OtherSettings, with_needs
from scripts.reproduction.planning import StepTimes
from scripts.tables import recipe_files
from scripts.tables.declarations import Cell

OUTPUT = Path("runs/tables")
_DATA = ("data_dir", "ilsvrc_dir")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="reproduce.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = found.add_subparsers(dest="command", required=True, metavar="list|plan|run|show|write|docs")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, allow_abbrev=False)

    command("list", "papers, tables, cells, cost, what has been run")
    command("write", "writes flags/recipes from the declarations")
    docs = command("docs", "renews the tables in the documents from docs/results")
    docs.add_argument("--check", action="store_true", help="only say which documents are old; exit code 1 then")
    for name, text in (
        ("plan", "cells, steps, estimated hours on this machine, disk"),
        ("run", "trains the cells"),
        ("show", "the paper's numbers beside ours"),
    ):
        one = command(name, text)
        one.add_argument("table", help="a name of `list`")
        one.add_argument("--scale", default="cpu", help="cpu (default) or paper")
        one.add_argument("--seeds", default="0", help="comma-separated (default: 0)")
        one.add_argument("--cells", default="*", help="only recipes whose name matches; several with commas")
        one.add_argument("--output", type=Path, default=OUTPUT, help="folder of the runs (default: runs/tables)")
        if name != "show":
            one.add_argument("--data_dir", default=None, help="where the data sets are")
            one.add_argument("--ilsvrc_dir", default=None, help="ImageNet's validation images, for WebVision")
        if name == "plan":
            one.add_argument("--no_measure", action="store_true", help="take the steps that are measured already")
        if name == "run":
            one.add_argument("--processes", type=int, default=1, help="trainings at a time")
            how = one.add_mutually_exclusive_group()
            how.add_argument("--slurm", action="store_true", help="submit an array job, a task a cell (submitit)")
            how.add_argument("--print_jobs", action="store_true", help="print one command a cell, start nothing")
            how.add_argument("--kubernetes", action="store_true", help="print an Indexed Job, start nothing")
            one.add_argument("--slurm_options", default="", help="key=value,... for submitit, as timeout_min=600")
            one.add_argument("--image", default=None, help="container image, for --kubernetes")
        if name == "show":
            one.add_argument(
                "--csv",
                type=Path,
                default=None,
                help="write the figures of the finished runs there, as docs/results has them",
            )
    return found


def chosen_cells(given: argparse.Namespace) -> list[Cell]:
    """The cells that a command line asks for.

    Raises:
        ValueError: no such table, scale or cells.
    """
    table = tables.tables().get(given.table)
    if table is not None and table.apart:
        made = f"is made by a command of its own: {table.own_command}" if table.own_command else f"is {table.remark}"
        raise ValueError(f"{given.table} {made}")
    found = tables.cells(given.table, given.scale)
    patterns = [
        pattern if any(sign in pattern for sign in "*?[") else f"{pattern}" for pattern in given.cells.split(",")
    ]
    kept = [cell for cell in found if any(fnmatch.fnmatchcase(cell.stem, pattern) for pattern in patterns)]
    if not kept:
        some = ", ".join([*(cell.stem for cell in found[:4]), *(["..."] if len(found) > 4 else [])])
        raise ValueError(f"--cells={given.cells} matches none of the {len(found)} cells of {given.table}: {some}")
    return kept


def chosen_seeds(text: str) -> list[int]:
    """Seeds of a command line.

    Raises:
        ValueError: not whole numbers from 0 on, or one twice.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len(set(parts)) != len(parts):
        raise ValueError(f"--seeds={text}: expected whole numbers, each once, such as 0,1,2")
    return [int(part) for part in parts]


def jobs_of(given: argparse.Namespace, more: Sequence[str]) -> list[Job]:
    """A job a seed and cell, all cells of the first seed first; of a cell that is tuned one with all seeds."""
    data = tuple(
        f"--{name}={Path(value).resolve()}" for name in _DATA if (value := getattr(given, name, None)) is not None
    )
    output = given.output.resolve()
    cells = chosen_cells(given)
    seeds = chosen_seeds(given.seeds)
    found = [
        Job(cell, seed, output, data, tuple(more))
        if not cell.tuned
        else Job(cell, 0, output, data, tuple(more), tuple(seeds))
        for seed in seeds
        for cell in cells
        if not cell.tuned or seed == seeds[0]
    ]
    asked.check_more(more, found)
    return found


def run_table(given: argparse.Namespace, more: Sequence[str]) -> None:
    """Trains, or writes the jobs for a cluster."""
    if given.processes < 1:
        raise ValueError(f"--processes={given.processes}: expected 1 or more")
    wanted = jobs_of(given, more)
    asked.check_places(given, OUTPUT)
    if given.print_jobs or given.kubernetes or given.slurm:
        cluster.hand_out(given, wanted, more)
        return
    times = StepTimes(given.output.resolve() / planning.CACHE)
    runner.run(with_needs(wanted), given.processes, times.cost, lambda line: print(line, flush=True))
    print(f"see: python scripts/reproduce.py show {given.table} --scale={given.scale} --seeds={given.seeds}"
          f"{'' if given.output == OUTPUT else f' --output={given.output}'}")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 for a training that failed or an old document, 2 for a mistake in the command line."""
    given, more = parser().parse_known_args(arguments)
    try:
        if more and (given.command not in ("run", "plan") or not all(flag.startswith("--") for flag in more)):
            raise ValueError(f"unknown argument {more[0]}; python scripts/reproduce.py {given.command} --help")
        if given.command == "list":
            print(showing.listing(tables.tables().values()), end="")
        elif given.command == "write":
            recipe_files.write(list(tables.recipes().items()))
        elif given.command == "docs":
            return pages.main(given.check)
        elif given.command == "plan":
            print(
                showing.plan(
                    given.table, with_needs(jobs_of(given, more)), given.output.resolve(), not given.no_measure
                ),
                end="",
            )
        elif given.command == "show":
            showing.show(given.table, jobs_of(given, more), given.output, given.csv)
        else:
            run_table(given, more)
    except runner.Failed as error:
        print(f"reproduce.py: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise  # nobody reads what is printed; see ``quiet.ends_with_its_reader``
    except (OtherSettings, ValueError, OSError) as error:
        print(f"reproduce.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, runner.Stopped):
        print("reproduce.py: stopped; the same command continues", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    with quiet.ends_with_its_reader():
        sys.exit(main())
