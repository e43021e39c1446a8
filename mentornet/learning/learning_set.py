"""What a MentorNet is learned from: samples z with the weight v* each should get (ICML sec. 3.2, app. D)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mentornet import arrays, files, reading
from mentornet.features import EPOCH_ROWS
from mentornet.learning.dump import MOST_CLASSES

FILE = "learning_set.npz"
HELD_OUT_SHARE = 0.2
_ARRAYS = ("loss", "difference", "label", "epoch", "target", "held_out")
_KINDS = {"loss": "f", "difference": "f", "label": "i", "epoch": "i", "target": "f", "held_out": "b"}


@dataclass(frozen=True)
class LearningSet:
    """Samples with target weights, in an order of no meaning.

    Attributes:
        loss, difference: float32 [n, T], oldest first.
        label: int32 [n].
        epoch: int32 [n] in 0..99.
        target: float32 [n] in [0, 1], the weight v*.
        held_out: bool [n], the rows kept for validation and testing.
        source: plain JSON values that say where the samples come from.
        activation: float32 [n, a], a further input of networks that read the student's features; None: not there. It
            is not part of a saved set.
    """

    loss: np.ndarray
    difference: np.ndarray
    label: np.ndarray
    epoch: np.ndarray
    target: np.ndarray
    held_out: np.ndarray
    source: dict[str, Any]
    activation: np.ndarray | None = None

    @property
    def history(self) -> int:
        """T, past losses a sample."""
        return int(self.loss.shape[1])

    def inputs(self, rows: np.ndarray | slice = slice(None)) -> dict[str, np.ndarray]:
        """The network's inputs for some rows."""
        names = ["loss", "difference", "label", "epoch"] + (["activation"] if self.activation is not None else [])
        return {name: getattr(self, name)[rows] for name in names}

    def save(self, folder: str | Path) -> None:
        """Writes ``learning_set.npz`` into the folder, which is made if missing."""
        with files.explained(folder):
            Path(folder).mkdir(parents=True, exist_ok=True)
        columns = {name: getattr(self, name) for name in _ARRAYS}
        files.write_npz(Path(folder) / FILE, {**columns, "source": np.array(json.dumps(self.source))})


def load(folder: str | Path) -> LearningSet:
    """Reads what ``LearningSet.save`` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a learning set.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"no learning set in {str(folder)!r}: it has no {FILE}; make one with --outdir and --vstar_fn"
        )
    try:
        found = arrays.read_arrays(path)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is not a learning set: {error}") from None
    missing = [name for name in (*_ARRAYS, "source") if name not in found]
    if missing:
        raise ValueError(f"{str(path)!r} is not a learning set: it has no {', '.join(missing)}")
    columns = {name: found[name] for name in _ARRAYS}
    if problem := _problem(columns):
        raise ValueError(f"{str(path)!r} is not a learning set: {problem}")
    try:
        source = json.loads(str(found["source"]))
    except (ValueError, RecursionError):
        source = None
    if not isinstance(source, dict):
        raise ValueError(f"{str(path)!r} is not a learning set: it does not say where it comes from")
    reading.check_plain(source, f"{str(path)!r} is not a learning set")
    return LearningSet(**columns, source=source)


def _problem(columns: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the arrays of a learning set, None if nothing is."""
    if any(column.dtype.kind != _KINDS[name] for name, column in columns.items()):
        return "its arrays are of other types"
    loss, rows = columns["loss"], {np.shape(column)[:1] for column in columns.values()}
    vectors = (column for name, column in columns.items() if name not in ("loss", "difference"))
    if (
        len(rows) != 1
        or loss.ndim != 2
        or loss.shape != columns["difference"].shape
        or any(v.ndim != 1 for v in vectors)
    ):
        return "its arrays do not belong together"
    if not all(np.isfinite(columns[name]).all() for name in ("loss", "difference", "target")):
        return "it has numbers that are not finite"
    for name, most in (("epoch", EPOCH_ROWS - 1), ("target", 1), ("label", MOST_CLASSES - 1)):
        if len(loss) and not 0 <= columns[name].min() <= columns[name].max() <= most:
            return f"{name} has values outside 0 to {most:,}"
    return None


def hold_out(keys: np.ndarray, rng: np.random.Generator, share: float = HELD_OUT_SHARE) -> np.ndarray:
    """Chooses ``share`` of the different keys; rows of one key are on the same side.

    Args:
        keys: [n], equal for rows that belong to the same sample.
        rng: decides which.
        share: of the different keys, 0 to 1.

    Returns:
        bool [n], True for the rows held out.
    """
    different, which = np.unique(keys, return_inverse=True)
    chosen = np.zeros(len(different), bool)
    chosen[rng.permutation(len(different))[: round(share * len(different))]] = True
    return chosen[which]
