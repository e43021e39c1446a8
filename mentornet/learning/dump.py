"""Loss dumps: what a student thinks of samples whose labels are known twice (ICML sec. 3.2, the release's csv).

One row a sample and epoch: id, epoch percent, noisy label, clean label, loss. The loss is against the noisy label.
``train_cifar.py --mode=dump_losses`` writes such files; the release's are the same with blanks instead of commas.
Beside one may lie an npz with the student's activations before its logits, a row for each of the csv's, in its order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mentornet import arrays, files, reading
from mentornet.features import EPOCH_ROWS

MOST_CLASSES = 100_000  # a label that is larger is a mistake, and its embedding would not fit into memory
MEMORISED = 0.3
"""Share of the wrong labels that a student may know by heart before a dump of its losses is warned about."""
COLUMNS = ("id", "epoch percent", "noisy label", "clean label", "loss")


class DumpError(ValueError):
    """A loss dump that nothing can be learned from; the text is one sentence for the user."""


@dataclass(frozen=True)
class LossDump:
    """The columns of a dump.

    Attributes:
        sample: int64 [n], ids; a sample dumped at several epochs has several rows.
        epoch: int32 [n] in 0..99.
        noisy, clean: int32 [n], the given and the true label, >= 0.
        loss: float32 [n] >= 0, against the noisy label.
        name: for messages and cards.
    """

    sample: np.ndarray
    epoch: np.ndarray
    noisy: np.ndarray
    clean: np.ndarray
    loss: np.ndarray
    name: str = "dump"

    @property
    def is_clean(self) -> np.ndarray:
        """bool [n], whether the given label is right."""
        return np.asarray(self.noisy == self.clean)

    @property
    def num_classes(self) -> int:
        """The least number of classes that the labels allow."""
        return int(max(self.noisy.max(), self.clean.max())) + 1

    def check(self, least_rows: int = 1, num_classes: int | None = None) -> None:
        """Raises ``DumpError`` if a MentorNet cannot be learned from this.

        Args:
            least_rows: fewer are too few.
            num_classes: labels must lie below it; None: any.
        """
        columns = (self.sample, self.epoch, self.noisy, self.clean, self.loss)
        if len({np.shape(column) for column in columns}) != 1 or np.ndim(self.loss) != 1:
            raise DumpError(f"{self.name}: its columns have different lengths: {[np.shape(c) for c in columns]}")
        if len(self.loss) < max(2, least_rows):
            raise DumpError(f"{self.name}: has {len(self.loss)} rows, learning needs at least {least_rows}")
        self._check_row(~np.isfinite(self.loss), "a loss that is not a finite number", self.loss)
        self._check_row(self.loss < 0, "a negative loss", self.loss)
        self._check_row((self.epoch < 0) | (self.epoch >= EPOCH_ROWS), "an epoch percent outside 0..99", self.epoch)
        allowed = "of 0 or more" if num_classes is None else f"in 0..{num_classes - 1}"
        for label, which in ((self.noisy, "noisy"), (self.clean, "clean")):
            outside = label < 0 if num_classes is None else (label < 0) | (label >= num_classes)
            self._check_row(outside, f"a {which} label that is no class {allowed}", label)
            self._check_row(label >= MOST_CLASSES, f"a {which} label of {MOST_CLASSES:,} or more", label)
        clean = int(self.is_clean.sum())
        if clean in (0, len(self.loss)):
            only = "wrong" if clean == 0 else "right"
            raise DumpError(
                f"{self.name}: all {len(self.loss)} labels are {only}, there is nothing to tell apart; dump samples "
                "of which some labels are wrong"
            )

    def memorised(self) -> str | None:
        """Warns of a dump that was taken too late, in one sentence; None if it was not.

        A wrong label whose loss is below log 2 is what the student answers: it knows it by heart, and its loss tells
        no more than that of a right one.
        """
        wrong = self.loss[~self.is_clean]
        share = float(np.mean(wrong < np.log(2))) if wrong.size else 0.0
        if share < MEMORISED:
            return None
        return (
            f"{self.name}: the student has memorised {100 * share:.0f}% of the wrong labels (epoch percent "
            f"{int(self.epoch.max())}), so that their losses hardly differ from those of right ones: a dump from early "
            "in a training, --keep_dumps_at=18, teaches more"
        )

    def _check_row(self, wrong: np.ndarray, what: str, values: np.ndarray) -> None:
        if wrong.any():
            row = int(np.argmax(wrong))
            count = int(wrong.sum())
            raise DumpError(
                f"{self.name}: sample {self.sample[row]} has {what} ({values[row]})"
                + (f", and {count - 1} more rows too" if count > 1 else "")
            )


def read(path: str | Path) -> LossDump:
    """Reads a csv with the columns id, epoch percent, noisy label, clean label, loss.

    Cells are separated by commas, blanks or both; empty lines and a first line of names are skipped.

    Raises:
        DumpError: a line has another number of cells, or one that is not a number; there is no row.
        ValueError: the file cannot be read.
    """
    path = Path(path)
    raw = reading.read_bytes(path, reading.LARGEST_TABLE)
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DumpError(f"{path.name}: is not a text file; a csv with {', '.join(COLUMNS)} is needed") from None
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        cells = line.replace(",", " ").split()
        if not cells:
            continue
        if not rows and not any(map(_is_number, cells)) and len(cells) > 1:
            _check_names(line.lower(), path.name)
            continue  # names; their number says nothing, as they may contain blanks
        if len(cells) != len(COLUMNS):
            raise DumpError(
                f"{path.name}: line {number} has {len(cells)} cells, expected {len(COLUMNS)}: {', '.join(COLUMNS)}"
            )
        rows.append([_number(cell, path.name, number, column) for cell, column in zip(cells, COLUMNS, strict=True)])
    if not rows:
        raise DumpError(f"{path.name}: has no rows; a line holds {', '.join(COLUMNS)}")
    table = np.asarray(rows, np.float64)
    sample, epoch, noisy, clean = (table[:, column] for column in range(4))
    return LossDump(
        sample.astype(np.int64),
        epoch.astype(np.int32),
        noisy.astype(np.int32),
        clean.astype(np.int32),
        table[:, 4].astype(np.float32),
        path.name,
    )


def write_activations(path: str | Path, index: np.ndarray, activation: np.ndarray) -> None:
    """Writes the npz that ``read_activations`` reads, all or nothing.

    Args:
        path: the file.
        index: integers [n], the csv's ids in its order.
        activation: floats [n, a].

    Raises:
        ValueError: the file cannot be written.
    """
    files.write_npz(path, {"index": index.astype(np.int64), "activation": activation.astype(np.float32)})


def read_activations(path: str | Path, dump: LossDump) -> np.ndarray:
    """The activations that were dumped with these losses.

    Args:
        path: an npz with "index" int64 [n] and "activation" float32 [n, a].
        dump: whose ids the index must repeat.

    Returns:
        float32 [n, a].

    Raises:
        DumpError: the file is not such an npz, belongs to another dump, or holds numbers that are not finite.
        ValueError: the file cannot be read.
    """
    path = Path(path)
    with files.explained(path, "read"):
        path.open("rb").close()
    no_such_file = f"{path.name}: is not an npz with index and activation, as dump_losses writes it"
    try:
        stored = arrays.read_arrays(path)
    except ValueError as error:
        raise DumpError(f"{no_such_file}: {error}") from None
    if not {"index", "activation"} <= stored.keys():
        raise DumpError(no_such_file)
    index, activation = stored["index"], stored["activation"]
    if index.ndim != 1 or activation.ndim != 2 or len(index) != len(activation):
        raise DumpError(
            f"{path.name}: index [n] and activation [n, a] are needed, got {index.shape} and {activation.shape}"
        )
    if activation.dtype.kind != "f":
        raise DumpError(f"{path.name}: activations must hold floats, not {activation.dtype}")
    if not np.array_equal(index, dump.sample):
        raise DumpError(
            f"{path.name}: belongs to another dump than {dump.name}: its {len(index)} samples are not the csv's "
            f"{len(dump.sample)} in the same order"
        )
    if not np.isfinite(activation).all():
        raise DumpError(f"{path.name}: holds activations that are not finite numbers")
    return np.asarray(activation, np.float32)


def _check_names(line: str, name: str) -> None:
    """Refuses a first line that names the columns in another order: they are read by their place."""
    places = [line.find(word) for word in ("epoch", "noisy", "clean", "loss") if word in line]
    if places != sorted(places):
        raise DumpError(
            f"{name}: the first line names {reading.shown(line.strip())}; the order must be {', '.join(COLUMNS)}"
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, name: str, line: int, column: str) -> float:
    if not _is_number(cell):
        raise DumpError(f"{name}: line {line}: {column} is {reading.shown(cell)}, not a number")
    value = float(cell)
    if column != COLUMNS[-1] and not (value.is_integer() and abs(value) < 2**31):
        raise DumpError(f"{name}: line {line}: {column} is {reading.shown(cell)}, not a whole number")
    return value
