"""Runs recipes over seeds, one after another, and writes their results as one table.

    python scripts/run_recipes.py --seeds 0,1 --data_dir DATA --output runs/cpu flags/recipes/cpu/cifar10_0.4_*.flags

A recipe that begins with another one's run (--baseline_run) gets that of the same seed, which is made first if need be.
Flags that are not its own go to train_cifar.py, for the recipes and for the runs that they begin with.
Started again after a stop it continues: finished runs are skipped, a killed one goes on from its checkpoint; a run that
was made with other settings is refused. The table (csv and Markdown, mean and standard deviation over seeds) is renewed
after every run.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts import commands  # noqa: E402

# Of a result: (name, heading, factor, digits behind the point). Headings without any value are left out.
COLUMNS = (
    ("accuracy_last", "last", 100, 1),
    ("accuracy_best", "best", 100, 1),
    ("accuracy_mean_last_10", "mean of last 10", 100, 1),
    ("accuracy_early_stopped", "early stopped", 100, 1),
    ("weights_auc", "weights AUC", 1, 3),
    ("data_utilisation", "data used", 100, 0),
    ("steps_per_second", "steps a second", 1, 1),
)
FIGURES = tuple(name for name, *_ in COLUMNS)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", type=Path, help="flagfiles")
    parser.add_argument("--seeds", default="0", help="comma-separated")
    parser.add_argument("--data_dir", default=None, help="where the data sets are")
    parser.add_argument("--output", type=Path, default=Path("runs/recipes"), help="gets a run folder a recipe and seed")
    parser.add_argument("--table", type=Path, default=None, help="csv to write; default: OUTPUT/table.csv")
    parser.add_argument("--only_table", action="store_true", help="start no run, write the table of finished ones")
    chosen, passed_on = parser.parse_known_args(arguments)
    try:
        seeds = [int(seed) for seed in chosen.seeds.split(",")]
    except ValueError:
        parser.error(f"--seeds={chosen.seeds}: expected whole numbers such as 0,1")
    for recipe in chosen.recipes:
        if not recipe.is_file():
            parser.error(f"there is no flagfile {recipe}")
        try:
            first_run(recipe, 0, chosen.output)
        except ValueError as error:
            parser.error(str(error))
    table = chosen.table or chosen.output / "table.csv"
    if chosen.only_table:
        if write_table(table, chosen.recipes, seeds, chosen.output):
            print(f"table: {table} and {table.with_suffix('.md')}")
            return 0
        parser.error(f"{chosen.output} has no finished run of these recipes")
    for seed in seeds:
        for recipe in chosen.recipes:
            if code := _run(recipe, seed, chosen, passed_on):
                return code
            write_table(table, chosen.recipes, seeds, chosen.output)
    print(f"table: {table} and {table.with_suffix('.md')}")
    return 0


def folder_of(recipe: Path, seed: int, output: Path) -> Path:
    """The run folder of one recipe and seed: named after its folder too, as several tables have a row of one name."""
    recipe = recipe.resolve()
    return output / f"{recipe.parent.name}_{recipe.stem}_seed{seed}"


def first_run(recipe: Path, seed: int, output: Path) -> tuple[Path, Path] | None:
    """The recipe that this one's --baseline_run names, and that recipe's run of the same seed.

    Raises:
        ValueError: the run is of no recipe beside this one.
    """
    lines = recipe.read_text(encoding="utf-8").splitlines()
    named = [line.split("=", 1)[1].strip() for line in lines if line.startswith("--baseline_run=")]
    if not named:
        return None
    for other in sorted(recipe.parent.glob("*.flags")):
        if Path(named[0]).name == f"{other.parent.name}_{other.stem}":
            return other, folder_of(other, seed, output)
    raise ValueError(f"{recipe}: no recipe beside it makes --baseline_run={named[0]}")


def _run(recipe: Path, seed: int, chosen: argparse.Namespace, passed_on: Sequence[str]) -> int:
    """Makes one run, and before it the one it begins with; the exit status."""
    folder = folder_of(recipe, seed, chosen.output).resolve()
    baseline = first_run(recipe, seed, chosen.output)
    given = [f"--baseline_run={baseline[1].resolve()}"] if baseline else []
    data = [f"--data_dir={Path(chosen.data_dir).resolve()}"] if chosen.data_dir else []
    script = [
        "train_cifar.py",
        *(f"--flagfile={recipe.resolve()}", f"--seed={seed}", *data, *given, *passed_on),
        f"--train_log_dir={folder}",
    ]
    if (folder / "result.json").is_file():
        return _check_settings(folder, script)
    if baseline and (code := _run(baseline[0], seed, chosen, passed_on)):
        return code
    print(f"== {folder.name}", flush=True)
    return commands.run([sys.executable, *script], ROOT)


def _check_settings(folder: Path, script: Sequence[str]) -> int:
    """0 if a finished run was made with the settings of this command line, else 1 after one sentence."""
    from mentornet import quiet

    quiet.start_tensorflow()  # takes seconds: only where there is something to compare

    from absl import flags as absl_flags

    from flags import configuration
    from mentornet.runs.workdir import Workdir

    try:
        workdir = Workdir(folder)
        workdir.check_identity(configuration.parse(script).of_run(workdir).identity())
    except (ValueError, absl_flags.Error) as error:
        print(f"run_recipes.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"== {folder.name} is finished", flush=True)
    return 0


def write_table(path: Path, recipes: Sequence[Path], seeds: Sequence[int], output: Path) -> bool:
    """Writes the finished runs as csv and Markdown, one row a recipe; whether there is any."""
    rows: list[dict[str, Any]] = []
    stems = [recipe.stem for recipe in recipes]
    for recipe in recipes:
        files = [folder_of(recipe, seed, output) / "result.json" for seed in seeds]
        results = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
        if not results:
            continue
        name = recipe.stem if stems.count(recipe.stem) == 1 else f"{recipe.resolve().parent.name}/{recipe.stem}"
        row: dict[str, Any] = {"recipe": name, "seeds": len(results)}
        for figure in FIGURES:
            values = [result[figure] for result in results if result.get(figure) is not None]
            row[figure] = statistics.fmean(values) if values else None
            row[f"{figure}_std"] = statistics.stdev(values) if len(values) > 1 else None
        row["minutes"] = statistics.fmean(result["seconds"] for result in results) / 60
        rows.append(row)
    if not rows:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _rounded(value) for name, value in row.items()} for row in rows)
    path.with_suffix(".md").write_text(markdown(rows), encoding="utf-8")
    return True


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table for a document: accuracies in percent, "mean ± deviation" over seeds."""
    shown = [column for column in COLUMNS if any(row[column[0]] is not None for row in rows)]
    head = ["recipe", "seeds", *(heading for _, heading, _, _ in shown), "minutes"]
    lines = [f"| {' | '.join(head)} |", "| --- | " + "---: | " * (len(head) - 1)]
    for row in rows:
        cells = [_with_deviation(row, name, factor, digits) for name, _, factor, digits in shown]
        lines.append(f"| {row['recipe']} | {row['seeds']} | {' | '.join(cells)} | {row['minutes']:.1f} |")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _with_deviation(row: dict[str, Any], figure: str, scale: float, digits: int) -> str:
    if row[figure] is None:
        return ""
    deviation = row[f"{figure}_std"]
    return f"{scale * row[figure]:.{digits}f}" + ("" if deviation is None else f" ± {scale * deviation:.{digits}f}")


def _rounded(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
