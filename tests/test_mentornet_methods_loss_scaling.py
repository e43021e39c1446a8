"""L2RW and L2B with a scaled loss, which float16 needs: the step is that of the loss itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from mentornet import methods
from mentornet.training.optimizers import MomentumSGD
from tests.meta_oracles import conv_student, fit, meta_batch, values

CASES: dict[str, dict[str, Any]] = {
    "l2rw": {"weight_decay": 0.01},
    "l2rw momentum": {"weight_decay": 0.01, "lookahead": "momentum", "clean_decay": True},
    "l2b": {"weight_decay": 0.01, "clip_norm": 0.05},
    "small_loss": {"weight_decay": 0.01, "keep_schedule": "constant:0.5"},
    "co_teaching": {"weight_decay": 0.01, "keep_schedule": "constant:0.5"},
}


def trained(case: str, *, scaled: bool) -> tuple[list[np.ndarray], list[dict]]:
    """Student and logs after three steps."""
    student = conv_student()
    optimizer: Any = MomentumSGD(0.2, 0.9)
    if scaled:
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer, dynamic=False, initial_scale=1024)
    method = methods.get(case.split()[0])(student, max_steps=10, **CASES[case])
    logs = fit(method, *(meta_batch(seed) for seed in range(3)), optimizer=optimizer)
    return values(method.student.variables), logs


@pytest.mark.parametrize("case", CASES)
def test_a_scaled_loss_changes_no_step(case):
    """A power of two is exact; without unscaling, clipping and decay would be off by it."""
    for a, b in zip(trained(case, scaled=True)[0], trained(case, scaled=False)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_float16_trains_like_float32(case):
    expected = trained(case, scaled=False)[1]
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        found = trained(case, scaled=True)[1]
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for log, other in zip(found, expected, strict=True):
        assert log["raw_loss"] == pytest.approx(other["raw_loss"], rel=0.01)
        assert log["weight_sum"] == pytest.approx(other["weight_sum"], rel=0.05)
