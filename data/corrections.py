"""What a person decided about suspect labels: a csv that the review page writes, or that is written by hand.

    index,path,action,label              path,label
    17,train/cat/0001.jpg,relabel,dog    train/cat/0001.jpg,dog
    9,train/cat/0002.jpg,confirm,cat     train/cat/0002.jpg,cat
    31,train/dog/0007.jpg,leave_out,

An image is named by its path where the data set has files and the table a column `path`, else by its index; both are as
in a run's samples.csv. `relabel` trains on the label of the row, `confirm` keeps the given one, `leave_out` takes the
image out. Without a column `action` a row with a label relabels or confirms, and one with the word leave_out for a
label leaves out. Images that the file does not name stay as they are. Other columns are ignored.
Cells may be separated by semicolons instead.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from data.label_files import csv_reader
from data.labels import DiagnosticLabels, NoisyLabels

ACTIONS = ("confirm", "relabel", "leave_out")
_SHOWN = 10
_LARGEST = 2**30  # bytes
# A quote before what a spreadsheet would run as a formula, as runs write it into their tables.
_QUOTED = re.compile(r"''*[=+\-@\t\r]")


@dataclass(frozen=True, eq=False)
class Corrections:
    """Decisions about some training images.

    Attributes:
      ids: int64 [k], position of each in the source, ascending.
      labels: int32 [k], the label decided for; -1 for the given one (confirmed without one), -2 to leave it out.
    """

    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]

    KEEP, LEAVE_OUT = -1, -2

    @property
    def kept(self) -> npt.NDArray[np.int64]:
        """The ids of images whose label was confirmed or changed."""
        return self.ids[self.labels != self.LEAVE_OUT]


def read(path: str | os.PathLike[str], train: Any, class_names: Sequence[str]) -> Corrections:
    """Reads decisions.

    Args:
      path: the csv, see the head of this module.
      train: all training images of the data set, with `ids` and `paths_at`.
      class_names: the name of every class.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: another kind of file, an image that is not among the training images, a label that is no class, an
        unknown action, or two rows for one image.
    """
    file = Path(path).expanduser()
    head, rows = _table(file)
    paths = train.paths_at(range(len(train))) if "path" in head else None
    by_path = paths is not None
    if not by_path and "index" not in head:
        raise ValueError(f"{file} names images by paths, but this data set has no files: give the column index.")
    positions = {name: k for k, name in enumerate(paths or train.ids.tolist())}
    column = head.index("path" if by_path else "index")
    found: dict[int, int] = {}
    for number, row in rows:
        position = positions.get(_image(row[column], by_path))
        if position is None:
            known = f"such as {next(iter(positions))}" if by_path else f"{train.ids.min()} to {train.ids.max()}"
            raise ValueError(
                f"Line {number} of {file} names {row[column]!r}, which is none of the training images ({known})."
            )
        if position in found:
            raise ValueError(f"Line {number} of {file} is the second one about {row[column]!r}: leave one of them out.")
        found[position] = _decided(file, number, head, row, class_names)
    ids = train.ids[np.array(sorted(found), np.int64)]
    order = np.argsort(ids)
    labels = np.array([found[position] for position in sorted(found)], np.int32)
    return Corrections(ids[order], labels[order])


def check(path: str | os.PathLike[str]) -> None:
    """Refuses, before there are images, a file that ``read`` would refuse whatever the images are.

    Raises:
      FileNotFoundError, ValueError: see ``read``.
    """
    _table(Path(path).expanduser())


def applied(corrections: Corrections, train: Any, noisy: NoisyLabels) -> tuple[Any, NoisyLabels, npt.NDArray[np.int64]]:
    """Training images and labels after the decisions; those about images that are not in `train` don't matter.

    Args:
      corrections: of the same data set.
      train: the training images to be used, with `ids` and `take`.
      noisy: their labels.

    Returns:
      The images that stay, their labels, and int64 [k]: which of them, by position, somebody has checked.

    Raises:
      ValueError: nothing would be left.
    """
    given, known = noisy.given.copy(), np.isin(train.ids, corrections.ids)
    place = np.searchsorted(corrections.ids, train.ids[known])
    decided = corrections.labels[place]
    given[known] = np.where(decided >= 0, decided, given[known])
    gone = np.zeros(len(train), bool)
    gone[known] = decided == Corrections.LEAVE_OUT
    kept = np.flatnonzero(~gone)
    if not kept.size:
        raise ValueError("The corrections leave all the training images out, but some have to stay.")
    clean = None if noisy.clean is None else DiagnosticLabels(noisy.clean.reveal()[kept])
    labels = NoisyLabels(given[kept], clean, noisy.noise_type, noisy.noise_fraction, noisy.seed)
    return train.take(kept), labels, np.flatnonzero(known[kept])


def without(
    names: Iterable[Any],
    train: Any,
    noisy: NoisyLabels,
    *,
    by_path: bool,
    what: str,
    checked: npt.NDArray[np.int64] | None = None,
) -> tuple[Any, NoisyLabels]:
    """Training images and labels without those of these paths or indices, except for checked ids, which stay.

    Raises:
      ValueError: one of them is none of the training images, or nothing would be left.
    """
    own = train.paths_at(range(len(train))) if by_path else train.ids.tolist()
    positions = {name: k for k, name in enumerate(own or ())}
    unknown = next((name for name in names if name not in positions), None)
    if unknown is not None:
        raise ValueError(f"{what} names {unknown}, which is none of this run's training images: is it of other data?")
    ids = train.ids[np.array([positions[name] for name in names], np.int64)]
    order = np.sort(ids if checked is None else ids[~np.isin(ids, checked)])
    left, labels, _ = applied(Corrections(order, np.full(len(order), Corrections.LEAVE_OUT, np.int32)), train, noisy)
    return left, labels


def summary(corrections: Corrections, before: NoisyLabels, train: Any) -> str:
    """How many labels the decisions change, confirm and leave out, in one line."""
    known = np.isin(train.ids, corrections.ids)
    decided = corrections.labels[np.searchsorted(corrections.ids, train.ids[known])]
    out = int(np.sum(decided == Corrections.LEAVE_OUT))
    changed = int(np.sum((decided >= 0) & (decided != before.given[known])))
    same = len(decided) - out - changed
    elsewhere = len(corrections.ids) - len(decided)
    told = f"corrections: {changed:,} labels changed, {same:,} confirmed, {out:,} images left out"
    return told + (f"; {elsewhere:,} are about images that are not used" if elsewhere else "")


def _table(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The heading in small letters, and (number of the line, cells) of every other line."""
    if not file.is_file():
        raise FileNotFoundError(f"There is {'a folder, but ' if file.is_dir() else ''}no file {file}.")
    if file.stat().st_size > _LARGEST:
        raise ValueError(f"{file} has more than the {_LARGEST:,} bytes allowed.")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv_reader(stream)
            lines = [(reader.line_num, row) for row in reader if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} is not a text file with comma-separated columns.") from error
    head = [cell.strip().lower() for cell in lines[0][1]] if lines else []
    if "label" not in head or not ("path" in head or "index" in head) or len(set(head)) < len(head):
        raise ValueError(
            f"{file} needs a heading that names label, and path or index, and may name action, as the review page "
            "writes it."
        )
    if len(lines) == 1:
        raise ValueError(f"{file} names no image.")
    for number, row in lines:
        if len(row) != len(head):
            raise ValueError(f"Line {number} of {file} has {len(row)} columns, but the heading {len(head)}.")
    return head, lines[1:]


def _image(cell: str, by_path: bool) -> Any:
    if by_path:
        return PurePath(_text(cell)).as_posix()
    return int(cell) if re.fullmatch(r" *[0-9]{1,18} *", cell) else None


def _decided(file: Path, number: int, head: list[str], row: list[str], class_names: Sequence[str]) -> int:
    label = _text(row[head.index("label")])
    action = row[head.index("action")].strip().lower() if "action" in head else ""
    if not action:
        action = "leave_out" if label.strip() == "leave_out" and label not in class_names else "relabel"
    if action not in ACTIONS:
        raise ValueError(f"Line {number} of {file} has the action {action!r}, which is none of {', '.join(ACTIONS)}.")
    if action == "leave_out":
        return Corrections.LEAVE_OUT
    if action == "confirm" and not label.strip():
        return Corrections.KEEP
    numbers = (
        {} if any(re.fullmatch("[0-9]+", name) for name in class_names) else dict.fromkeys(range(len(class_names)))
    )
    known = {str(c): c for c in numbers} | {name: c for c, name in enumerate(class_names)}
    for text in (label, label.strip()):
        if text in known:
            return known[text]
    shown = ", ".join(class_names[:_SHOWN]) + (", ..." if len(class_names) > _SHOWN else "")
    raise ValueError(f"Line {number} of {file} has the label {label!r}, but the classes are {shown}.")


def _text(cell: str) -> str:
    return cell[1:] if _QUOTED.match(cell) else cell
