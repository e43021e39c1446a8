"""Holds the shape of the project: who may import whom, where flags may be read, and what no source may contain.

Each rule is a function (path, source) -> problems that looks at the text or the syntax tree of one file, so a rule is
shown to fail on a small bad source as well as to pass on the repository.
"""

import ast
import pathlib
import re
import sys
from collections.abc import Callable

import pytest

from tests.sources import ROOT, imported_modules, package_of, repository_files

LIBRARY = ("mentornet", "student_nets", "data")
SCRIPT_FOLDERS = ("scripts", "benchmarks")
MAX_LINES = 320
# What an import is called and the distribution in pyproject.toml that brings it, where the two names differ.
DISTRIBUTIONS = {"PIL": "pillow", "absl": "absl-py", "sklearn": "scikit-learn"}

Rule = Callable[[str, str], list[str]]


def is_script(path: str) -> bool:
    return "/" not in path or package_of(path) in SCRIPT_FOLDERS


def imports_point_one_way(path: str, source: str) -> list[str]:
    """scripts -> flags -> {mentornet, student_nets, data}; the last three do not know each other."""
    package = package_of(path)
    if package in LIBRARY:
        forbidden = {*LIBRARY, "flags"} - {package}
    elif package == "flags" or is_script(path):
        forbidden = set()
    else:
        return []
    scripts = {file.removesuffix(".py") for file in ("train_cifar.py", "train_imagenet.py")} | set(SCRIPT_FOLDERS)
    if not is_script(path):
        forbidden |= scripts
    return [
        f"{path}:{line}: {package or path} must not import {name}"
        for line, name in imported_modules(source)
        if name.split(".")[0] in forbidden
    ]


def absl_flags_only_outside_the_library(path: str, source: str) -> list[str]:
    if package_of(path) not in LIBRARY:
        return []
    return [
        f"{path}:{line}: {name} belongs to scripts and flags/; take a plain argument instead"
        for line, name in imported_modules(source)
        if re.match(r"absl\.(flags|app)\b", name)
    ]


def flag_values_are_not_read_in_the_library(path: str, source: str) -> list[str]:
    """A read is `FLAGS` or `.value` of an upper-case name, which is how flag holders are written."""
    if package_of(path) not in LIBRARY:
        return []
    return [
        f"{path}:{node.lineno}: {ast.unparse(node)} reads a flag; take a plain argument instead"
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Name) and node.id == "FLAGS")
        or (
            isinstance(node, ast.Attribute)
            and node.attr == "value"
            and isinstance(node.value, ast.Name)
            and node.value.id.isupper()
        )
    ]


def only_tf_keras(path: str, source: str) -> list[str]:
    """Keras 3 cannot train under the distribution strategies used here, so no `keras` but tf_keras is touched."""
    advice = "write `import tf_keras as keras`"
    problems = [
        f"{path}:{line}: imports {name}; {advice}"
        for line, name in imported_modules(source)
        if name.split(".")[0] == "keras" or name.startswith(("tensorflow.keras", "tensorflow.python.keras"))
    ]
    return problems + [
        f"{path}:{node.lineno}: {ast.unparse(node)}; {advice}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("tf.keras", "tensorflow.keras")
    ]


def no_code_in_files_and_no_python_in_graphs(path: str, source: str) -> list[str]:
    """Files that are read are data, never code; and a training step has to compile, so it holds no Python callbacks."""
    loaders = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "torch"}
    problems = [
        f"{path}:{line}: {name} can run code while it reads a file"
        for line, name in imported_modules(source)
        if name.split(".")[0] in loaders
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in (
            "py_function",
            "numpy_function",
            "enable_unsafe_deserialization",
        ):
            problems.append(f"{path}:{node.lineno}: {node.attr} is not allowed")
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
                problems.append(f"{path}:{node.lineno}: {node.func.id}() is not allowed")
            for keyword, safe in (("allow_pickle", False), ("safe_mode", True)):
                given = [k.value for k in node.keywords if k.arg == keyword]
                if any(not (isinstance(value, ast.Constant) and value.value is safe) for value in given):
                    problems.append(f"{path}:{node.lineno}: {keyword} must be {safe}")
    return problems


def files_are_short(path: str, source: str) -> list[str]:
    lines = source.count("\n")
    return [f"{path}: {lines} lines; split a file before it passes {MAX_LINES}"] if lines > MAX_LINES else []


def modules_say_what_they_are_for(path: str, source: str) -> list[str]:
    wanted = source.strip() and not ast.get_docstring(ast.parse(source))
    return [f"{path}: has no docstring at its head"] if wanted else []


def dependencies_are_declared(path: str, source: str) -> list[str]:
    """A package that merely comes along with another one can go away with the other's next release."""
    if package_of(path) not in (*LIBRARY, "flags") and not is_script(path):
        return []
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8").lower().replace("_", "-")
    local = {*LIBRARY, "flags", *SCRIPT_FOLDERS}
    return [
        f"{path}:{line}: {name} is not among the dependencies in pyproject.toml"
        for line, name in imported_modules(source)
        if (root := name.split(".")[0]) not in sys.stdlib_module_names
        and root not in local
        and not re.search(rf'"{DISTRIBUTIONS.get(root, root).lower().replace("_", "-")}>=', declared)
    ]


def no_machine_paths(path: str, source: str) -> list[str]:
    """Absolute paths of one person's machine; a relative path or an address that contains such a word is fine."""
    pattern = re.compile(r"(?<![\w./~}])/(?:home|root|work|Users)/[\w.]")
    return [f"{path}:{n}: {line.strip()}" for n, line in enumerate(source.splitlines(), 1) if pattern.search(line)]


def nothing_is_left_undone(path: str, source: str) -> list[str]:
    pattern = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
    return [f"{path}:{n}: {line.strip()}" for n, line in enumerate(source.splitlines(), 1) if pattern.search(line)]


PYTHON_RULES: list[Rule] = [
    imports_point_one_way,
    absl_flags_only_outside_the_library,
    flag_values_are_not_read_in_the_library,
    only_tf_keras,
    no_code_in_files_and_no_python_in_graphs,
    files_are_short,
    modules_say_what_they_are_for,
    dependencies_are_declared,
]
TEXT_RULES: list[Rule] = [no_machine_paths, nothing_is_left_undone]
TEXT_SUFFIXES = {"", ".py", ".md", ".txt", ".toml", ".flags", ".yaml", ".yml", ".cff", ".json", ".csv", ".cfg"}

# A rule, a file it covers, a source it must refuse, and the nearest source it must accept there.
EXAMPLES: list[tuple[Rule, str, str, str]] = [
    (imports_point_one_way, "mentornet/methods/x.py", "from data.streams import Stream", "import mentornet.stages"),
    (imports_point_one_way, "mentornet/x.py", "import data.noise", "import mentornet.features"),
    (imports_point_one_way, "mentornet/x.py", "from student_nets import get", "from database import get"),
    (imports_point_one_way, "student_nets/x.py", "from flags import student_flags", "from absl import logging"),
    (imports_point_one_way, "data/x.py", "def f():\n  import mentornet", "from . import noise"),
    (imports_point_one_way, "data/x.py", "__import__('mentornet')", "from data import noise"),
    (imports_point_one_way, "flags/x.py", "import train_cifar", "import data, mentornet, student_nets"),
    (absl_flags_only_outside_the_library, "data/x.py", "from absl import flags", "from absl import logging"),
    (absl_flags_only_outside_the_library, "mentornet/x.py", "import absl.flags as f", "import absl.logging"),
    (flag_values_are_not_read_in_the_library, "data/x.py", "seed = FLAGS.seed", "seed = config.seed"),
    (flag_values_are_not_read_in_the_library, "mentornet/x.py", "n = SEED.value", "n = Mode.TRAIN.value"),
    (only_tf_keras, "mentornet/x.py", "import keras", "import tf_keras as keras"),
    (only_tf_keras, "tests/x.py", "from tensorflow import keras", "from tf_keras import layers"),
    (only_tf_keras, "mentornet/x.py", "x = tf.keras.layers.Dense(1)", "x = keras.layers.Dense(1)"),
    (no_code_in_files_and_no_python_in_graphs, "data/x.py", "import pickle", "import json"),
    (no_code_in_files_and_no_python_in_graphs, "data/x.py", "eval('1')", "model.eval('1')"),
    (no_code_in_files_and_no_python_in_graphs, "data/x.py", "exec(code)", "execute(code)"),
    (
        no_code_in_files_and_no_python_in_graphs,
        "data/x.py",
        "np.load(p, allow_pickle=True)",
        "np.load(p, allow_pickle=False)",
    ),
    (no_code_in_files_and_no_python_in_graphs, "data/x.py", "load(p, safe_mode=False)", "load(p, safe_mode=True)"),
    (no_code_in_files_and_no_python_in_graphs, "data/x.py", "tf.py_function(f, [x], t)", "tf.function(f)"),
    (no_code_in_files_and_no_python_in_graphs, "data/x.py", "tf.numpy_function(f, [x], t)", "tf.map_fn(f, x)"),
    (files_are_short, "data/x.py", "\n" * (MAX_LINES + 1), "\n" * MAX_LINES),
    (modules_say_what_they_are_for, "data/x.py", "x = 1", '"""Noise."""\nx = 1'),
    (dependencies_are_declared, "data/x.py", "import pandas", "import numpy, PIL.Image, sklearn.datasets, json"),
    (no_machine_paths, "README.md", "--data_dir=/" + "home/me/tfds", "--data_dir=~/tfds or ../work/tfds"),
    (nothing_is_left_undone, "data/x.py", "# TO" + "DO: later", "# todos are kept elsewhere"),
]


@pytest.mark.parametrize("rule", PYTHON_RULES, ids=lambda rule: rule.__name__)
def test_python_sources_keep_the_rule(rule: Rule) -> None:
    sources = [path for path in repository_files() if path.endswith(".py")]
    assert sources
    problems = [p for path in sources for p in rule(path, (ROOT / path).read_text(encoding="utf-8"))]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.__name__)
def test_text_files_keep_the_rule(rule: Rule) -> None:
    texts = [path for path in repository_files() if pathlib.Path(path).suffix in TEXT_SUFFIXES]
    assert texts
    problems = [p for path in texts for p in rule(path, (ROOT / path).read_text(encoding="utf-8"))]
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize(("rule", "path", "bad", "good"), EXAMPLES)
def test_rule_tells_bad_from_good(rule: Rule, path: str, bad: str, good: str) -> None:
    assert rule(path, bad)
    assert not rule(path, good)


def test_every_rule_has_an_example() -> None:
    assert {rule for rule, *_ in EXAMPLES} == {*PYTHON_RULES, *TEXT_RULES}


def folders_without_init(paths: list[str]) -> set[str]:
    """Folders of the packages that hold Python files but no __init__.py: there an installed namesake would win."""
    inside = [pathlib.PurePosixPath(p) for p in paths if package_of(p) in (*LIBRARY, "flags") and p.endswith(".py")]
    return {str(p.parent) for p in inside} - {str(p.parent) for p in inside if p.name == "__init__.py"}


def test_every_package_has_an_init_file() -> None:
    assert folders_without_init(["data/noise.py", "data/__init__.py", "flags/x/y.py"]) == {"flags/x"}
    assert not folders_without_init(repository_files())


def test_git_does_not_ignore_the_package_called_data() -> None:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert not {line.strip("/") for line in lines} & {"data", "flags", "mentornet", "student_nets", "tests"}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_exact_pins_without_addresses(name: str) -> None:
    pin = re.compile(r'[a-z0-9-]+==[\w.]+( ; python_version [<>]=? "3\.\d+"( and python_version < "3\.\d+")?)?')
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    rest = [line for line in lines if not line.startswith("#") and line != "-r requirements.txt"]
    assert rest
    assert [line for line in rest if not pin.fullmatch(line)] == []
