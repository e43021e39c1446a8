"""From flags to optimisers and their rates: cosine, linear decay in whole epochs, Adam with a second beta."""

from __future__ import annotations

import pytest
import tf_keras as keras

from flags import configuration
from flags.build import in_memory as build
from mentornet.training.optimizers import Adam, MomentumSGD, RMSProp


def parsed(*flags: str) -> configuration.Config:
    return configuration.parse(["train_cifar.py", "--train_log_dir=t", *flags])


def rates(optimizer, steps) -> list[float]:
    found = []
    for step in steps:
        optimizer.iterations.assign(step)
        found.append(float(optimizer.present_rate()))
    return found


def test_the_cosine_schedule_ends_at_zero():
    config = parsed("--learning_rate=0.2", "--max_number_of_steps=100", "--learning_rate_schedule=cosine")
    optimizer = build.optimizer(config, 1000)
    expected = [0.2, 0.2 * (0.5 + 0.5**1.5), 0.1, 0.0]  # 0.1 (1 + cos(pi step / 100))
    assert rates(optimizer, (0, 25, 50, 100)) == pytest.approx(expected, abs=1e-6)
    assert config.identity()["learning_rate_schedule"] == "cosine"


LINEAR = ["--learning_rate_schedule=linear", "--batch_size=10"]


def test_the_linear_schedule_falls_from_epoch_to_epoch_after_40_percent():
    """10 epochs of 5 steps: rate (10 - e) / (10 - 4) from epoch 4 on, and what would be 0 behind the last one."""
    optimizer = build.optimizer(parsed(*LINEAR, "--num_epochs=10").resolved(50), 50)
    assert isinstance(optimizer, MomentumSGD)
    expected = [0.1, 0.1, 0.1, 0.1, 0.1 * 6 / 6, 0.1 * 5 / 6, 0.1 * 4 / 6, 0.1 * 3 / 6, 0.1 * 2 / 6, 0.1 / 6]
    assert rates(optimizer, range(0, 50, 5)) == pytest.approx(expected)
    assert rates(optimizer, range(4, 50, 5)) == pytest.approx(expected)  # the last step of each


@pytest.mark.parametrize(
    ("flags", "examples", "expected"),
    [
        (["--num_epochs=10", "--linear_decay_epoch=8"], 50, {0: 1, 44: 1, 45: 1 / 2, 49: 1 / 2}),
        (["--max_number_of_steps=48", "--linear_decay_epoch=8"], 50, {44: 1, 45: 1 / 2}),  # 9.6 epochs are 10
        (["--num_epochs=10", "--max_batches_per_epoch=3", "--linear_decay_epoch=8"], 50, {26: 1, 27: 1 / 2, 29: 1 / 2}),
        (["--num_epochs=200"], 50, {80 * 5: 1, 81 * 5: 119 / 120, 199 * 5: 1 / 120}),  # Co-teaching's
        (["--num_epochs=2", "--linear_decay_epoch=0"], 50, {0: 1, 5: 1 / 2}),
    ],
)
def test_the_linear_schedule_counts_the_epochs_of_the_run(flags, examples, expected):
    optimizer = build.optimizer(parsed(*LINEAR, "--learning_rate=1", *flags).resolved(examples), examples)
    assert rates(optimizer, expected) == pytest.approx(list(expected.values()))


def test_a_decay_behind_the_end_is_refused():
    with pytest.raises(ValueError, match="the linear decay starts in epoch 10, but there are only 10"):
        build.optimizer(parsed(*LINEAR, "--num_epochs=10", "--linear_decay_epoch=10").resolved(50), 50)


def test_adam_has_its_own_rate_and_no_second_beta_unless_it_is_asked_for():
    config = parsed("--optimizer=adam")
    optimizer = build.optimizer(config, 50_000)
    assert isinstance(optimizer, Adam)
    assert (config.student.learning_rate, optimizer.beta_1, optimizer.beta_2) == (0.001, 0.9, 0.999)
    assert rates(optimizer, (0, 19_532)) == pytest.approx([1e-3, 1e-4])  # the paper's boundaries
    assert parsed("--optimizer=adam", "--learning_rate=0.1").student.learning_rate == 0.1
    assert build.optimizer(parsed("--optimizer=adam", "--adam_beta1=0.5"), 50_000).beta_1 == 0.5


def test_rmsprop_has_its_own_rate_and_refuses_what_is_of_others():
    config = parsed(*LINEAR, "--optimizer=rmsprop", "--num_epochs=5").resolved(50)
    optimizer = build.optimizer(config, 50)
    assert isinstance(optimizer, RMSProp)
    assert rates(optimizer, (0, 4 * 5)) == pytest.approx([0.01, 0.01 / 3])  # S2E, appendix A.2.4
    for flag in ("--momentum=0.9", "--adam_beta1=0.5"):
        with pytest.raises(ValueError, match=f"{flag.split('=')[0]} is used by"):
            parsed("--optimizer=rmsprop", flag)


def test_the_second_beta_holds_from_the_step_on_with_which_the_decay_begins():
    flags = [*LINEAR, "--optimizer=adam", "--num_epochs=10", "--adam_beta1_after_decay=0.1"]
    for start, first in ((4, 20), (2.5, 15), (0, 0)):
        optimizer = build.optimizer(parsed(*flags, f"--linear_decay_epoch={start}").resolved(50), 50)
        betas = [float(optimizer.beta_1(step)) for step in range(50)]
        assert betas == pytest.approx([0.9] * first + [0.1] * (50 - first))


@pytest.mark.parametrize(
    ("flags", "beta"),
    [
        (["--method=co_teaching", "--preset=release"], 0.1),
        (["--method=co_teaching_plus", "--preset=release"], 0.1),
        (["--method=co_teaching", "--preset=release", "--adam_beta1_after_decay=0.3"], 0.3),
        (["--method=co_teaching"], None),
        (["--method=small_loss", "--preset=release"], None),
    ],
)
def test_the_release_preset_brings_the_second_beta_of_the_code_of_co_teaching(flags, beta):
    adam = ["--optimizer=adam", "--learning_rate_schedule=linear"]
    config = parsed(*flags, *adam)
    assert config.student.adam_beta1_after_decay == beta
    assert config.identity().get("adam_beta1_after_decay") == beta
    if "--adam_beta1_after_decay=0.3" not in flags:
        assert parsed(*flags, "--optimizer=adam").student.adam_beta1_after_decay is None
        assert parsed(*flags).student.adam_beta1_after_decay is None


def test_loss_scaling_keeps_either_optimiser():
    for flags, kind in (([], MomentumSGD), (["--optimizer=adam"], Adam)):
        scaled = build.optimizer(parsed("--mixed_precision=float16", *flags), 50_000)
        assert isinstance(scaled, keras.mixed_precision.LossScaleOptimizer)
        assert isinstance(scaled.inner_optimizer, kind)


def test_younger_settings_at_their_defaults_leave_the_identity_as_it_was():
    plain = parsed().identity()
    younger = ("optimizer", "adam_beta1", "adam_beta1_after_decay", "linear_decay_epoch", "learning_rate_schedule")
    assert not set(younger) & set(plain)
    adam = ["--optimizer=adam", "--adam_beta1=0.8", "--adam_beta1_after_decay=0.1"]
    changed = parsed(*adam, "--learning_rate_schedule=linear", "--linear_decay_epoch=3").identity()
    assert [changed[name] for name in younger] == ["adam", 0.8, 0.1, 3.0, "linear"]
