"""Every method on two devices with half of the batch each does what one device does with all of it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mentornet import methods
from tests import processes
from tests.equal_methods import CASES, STEPS

Held = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Held:
    output = tmp_path_factory.mktemp("equal") / "held.npz"
    ended = processes.run([sys.executable, "tests/equal_methods.py", str(output)])
    assert ended.returncode == 0, ended.stderr[-3000:]
    with np.load(output, allow_pickle=False) as stored:
        return dict(stored)


def of(held: Held, case: str, place: str) -> Held:
    prefix = f"{case}/{place}/"
    return {name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_devices_train_like_one(trained, case):
    one, two = of(trained, case, "one"), of(trained, case, "two")
    assert one.keys() == two.keys()
    assert one["step"] == STEPS
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-4, atol=2e-5, err_msg=name, equal_nan=True)


@pytest.mark.slow
def test_the_methods_differ_from_each_other(trained):
    """What is compared above would notice a method that only trains plainly."""
    ends = {case: of(trained, case, "two")["student/0"] for case in CASES}
    names = list(CASES)
    for k, first in enumerate(names):
        for second in names[k + 1 :]:
            assert np.abs(ends[first] - ends[second]).max() > 1e-4, (first, second)


def test_every_method_has_a_case():
    counted = {name for name in methods.names() if methods.get(name).counts_epochs} | {"simclr"}  # tests of their own
    assert {case.split()[0] for case in CASES} == set(methods.names()) - counted
