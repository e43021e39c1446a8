"""Declarations of all tables: one module a table or family, with what it takes to write its recipes and to run them.

A module here has ``recipes()``, which gives (path, text) or (path, lines of the head, flags) of every recipe, and
``TABLES``, which says what their tables are (``declarations.Table``). One may lack: a folder of recipes that no
``Table`` names is a table of its own, with a row a recipe. A new module is added to ``MODULES``.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from types import ModuleType

from mentornet import spelling
from scripts.tables import declarations
from scripts.tables.declarations import Cell, Table

MODULES = (
    "icml_cifar",
    "v1",
    "cpu_cifar10",
    "cpu_other_data",
    "l2rw",
    "l2rw_figures",
    "l2b",
    "cpu_methods",
    "cpu_tuned",
    "s2e_figure3",
    "s2e_search",
    "dividemix",
    "semi_twins",
    "imagenet",
    "image_lists",
    "segmentation",
)


def modules() -> list[ModuleType]:
    """The modules that declare tables."""
    return [importlib.import_module(f"scripts.tables.{name}") for name in MODULES]


@functools.cache
def recipes() -> dict[Path, str]:
    """Path from the repository's root -> text of every recipe."""
    found: dict[Path, str] = {}
    for module in modules():
        for function in (getattr(module, name, None) for name in ("recipes", "searches")):
            for path, text in map(declarations.rendered, function() if function else ()):
                if path in found:
                    raise ValueError(f"{path} is declared twice")
                found[path] = text
    return found


@functools.cache
def tables() -> dict[str, Table]:
    """All tables by name that have cells; folders of recipes without a declaration are tables, too."""
    declared = [table for module in modules() for table in getattr(module, "TABLES", ())]
    found = {table.name: table for table in declared if table.apart or declarations.cells(table, recipes())}
    folders = {table.name for table in found.values()}
    for folder in sorted({path.parent.name for path in recipes()} - folders):
        found[folder] = Table(folder, f"recipes in flags/recipes/{folder}")
    return found


def cells(table: str, scale: str | None = None) -> list[Cell]:
    """The cells of a table, of one scale or both; none of what has no trainings of its own.

    Raises:
        ValueError: there is no such table, or it has no cells of that scale.
    """
    known = tables()
    if table not in known:
        raise ValueError(f"there is no table {table}{spelling.likely(table, known)}; known are {', '.join(known)}")
    if scale is not None and scale not in declarations.SCALES:
        raise ValueError(f"--scale={scale}: expected one of {', '.join(declarations.SCALES)}")
    found = [cell for cell in declarations.cells(known[table], recipes()) if scale in (None, cell.scale)]
    if not found and not (known[table].apart and scale is None):
        other = next(other for other in declarations.SCALES if other != scale)
        small = "; small twins of many are in the table cpu" if scale == "cpu" else ""
        raise ValueError(f"table {table} has no cells at the scale {scale}; try --scale={other}{small}")
    return found
