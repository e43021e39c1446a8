"""The tables of what steps cost, from benchmarks/*.json."""

from __future__ import annotations

from scripts.tables.document_table import DocumentTable, Row, read

SEMI, MASKS, COMPILED = (f"benchmarks/{name}.json" for name in ("semi_supervised", "masks", "compiled"))
XLA = "_xla"
_SEMI = {"plain": "plain", "dividemix": "DivideMix", "unicon": "UniCon", "c2d": "C2D",
         "dividemix_l2b": "DivideMix with L2B's step", "unicon_l2b": "UniCon with L2B's step",
         "plain_xla": "plain, compiled with XLA", "dividemix_xla": "DivideMix, compiled with XLA",
         "look_100": "look, batches of 100", "look_500": "look, batches of 500",
         "look_1000": "look, batches of 1,000"}  # fmt: skip
_STEPS = {"plain": "plain", "spade_mentornet_pd": "SPADE, predefined MentorNet PD", "small_loss": "`small_loss`",
          "co_teaching": "`co_teaching`", "l2rw_forward": "L2RW", "l2b_forward": "L2B",
          "l2b_views": "L2B, five views"}  # fmt: skip


def _of_semi() -> list[list[str]]:
    found = _by_variant(SEMI)
    rows = []
    for name, title in _SEMI.items():
        row = found.get(name)
        if row is not None:
            looked = name.startswith("look_")
            ratio = "" if looked else f"{float(row['ratio']):.2f}"
            wait = f"{float(row['data_wait']):.3f}" if row.get("data_wait") else ""
            rows.append([title, f"{float(row['images_per_second']):,.0f}", ratio, wait])
    return rows


def _of_masks() -> list[list[str]]:
    found = _by_variant(MASKS)
    return [[title, _ratio(found[name]), _room(found[name])] for name, title in _STEPS.items() if name in found]


def _of_compiled() -> list[list[str]]:
    """The ratio to the plain step that is not compiled, as it is and compiled."""
    found = _by_variant(COMPILED)
    return [
        [title, _ratio(found[name]), _ratio(found.get(name + XLA)), _room(found[name]), _room(found.get(name + XLA))]
        for name, title in _STEPS.items()
        if name in found
    ]


def _by_variant(file: str) -> dict[str, Row]:
    return {row["variant"]: row for row in read(file)}


def _ratio(row: Row | None) -> str:
    return "" if row is None else f"{float(row['ratio']):.2f}"


def _room(row: Row | None) -> str:
    return "" if row is None else f"{float(row['peak_bytes']) / 2**20:,.0f}"


TABLES = {
    "steps_semi_supervised": DocumentTable(
        (SEMI,), ("ResNet-32", "images/s", "ratio to plain", "waiting for the next batch, of its step"), _of_semi
    ),
    "steps_masks": DocumentTable((MASKS,), ("`unet_small`", "ratio to plain", "MiB"), _of_masks),
    "steps_compiled": DocumentTable(
        (COMPILED,),
        ("`resnet8`, batch 128", "ratio to plain", "compiled with XLA", "MiB", "MiB, compiled"),
        _of_compiled,
    ),
}
"""By the names in the documents' markers."""
