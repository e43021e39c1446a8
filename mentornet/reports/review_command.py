"""The review page of a run: which suspects, their pictures, and where their files are.

    python -m mentornet.reports.review RUN [--top 500] [--output review.html]

Pictures come from the files of people's own images, else from suspects.npz, which a training leaves in its folder.
Nothing here imports TensorFlow.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mentornet import files
from mentornet.reports import review_page
from mentornet.runs import samples, suspect_pictures
from mentornet.runs.mask_samples import MASKS_FILE
from mentornet.runs.run_data import RunData
from mentornet.runs.workdir import Workdir


def write_review(path: str | os.PathLike[str], top: int = 500, output: str | os.PathLike[str] | None = None) -> str:
    """Writes the page of a run, and returns the text to print.

    Args:
      path: the run folder.
      top: how many of the most suspect samples are in the page.
      output: the page; by default review.html in the run folder.

    Raises:
      RunFolderError: (a ValueError) no run folder, no samples.csv in it, a damaged file, or nothing can be written.
    """
    run = RunData.load(path)
    if (run.path / MASKS_FILE).is_file():
        raise files.RunFolderError(
            f"{run.path} is a run on masks, and this page is for labels of images: look at suspects.png, and correct "
            "the mask files themselves."
        )
    if run.samples is None and run.finished:
        raise files.RunFolderError(f"{run.path} is finished, but its samples.csv is gone.")
    if run.samples is None:
        raise files.RunFolderError(
            f"{run.path} has no samples.csv yet: it is written when the training ends; before that, "
            f"python -m mentornet.reports {shlex.quote(str(run.path))} makes it from the last checkpoint."
        )
    target = Path(output) if output is not None else run.path / "review.html"
    order = np.argsort(run.samples["suspect_rank"], kind="stable")[:top]
    if not len(order):
        raise files.RunFolderError(f"{run.path / 'samples.csv'} names no image.")
    chosen = {name: column[order] for name, column in run.samples.items()}
    paths = chosen["path"].tolist() if "path" in chosen else None
    folder = _data_folder(run)
    originals = [None if folder is None else _inside(folder, name) for name in paths or [""] * len(order)]
    kept, names = suspect_pictures.load(run.path / suspect_pictures.NAME)
    pictures = [
        (review_page.thumbnail_of_file(file) if file else None) or kept.get(int(index))
        for file, index in zip(originals, chosen["index"], strict=True)
    ]
    columns = {
        "index": chosen["index"],
        "given": chosen["given_label"],
        "predicted": chosen["predicted_label"],
        "rank": chosen["suspect_rank"],
        "loss": chosen["loss"],
        "weight": samples.telling(run.samples["mean_weight"])[order],
    }
    if "mean_probability" in chosen:
        columns["mean_probability"] = chosen["mean_probability"]
    review_page.write(
        target,
        columns,
        pictures,
        _class_names(run.samples, names),
        paths,
        [review_page.link(file, target.parent) if file else None for file in originals] if paths else None,
        title=run.name,
        facts=f"{len(order):,} most suspect of {len(run.samples['index']):,} training images · {run.title}",
        total=len(run.samples["index"]),
        key=hashlib.sha256((run.path / "samples.csv").read_bytes()).hexdigest(),
    )
    without = sum(picture is None for picture in pictures)
    told = f"; {without:,} have no picture (a run keeps those of {suspect_pictures.KEPT:,})" if without else ""
    return (
        f"{target}: {len(order):,} suspects{told}. Open it in a browser, decide, and download corrections.csv; the "
        "next training takes it as --corrections_file=corrections.csv."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 after one sentence about what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m mentornet.reports.review",
        description="Write a page in which the most suspect labels of a run are looked at and decided upon.",
    )
    parser.add_argument("run", metavar="RUN", help="a run folder (--train_log_dir of a training)")
    parser.add_argument("--top", type=int, default=500, metavar="N", help="how many suspects (default: 500)")
    parser.add_argument("--output", metavar="FILE", help="the page (default: review.html in the run folder)")
    options = parser.parse_args(arguments)
    if options.top < 1:
        parser.error(f"--top={options.top}: one suspect at least")
    try:
        text = write_review(options.run, options.top, options.output)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(text)
    return 0


def _data_folder(run: RunData) -> Path | None:
    """Where people's own images are, if they still are; nothing for data sets known by name."""
    given = run.identity.get("data_dir")
    started_in = Workdir(run.path).read_run().get("folder") or ""
    folder = Path(started_in, given) if given else None
    return folder.resolve() if folder is not None and folder.is_dir() else None


def _inside(folder: Path, name: str) -> Path | None:
    """A file below the folder; a path that leads out of it is none."""
    try:
        file = (folder / name).resolve()
        return file if file.is_relative_to(folder) and file.is_file() else None
    except (OSError, ValueError):
        return None


def _class_names(table: Mapping[str, np.ndarray], known: Sequence[str] | None) -> Sequence[str] | None:
    """The name of every label: all classes, where the run says them, else those that samples have."""
    if "given_name" not in table or "predicted_name" not in table:
        return known
    largest = int(max(table["given_label"].max(), table["predicted_label"].max()))
    names = [*(known or []), *(str(label) for label in range(len(known or []), largest + 1))]
    for side in ("predicted", "given"):
        for label, name in zip(table[f"{side}_label"].tolist(), table[f"{side}_name"].tolist(), strict=True):
            names[label] = name
    return names
