"""Set-up shared by all tests: quiet TensorFlow, parsed flags, and the folder of offline data sets."""

import gc
import os
import pathlib
import sys
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace

# Read when TensorFlow is first imported, so it is set before any test module is collected.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# The tests describe the CPU; a GPU on the machine would change rounding and hide the determinism that is tested.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
# Plots are written to files: no test may need a display.
os.environ["MPLBACKEND"] = "Agg"

import pytest
from absl import flags

# Python's garbage collector looks at all objects again and again, and importing TensorFlow leaves a million that stay.
# It rests until the tests are collected, and never looks at what is there by then: a twentieth of all the time.
gc.disable()

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


def pytest_configure(config: pytest.Config) -> None:
    """Parses the flags with their defaults: under pytest nobody else does, and sys.argv belongs to pytest."""
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["pytest"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: two run at a time, and a long one at the end would run alone."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish() -> None:
    """Everything is imported, in every process of pytest-xdist: see above."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.fixture(scope="session")
def shared_dir() -> pathlib.Path:
    """The folder `shared` beside the repository, with prepared data sets and human labels; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("there is no folder 'shared' beside the repository with the offline data sets")
    return SHARED


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The figures of a run by file name, kept instead of rendered."""
    from mentornet.reports import plots

    figures: dict[str, object] = {}
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.update({path.name: figure}))
    return figures


@pytest.fixture(autouse=True)
def _kernels_as_found() -> Iterator[None]:
    """A test that runs a command in this process asks for deterministic kernels; the next test shall not notice."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()


@pytest.fixture(autouse=True)
def _trainings_end_without_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that ends in this process draws its figures as ever, but renders none: a third of a short run's time.

    The tests of reports render theirs, and tests/test_train_cifar.py those of a whole command.
    """
    finishing = sys.modules.get("mentornet.training.finishing")
    if finishing is None:
        return
    from matplotlib.figure import Figure

    from tests.processes import save_unrendered

    draw_run = finishing.plots.draw_run

    def draw_unrendered(run: object) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Figure, "savefig", save_unrendered)
            draw_run(run)

    monkeypatch.setattr(finishing, "plots", SimpleNamespace(draw_run=draw_unrendered))
