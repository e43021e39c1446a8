"""The tables of the pages on suspects, their review, shares of wrong labels and own images, from docs/results."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from scripts.tables.document_table import DocumentTable, Row, read, spread_of

REVIEW, SUSPECTS = "docs/results/review_loop.csv", "docs/results/suspects.csv"
NOISE = "docs/results/noise_rates.csv"
FEW = "docs/results/few_images.csv"

_LABELS = {"given": "as given", "300 reviewed": "300 worst suspects reviewed",
           "300 reviewed, percentile to fit": "the same, with the percentile that fits then",
           "500 left out unseen": "500 worst suspects left out, nobody looks"}  # fmt: skip


def _of_review() -> list[list[str]]:
    found = read(REVIEW)
    rows = []
    for method, name in (("plain", "plain"), ("mentornet_pd", "MentorNet PD")):
        for labels, text in _LABELS.items():
            runs = [row for row in found if (row["method"], row["labels"]) == (method, labels)]
            if runs:
                shares = (
                    spread_of([100 * float(row[key]) for row in runs])
                    for key in ("noise_rate_actual", "accuracy_last", "accuracy_best")
                )
                rows.append([name, text, *shares])
    return rows


_RANKINGS = {"mean probability of the given label": "mean probability of the given label", "mean loss": "mean loss",
             "mean weight at the end, then loss": "mean weight at the end, then loss (the ranking before)",
             "loss at the end": "loss at the end", "times forgotten": "times forgotten"}  # fmt: skip


def _of_suspects(data: str, images: str | None, columns: Sequence[str]) -> list[list[str]]:
    rows = [row for row in read(SUSPECTS) if row["data"] == data and images in (None, row["images"])]
    rows.sort(key=lambda row: -float(row["auroc"]))
    return [[_ranking(row["ranking"]), *(row[column] for column in columns)] for row in rows]


def _of_suspects_digits() -> list[list[str]]:
    """Rankings by their AUROC under the first kind of noise."""
    kinds = [
        {row["ranking"]: row for row in read(SUSPECTS) if row["data"] == f"digits_{kind}"}
        for kind in ("uniform", "uniform25", "asymmetric")
    ]
    order = sorted(kinds[0], key=lambda name: -float(kinds[0][name]["auroc"]))
    return [[_ranking(name), *(found[name][column] for found in kinds for column in _SUSPECTS)] for name in order]


def _ranking(text: str) -> str:
    who, _, what = text.partition(": ")
    names = {"mentornet_pd": "MentorNet PD", "plain": "plain", "cleanlab": "cleanlab"}
    what = {"self_confidence": "self-confidence", "normalized_margin": "normalised margin"}.get(
        what.split(",")[0], _RANKINGS.get(what, what)
    )
    return f"{names[who]}: {what}"


def _of_noise() -> list[list[str]]:
    """Means over seeds."""
    data = {"digits": "digits, small_cnn", "cifar10": "CIFAR-10, 10,000 images, resnet8"}
    found = read(NOISE)
    rows = []
    for dataset, noise in dict.fromkeys((row["dataset"], row["noise"]) for row in found):
        runs = [row for row in found if (row["dataset"], row["noise"]) == (dataset, noise)]
        human = ", CIFAR-10N worst" if noise.startswith("human") else ""
        figures = (f"{100 * statistics.mean(float(row[name]) for row in runs):.1f}%" for name in
                   ("wrong", "estimate", "by_losses", "by_matrix", "by_confident", "disagreement"))  # fmt: skip
        rows.append([data[dataset] + human, str(len(runs)), *figures])
    return rows


def _of_few() -> list[list[str]]:
    """A line a learning rate; means over seeds, and each seed's estimate."""
    rows = []
    found = read(FEW)
    for student, rate in dict.fromkeys((row["studentnet"], row["learning_rate"]) for row in found):
        runs = [row for row in found if (row["studentnet"], row["learning_rate"]) == (student, rate)]
        rows.append([
            f"`{student}`", rate, str(len(runs)), f"{_mean(runs, 'auroc'):.3f}",
            f"{100 * _mean(runs, 'precision_at_50'):.0f}%",
            ", ".join(f"{100 * float(row['estimate']):.0f}%" for row in runs if row["estimate"]),
        ])  # fmt: skip
    return rows


def _mean(rows: Sequence[Row], name: str) -> float:
    return statistics.mean(float(row[name]) for row in rows)


_SUSPECTS_HEAD = ("ranking", "AUROC", "average precision", "precision at 100")
_SUSPECTS = ("auroc", "average_precision", "precision_at_100")

TABLES = {
    "review_loop": DocumentTable(
        (REVIEW,), ("training", "labels", "wrong labels, %", "accuracy, last", "best"), _of_review, left=(1,)
    ),
    "suspects_digits": DocumentTable(
        (SUSPECTS,),
        ("ranking", "uniform 40%: AUROC", "average precision", "precision at 100", "uniform 25%: AUROC",
         "average precision", "precision at 100", "asymmetric 40%: AUROC", "average precision", "precision at 100"),
        _of_suspects_digits,
        best=(1, 2, 4, 5, 7, 8, 9),
    ),
    "suspects_cifar10": DocumentTable(
        (SUSPECTS,),
        (*_SUSPECTS_HEAD, "at 1,000"),
        lambda: _of_suspects("cifar10_worst", "10000", (*_SUSPECTS, "precision_at_1000")),
    ),
    "suspects_photos": DocumentTable(
        (SUSPECTS,), _SUSPECTS_HEAD, lambda: _of_suspects("photos", None, _SUSPECTS)
    ),
    "suspects_cleanlab": DocumentTable(
        (SUSPECTS,),
        (*_SUSPECTS_HEAD, "at 1,000"),
        lambda: _of_suspects("cifar10_worst", "2000", (*_SUSPECTS, "precision_at_1000")),
    ),
    "noise_rates": DocumentTable(
        (NOISE,),
        ("data, student", "seeds", "labels wrong", "estimate", "by losses", "by matrix", "by surest",
         "student disagrees"),
        _of_noise,
    ),
    "few_images": DocumentTable(
        (FEW,),
        ("student", "learning rate", "seeds", "AUROC of the suspects", "wrong among the first 50",
         "estimate of the wrong share, a seed"),
        _of_few,
    ),
}  # fmt: skip
"""By the names in the documents' markers."""
