"""Forty steps compiled by XLA: every method is traced and compiled once for each kind of stage, and never again."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

import pytest

from tests.compiled_methods import FEW_STEPS, INDEXING, STEPS, WARM
from tests.equal_methods import CASES
from tests.processes import PATIENCE, ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def taken(tmp_path_factory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("compiled")
    output, dumped = folder / "steps.json", folder / "xla"
    dumped.mkdir()
    command = [sys.executable, "tests/compiled_methods.py", str(dumped), str(output)]
    environment = os.environ | {"XLA_FLAGS": f"--xla_dump_to={dumped}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(output.read_text())


@pytest.mark.parametrize("case", CASES)
def test_steps_are_traced_and_compiled_once(taken, case):
    found = taken[case]
    assert found["steps"] == STEPS == len(found["seconds"])
    stages = 2 if "warmup_epochs" in CASES[case] else 1
    assert list(found["traced"].values()) == [1] * stages
    assert found["compiled"] == stages
    assert found["recompiled"] == 0


@pytest.mark.parametrize("case", CASES)
def test_late_steps_are_no_slower_than_early_ones(taken, case):
    """The median, because other work on the machine may delay any of them; the first one's compilation takes longer."""
    seconds = taken[case]["seconds"]
    late = statistics.median(seconds[STEPS // 2 :])
    assert late < 10 * statistics.median(seconds)
    assert late < seconds[0] / 10


def test_steps_that_are_compiled_anew_would_be_noticed(taken):
    found = taken[INDEXING]
    assert list(found["traced"].values()) == [1]
    assert found["recompiled"] == FEW_STEPS - WARM
