"""L2RW's students as its recipes get them, layer by layer against its section 5 and released code.

ResNet-32 and WRN-28-10 there have no projections, batch norm with a shift but no scale (epsilon 0.001, decay 0.999), a
BN-ReLU behind the stem, and none at the head of any unit of the first stage. The units' sums are in
test_student_nets_units.py.
"""

import math
import pathlib
import types

import numpy as np
import pytest
import tf_keras as keras

from flags import configuration
from flags.build import in_memory as build
from student_nets.layers import ParameterFreeShortcut, SeededDropout

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "flags" / "recipes"
# Table -> channels of the three stages, units in each, share dropped.
PAPER = {1: ((160, 320, 640), 4, 0.3), 2: ((16, 32, 64), 5, 0.0)}


def recipes(table: int) -> list[pathlib.Path]:
    return sorted((FOLDER / f"l2rw_table{table}").glob("*.flags"))


def parse(recipe: pathlib.Path) -> configuration.Config:
    return configuration.parse(["train_cifar.py", f"--flagfile={recipe}", "--train_log_dir=t"])


def closed_form(widths: tuple[int, ...], units: int, classes: int) -> tuple[int, int]:
    """Trained parameters, and channels of all batch norms.

    A stage has 2 u convolutions to its width, all but the first from that width too. A batch norm is behind the stem,
    in every unit behind its first convolution, from stage 2 on at the head of every unit (of its input), at the end.
    """
    u, (a, b, c) = units, widths
    kernels = 9 * (3 * 16 + 16 * a + a * b + b * c + (2 * u - 1) * (a * a + b * b + c * c))
    channels = 16 + u * a + (a + (u - 1) * b + u * b) + (b + (u - 1) * c + u * c) + c
    return kernels + channels + (c + 1) * classes, channels


def test_the_closed_form_gives_the_known_counts():
    """From the 36,479,194 of the standard network, and the sum for ResNet-32 in test_student_nets_families.py."""
    parameters, channels = closed_form((160, 320, 640), 4, 10)
    projections = 16 * 160 + 160 * 320 + 320 * 640
    # The standard one has a scale for every shift, both at the head of stage 1's units too (of 16 and thrice 160
    # channels), and nothing behind the stem.
    norms = channels + 2 * (16 + 3 * 160) - 2 * 16
    assert parameters == 36_479_194 - projections - norms
    assert closed_form((16, 32, 64), 5, 10) == (461_232 + 650 + 1_072, 1_072)


@pytest.mark.parametrize(("table", "classes"), [(1, 10), (2, 10), (2, 100)])
def test_a_recipe_gets_the_network_of_the_released_code(table, classes):
    widths, units, dropped = PAPER[table]
    config = parse(FOLDER / f"l2rw_table{table}" / ("cifar10_l2rw.flags" if classes == 10 else "cifar100_l2rw.flags"))
    dataset = types.SimpleNamespace(num_classes=classes, image_shape=(32, 32, 3))
    model = build.student(config.student, types.SimpleNamespace(dataset=dataset), seed=0)

    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    shifts = sum(norm.beta.shape[0] for norm in norms)
    assert (trained, shifts) == closed_form(widths, units, classes)
    settings = {(norm.momentum, norm.epsilon, norm.scale, norm.center, norm.synchronized) for norm in norms}
    assert settings == {(0.999, 1e-3, False, True, False)}

    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 1 + 3 * units * 2
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert not any(layer.use_bias for layer in convolutions)
    shortcuts = [layer for layer in model.layers if isinstance(layer, ParameterFreeShortcut)]
    assert all(layer.reduction == "average" for layer in shortcuts)
    assert [layer.filters for layer in shortcuts] == [width for width in widths if width != 16]
    sums = [layer.output_shape[1:] for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert sums == [(32 >> stage, 32 >> stage, width) for stage, width in enumerate(widths) for _ in range(units)]

    dropouts = [layer.rate for layer in model.layers if isinstance(layer, SeededDropout)]
    assert dropouts == ([pytest.approx(dropped)] * 2 * units if dropped else [])
    # Truncated normal kernels, their bound two deviations; a uniform dense kernel.
    kernel = convolutions[-1].kernel.numpy()
    deviation = math.sqrt(2 / (9 * widths[2]))
    assert 1.95 * deviation < np.abs(kernel).max() <= 2 * deviation * (1 + 1e-6)
    bound = math.sqrt(3 / widths[2])
    assert 0.95 * bound < np.abs(model.get_layer("logits").kernel).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize(("table", "student", "keep"), [(1, "wrn28_10_l2rw", 0.7), (2, "resnet32_l2rw", 1.0)])
def test_all_recipes_of_a_table_train_that_network_and_say_so(table, student, keep):
    assert len(recipes(table)) == {1: 16, 2: 32}[table]
    for recipe in recipes(table):
        config = parse(recipe).student
        assert (config.name, config.dropout_keep_probability) == (student, keep), recipe
        head = recipe.read_text(encoding="utf-8")
        assert "The student is the released code's (_l2rw): shortcuts by average pooling" in head, recipe
