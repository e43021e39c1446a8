"""Holds the arrows inside mentornet/, and that flags/ knows methods by what stands beside their classes, not by name.

The rules are functions (path, source) -> problems like those of ``tests.test_architecture``.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.sources import ROOT, imported_modules, package_of, repository_files

Rule = Callable[[str, str], list[str]]

# Inside mentornet/: what each module or sub-package there may import of the others; first what is without TensorFlow.
_PLAIN = {
    "arrays",
    "files",
    "hdf5",
    "reading",
    "options",
    "stages",
    "transition",
    "quiet",
    "ranking",
    "spelling",
    "segmentation_metrics",
}
_BASIC = {*_PLAIN, "network", "features", "inspection", "students", "task", "segmentation"}
_METHODS = {*_BASIC, "curricula", "methods"}
ROOMS: dict[str, set[str]] = {
    **dict.fromkeys(_BASIC, _BASIC),
    **dict.fromkeys(_PLAIN, _PLAIN),
    "curricula": _BASIC,
    "methods": _METHODS,
    "learning": {*_BASIC, "curricula"},
    "training": {*_METHODS, "learning", "runs", "reports"},
    "search": {*_METHODS, "learning", "training", "runs", "reports"},
    "runs": _PLAIN,
    "reports": {*_PLAIN, "runs"},
    "__init__": set(),
    "__main__": {"quiet"},
}
WITHOUT_TENSORFLOW = {*_PLAIN, "runs", "reports", "__init__"} - {"quiet"}  # which imports it by name, last of all
# A method without options of its own is the default; SPADE's flags have the names of the original release.
NAMED_IN_FLAGS = {"flags/define/spade_flags.py": {"spade", "standard"}}


def rooms_of_the_library_point_one_way(path: str, source: str) -> list[str]:
    """Curricula, methods, learning, training and search build on each other; runs and reports know files only."""
    if package_of(path) != "mentornet":
        return []
    own = path.split("/")[1].removesuffix(".py")
    if own not in ROOMS:
        return [f"{path}: say in ROOMS what mentornet/{own} may import"]
    imported = [(line, [*name.split("."), ""][:2]) for line, name in imported_modules(source)]
    problems = [
        f"{path}:{line}: mentornet.{own} must not import mentornet.{room}"
        for line, (package, room) in imported
        if package == "mentornet" and room in ROOMS and room != own and room not in ROOMS[own]
    ]
    return problems + [
        f"{path}:{line}: mentornet.{own} must do without TensorFlow"
        for line, (package, _) in imported
        if package in ("tensorflow", "tf_keras") and own in WITHOUT_TENSORFLOW
    ]


def methods_in_registry() -> tuple[set[str], set[str]]:
    """(names, classes) of all methods."""
    from mentornet import methods

    return set(methods.names()), {methods.get(name).__name__ for name in methods.names()}


def flags_name_no_method(path: str, source: str) -> list[str]:
    """What a method needs stands beside its class, so that a new method is one new file and no change in flags/."""
    if package_of(path) != "flags":
        return []
    names, classes = methods_in_registry()
    allowed, tree = NAMED_IN_FLAGS.get(path, set()), ast.parse(source)
    documented = [n for n in ast.walk(tree) if isinstance(n, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    prose = {id(n.body[0].value) for n in documented if n.body and isinstance(n.body[0], ast.Expr)}
    problems = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            found = set(re.findall(r"\w+", node.value)) & names
        else:
            of_node = (getattr(node, field, None) for field in ("id", "attr", "arg", "name", "asname", "module"))
            found = {word for text in of_node if isinstance(text, str) for word in text.split(".")} & (names | classes)
        problems += [
            f"{path}:{getattr(node, 'lineno', 1)}: names the method {name}" for name in sorted(found - allowed)
        ]
    return problems


# A rule, a file it covers, a source it must refuse, and the nearest source it must accept there.
EXAMPLES: list[tuple[Rule, str, str, str]] = [
    (
        rooms_of_the_library_point_one_way,
        "mentornet/task.py",
        "from mentornet import curricula",
        "import mentornet.files",
    ),
    (
        rooms_of_the_library_point_one_way,
        "mentornet/curricula/x.py",
        "from mentornet.methods import base",
        "from mentornet import files, network",
    ),
    (
        rooms_of_the_library_point_one_way,
        "mentornet/methods/x.py",
        "def f():\n  import mentornet.training.loop",
        "from mentornet.curricula import robust",
    ),
    (
        rooms_of_the_library_point_one_way,
        "mentornet/learning/x.py",
        "from mentornet.training.loop import run",
        "from mentornet.curricula.learned import save",
    ),
    (
        rooms_of_the_library_point_one_way,
        "mentornet/training/x.py",
        "from mentornet import search",
        "from mentornet import learning, methods, reports, runs",
    ),
    (
        rooms_of_the_library_point_one_way,
        "mentornet/runs/x.py",
        "from mentornet import task",
        "from mentornet import files",
    ),
    (
        rooms_of_the_library_point_one_way,
        "mentornet/reports/x.py",
        "from mentornet.methods import get",
        "from mentornet.runs import workdir",
    ),
    (rooms_of_the_library_point_one_way, "mentornet/runs/x.py", "import tensorflow as tf", "import numpy as np"),
    (flags_name_no_method, "flags/x.py", "if name == 'l2rw': pass", "'as in the code of L2RW'"),
    (flags_name_no_method, "flags/x.py", "help = f'{n} and co_teaching'", "help = 'co_teaching_code'"),
    (flags_name_no_method, "flags/x.py", "methods.CoTeaching(s)", "methods.get(name)(s)"),
    (flags_name_no_method, "flags/x.py", "from a.hard_mining import x", "from a.mining import x"),
    (flags_name_no_method, "flags/x.py", "run(reed=1)", '"""Flags of spade."""'),
    (flags_name_no_method, "flags/define/spade_flags.py", "x = 'l2b'", "x = 'spade'"),
]


@pytest.mark.parametrize("rule", [rooms_of_the_library_point_one_way, flags_name_no_method])
def test_sources_keep_the_rule(rule: Rule) -> None:
    sources = [path for path in repository_files() if path.endswith(".py")]
    assert sources
    problems = [p for path in sources for p in rule(path, (ROOT / path).read_text(encoding="utf-8"))]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize(("rule", "path", "bad", "good"), EXAMPLES)
def test_rule_tells_bad_from_good(rule: Rule, path: str, bad: str, good: str) -> None:
    assert rule(path, bad)
    assert not rule(path, good)


def test_a_new_room_of_the_library_says_what_it_imports() -> None:
    assert rooms_of_the_library_point_one_way("mentornet/x.py", "")
    assert not rooms_of_the_library_point_one_way("mentornet/task.py", "")


def test_runs_and_reports_work_without_tensorflow() -> None:
    """Also through what they import."""
    code = (
        "import importlib, pkgutil, sys, mentornet.reports, mentornet.runs\n"
        "for package in (mentornet.reports, mentornet.runs):\n"
        "    for found in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        if not found.name.endswith('__main__'): importlib.import_module(found.name)\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
