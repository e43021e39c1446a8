"""The tables of the page on segmentation, from docs/results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scripts.tables.document_table import DocumentTable, Row, read

SEGMENTATION, L2B = "docs/results/cpu_segmentation.csv", "docs/papers/l2b.csv"
METHODS = ("standard", "clean_only", "l2rw", "mixup", "l2b", "l2b_clean_step")


def _runs(recipe: str) -> list[Row]:
    return [row for row in read(SEGMENTATION) if row["recipe"] == recipe]


def _each(rows: Sequence[Row], name: str, write: Callable[[float], str]) -> str:
    return ", ".join(write(float(row[name])) for row in rows if row[name])


def _dice(value: float) -> str:
    return f"{100 * value:.1f}"


def _area(value: float) -> str:
    return f"{value:.3f}"


def _of_table_5(data: str = "phantoms") -> list[list[str]]:
    """The methods at level 2, each seed's figure after the other, and the paper's."""
    printed = {(row["row"], row["column"]): row["value"] for row in read(L2B) if row["table"] == "table 5"}
    rows = []
    for method in METHODS:
        runs = _runs(f"{data}_l2_{method}")
        if not runs:
            continue
        paper = {"l2rw": "reweighting"}.get(method, method)
        theirs = " / ".join(printed[paper, column] for column in ("dice", "hd", "asd") if (paper, column) in printed)
        rows.append([
            f"`{method}`", _each(runs, "dice", _dice), _each(runs, "hausdorff", lambda v: f"{v:.1f}"),
            _each(runs, "average_surface_distance", lambda v: f"{v:.2f}"),
            *(_each(runs, f"pixel_auc_{name}", _area) for name in ("loss", "weight", "share")),
            *([theirs] if data == "phantoms" else []),
        ])  # fmt: skip
    return rows


def _of_levels(data: str = "phantoms") -> list[list[str]]:
    """Dice of each method at each level, and the paper's of the two that its table 6 has."""
    printed = {(row["row"], row["column"]): row["value"] for row in read(L2B) if row["table"] == "table 6"}
    rows = []
    for level in ("l1", "l2", "l3"):
        runs = {method: _runs(f"{data}_{level}_{method}") for method in METHODS}
        theirs = [printed.get((row, level), "") for row in ("standard", "l2b")] if data == "phantoms" else []
        rows.append([
            level, _each(runs["standard"], "dice_given_masks", _dice),
            *(_each(runs[method], "dice", _dice) for method in METHODS),
            _each(runs["l2b"], "pixel_auc_weight", _area), *theirs,
        ])  # fmt: skip
    return rows


_LEVELS = ("noise", "Dice of the given masks", *(f"`{method}`" for method in METHODS), "AUC of L2B's weight")
TABLES = {
    "segmentation_table5": DocumentTable(
        (SEGMENTATION, L2B),
        ("method, noise l2", "Dice %", "HD, mm", "ASD, mm", "AUC of loss", "AUC of weight", "AUC of share",
         "paper, PROMISE12: Dice / HD / ASD in voxels"),
        _of_table_5,
    ),
    "segmentation_brain": DocumentTable(
        (SEGMENTATION,),
        ("method, noise l2", "Dice %", "HD, mm", "ASD, mm", "AUC of loss", "AUC of weight", "AUC of share"),
        lambda: _of_table_5("brain"),
    ),
    "segmentation_table6": DocumentTable((SEGMENTATION, L2B), (*_LEVELS, "paper: plain", "L2B"), _of_levels),
    "segmentation_brain_levels": DocumentTable((SEGMENTATION,), _LEVELS, lambda: _of_levels("brain")),
}  # fmt: skip
"""By the names in the documents' markers."""
