"""The notebook of the docs runs from its first cell to its last, and what it says of itself is so."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_notebook_finds_the_wrong_labels_of_a_folder(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed: pip install nbclient ipykernel")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(ROOT / "docs" / "wrong_labels.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # pictures and paths stay out of the repository
    nbclient.NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(ROOT / "docs")}}).execute()
    said = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "agreement with given labels" in said
    found = ast.literal_eval(said.split("share of wrong ones among the first: ")[1].split("\n")[0])
    assert found[20] >= 0.8  # a quarter of all labels are wrong
    moved, left = said.split(" images moved; ")[0].split("\n")[-1], said.split(" images moved; ")[1]
    assert int(moved.split()[0]) > 2 * int(left.split()[0])
