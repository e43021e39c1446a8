"""A folder of photographs of which some lie in wrong folders, and how well a run on it has found them.

    python scripts/wrong_photos.py make --data_dir=DATA --output=runs/wrong_photos
    python scripts/wrong_photos.py judge RUN --truth=runs/wrong_photos/truth.csv [--corrections=FILE] [--csv=FILE]

``make`` writes 2,400 images of CIFAR-10 as JPEGs below OUTPUT/photos/<class>/, three of ten in another class's folder,
and truth.csv beside them: what a person meets who has images and no clean test set. ``judge`` says how many of the
first suspects really are wrong, and writes what a person would decide about the first --review of them.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data import datasets
from mentornet import files, reading
from mentornet.runs.run_data import RunData
from mentornet.runs.samples import weights_auc
from mentornet.runs.workdir import Workdir
from scripts import csv_table

FIRST = (50, 100, 200, 500)


def make(output: Path, data_dir: str | None, count: int, share: float, seed: int) -> None:
    """Writes photos/ and truth.csv."""
    dataset = datasets.load("cifar10", data_dir=data_dir, download=False)
    rng = np.random.default_rng(seed)
    chosen, names = rng.permutation(len(dataset.train))[:count], dataset.class_names
    wrong, rows = rng.random(count) < share, [("path", "given", "true")]
    for number, index in enumerate(chosen):
        true = int(dataset.train.labels[index])
        given = int((true + rng.integers(1, len(names))) % len(names)) if wrong[number] else true
        path = f"{names[given]}/IMG_{number:04d}.jpg"
        file = output / "photos" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dataset.train.images[index]).save(file, quality=92)
        rows.append((path, names[given], names[true]))
    _write(output / "truth.csv", rows)
    print(f"{count:,} images below {output / 'photos'}, the truth in {output / 'truth.csv'}")


def judge(run: RunData, truth: Path, corrections: Path | None, review: int) -> dict[str, object]:
    """Figures of a run's suspects; also writes the corrections, if asked.

    Raises:
        RunFolderError: the run has no samples, or they have no files.
    """
    if run.samples is None or "path" not in run.samples:
        raise files.RunFolderError(f"{run.path} has no samples.csv of a folder of images")
    with truth.open(newline="", encoding="utf-8") as stream:
        table = csv.DictReader(stream)
        if not {"path", "true"} <= {*(table.fieldnames or ())}:
            raise ValueError(f"{truth} needs the columns path and true, as in the truth.csv that make writes")
        known = {row["path"]: row["true"] for row in table}
    order = np.argsort(run.samples["suspect_rank"], kind="stable")
    paths = run.samples["path"][order].tolist()
    given = run.samples["given_name"][order].tolist()  # as trained on: a run may have had corrections
    if unknown := [path for path in paths if path not in known]:
        raise ValueError(f"{truth} does not know {unknown[0]}, nor {len(unknown) - 1} others")
    right = np.array([known[path] == label for path, label in zip(paths, given, strict=True)])
    if corrections is not None:
        rows = [("path", "action", "label")]
        for path, is_right in zip(paths[:review], right[:review], strict=True):
            rows.append((path, "confirm" if is_right else "relabel", known[path]))
        _write(corrections, rows)
    estimate = Workdir(run.path).estimate_file
    estimated = reading.read_json(estimate) if estimate.is_file() else {}
    return {
        "run": run.name,
        "studentnet": run.fact("studentnet"),
        "learning_rate": run.fact("learning_rate"),
        "seed": run.fact("seed"),
        "images": len(right),
        "wrong": round(float(1 - right.mean()), 3),
        "estimate": round(float(estimated.get("wrong", np.nan)), 3),
        **{f"precision_at_{first}": round(float(1 - right[:first].mean()), 3) for first in FIRST},
        "auroc": round(weights_auc(np.arange(len(right)), right), 3),
        "agreement": round(float(run.fact("accuracy_last") or np.nan), 3),
        "minutes": round(float(run.fact("seconds") or np.nan) / 60, 1),
    }


def _write(path: Path, rows: Sequence[tuple[str, ...]]) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    files.write_text(path, stream.getvalue())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    making = tasks.add_parser("make", help="write the folder")
    making.add_argument("--data_dir", help="where CIFAR-10 is")
    making.add_argument("--output", type=Path, default=Path("runs/wrong_photos"))
    making.add_argument("--count", type=int, default=2400)
    making.add_argument("--wrong", type=float, default=0.3)
    making.add_argument("--seed", type=int, default=0)
    judging = tasks.add_parser("judge", help="judge a run's suspects by a csv with the columns path and true")
    judging.add_argument("run", type=Path)
    judging.add_argument("--truth", type=Path, required=True)
    judging.add_argument("--corrections", type=Path, help="write a corrections file, as the review page does")
    judging.add_argument("--review", type=int, default=500, help="suspects that it decides about")
    judging.add_argument("--csv", type=Path, help="add the figures to this table")
    chosen = parser.parse_args()
    try:
        if chosen.task == "make":
            make(chosen.output, chosen.data_dir, chosen.count, chosen.wrong, chosen.seed)
            return 0
        row = judge(RunData.load(chosen.run), chosen.truth, chosen.corrections, chosen.review)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("  ".join(f"{name} {value}" for name, value in row.items()))
    if chosen.csv:
        csv_table.add(chosen.csv, [row])
    return 0


if __name__ == "__main__":
    sys.exit(main())
