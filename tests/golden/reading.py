"""What is compared of a finished run folder, and which processors can be expected to give the same bits.

Used by record.py, which writes engine.json, and by tests/test_golden.py, which replays it. Only the files of a run are
looked at, so that the engine behind them may move.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mentornet.ranking import rank_suspects

GOLDEN = Path(__file__).resolve().parent
FIGURES = ("accuracy_last", "accuracy_best", "weights_auc")
_PROCESSOR_FLAG = re.compile(r"avx.*|fma.*|amx.*|f16c|sse4_[12]")


def fingerprint() -> dict[str, Any]:
    """What TensorFlow's kernels choose their code by: the processor, the threads it gets, and TensorFlow itself."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        text = ""
    facts = dict(re.findall(r"^(model name|flags)\s*:\s*(.*)$", text, re.MULTILINE))
    flags = [flag for flag in facts.get("flags", "").split() if _PROCESSOR_FLAG.fullmatch(flag)]
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "model": facts.get("model name", platform.processor()),
        "flags": sorted(flags),
        "threads": threads,
        "tensorflow": metadata.version("tensorflow"),
    }


def measured(folder: Path) -> dict[str, Any]:
    """The figures of a finished run, as they are in engine.json.

    ``weights`` is the sha256 of the float32 bytes of the student's variables in the model's order, ``norms`` their
    Euclidean norms, ``columns`` and ``rows`` are metrics.csv without the seconds, ``files`` the sha256 of the other
    tables; samples.csv counts as the engine of the record wrote it.
    """
    columns, *rows = metrics(folder)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return {
        **weights(folder / "student.keras"),
        "columns": columns,
        "rows": rows,
        "files": {file.name: digest(as_recorded(file)) for file in _tables(folder)},
        "result": {name: result[name] for name in FIGURES},
    }


def metrics(folder: Path) -> list[str]:
    """The lines of metrics.csv without the one column that may differ between equal runs."""
    with open(folder / "metrics.csv", newline="", encoding="ascii") as stream:
        header, *rows = csv.reader(stream)
    left_out = header.index("seconds")
    return [",".join(cell for k, cell in enumerate(row) if k != left_out) for row in (header, *rows)]


def weights(student: Path) -> dict[str, Any]:
    """Digest and norms of the variables in a saved student, counters of dropout calls left out."""
    import student_nets

    values = [variable.numpy() for variable in student_nets.load(student).variables if variable.dtype.is_floating]
    values = [np.ascontiguousarray(value, np.float32) for value in values]
    return {
        "weights": digest(b"".join(value.tobytes() for value in values)),
        "norms": [float(f"{np.linalg.norm(value.astype(np.float64)):.7g}") for value in values],
    }


def digest(content: bytes) -> str:
    """The sha256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def as_recorded(table: Path) -> bytes:
    """The bytes of a table as the recorded engine wrote it.

    Since then samples.csv has the mean probability of every given label, goes by it, and has a mean weight of samples,
    too, that no batch of the end held. What remains without these has to be the same to the last digit.
    """
    content = table.read_bytes()
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
    if table.name != "samples.csv" or "mean_probability" not in rows[0]:
        return content
    import tensorflow as tf

    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(table.parent / "checkpoints")))
    index = np.load(table.parent / "labels.npz", allow_pickle=False)["index"].tolist()
    key = "method/weight_visits/.ATTRIBUTES/VARIABLE_VALUE"
    visits = reader.get_tensor(key) if reader.has_tensor(key) else np.ones(len(index))
    rows.sort(key=lambda row: index.index(int(row["index"])))
    for row, met in zip(rows, visits, strict=True):
        del row["mean_probability"]
        row["mean_weight"] = row["mean_weight"] if met else ""
    numbers = [np.array([float(row[name] or "nan") for row in rows]) for name in ("mean_weight", "loss")]
    for row, rank in zip(rows, rank_suspects(*numbers), strict=True):
        row["suspect_rank"] = str(rank)
    rows.sort(key=lambda row: int(row["suspect_rank"]))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8")


def _tables(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.csv") if file.name != "metrics.csv")
