"""Dice and surface distances: shapes with known answers, brute force over voxels, empty masks, several classes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from data.segmentation.dataset import Volume
from mentornet import segmentation_metrics as metrics


def by_brute_force(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    """The figures by their definitions, voxel by voxel."""

    def border(mask: np.ndarray) -> np.ndarray:
        points = []
        for voxel in np.argwhere(mask):
            for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
                beside = voxel.copy()
                beside[axis] += step
                if not (0 <= beside[axis] < mask.shape[axis]) or not mask[tuple(beside)]:
                    points.append(voxel * spacing)
                    break
        return np.array(points)

    distances = cdist(border(a), border(b))
    there, back = distances.min(1), distances.min(0)
    return {
        "dice": 2 * (a & b).sum() / (a.sum() + b.sum()),
        "hausdorff": max(there.max(), back.max()),
        "hausdorff_95": max(np.percentile(there, 95), np.percentile(back, 95)),
        "average_surface_distance": np.concatenate([there, back]).mean(),
    }


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_brute_force(seed):
    random = np.random.default_rng(seed)
    a, b = random.random((2, 6, 9, 7)) < random.uniform(0.1, 0.7, (2, 1, 1, 1))
    spacing = tuple(random.uniform(0.5, 4, 3))
    assert metrics.of_case(a, b, spacing, 2).mean == pytest.approx(by_brute_force(a, b, spacing))


def test_shifted_cubes():
    a = np.zeros((20, 30, 30), np.uint8)
    a[5:15, 8:18, 8:18] = 1
    found = metrics.of_case(a, np.roll(a, 3, axis=2), (3.0, 0.5, 0.7), 2)
    assert found.mean["dice"] == pytest.approx(0.7)
    assert found.mean["hausdorff"] == pytest.approx(3 * 0.7)
    # The other way is 3 slices of 3 mm.
    assert metrics.of_case(a, np.roll(a, 3, axis=0), (3.0, 0.5, 0.7), 2).mean["hausdorff"] < 9 + 1e-9
    found = metrics.of_case(a, a, (3.0, 0.5, 0.7), 2)
    assert found.mean == {"dice": 1, "hausdorff": 0, "hausdorff_95": 0, "average_surface_distance": 0}


def test_concentric_spheres_in_voxels_that_are_no_cubes():
    spacing = np.array((2.0, 1.0, 0.5))
    shape = (19, 37, 73)  # 36 mm each way
    places = np.stack(np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij"), -1) * spacing
    radius = np.linalg.norm(places, axis=-1)
    found = metrics.of_case(radius <= 9, radius <= 15, tuple(spacing), 2)
    assert found.mean["dice"] == pytest.approx(2 * 9**3 / (9**3 + 15**3), abs=0.01)
    for name in ("hausdorff", "hausdorff_95", "average_surface_distance"):
        assert found.mean[name] == pytest.approx(6, abs=1.0)  # half a voxel of 2 mm at either sphere


def test_one_voxel():
    a, b = np.zeros((2, 5, 6, 7), np.uint8)
    a[1, 1, 1] = b[3, 4, 5] = 1
    found = metrics.of_case(a, b, (3.0, 2.0, 1.0), 2)
    distance = math.dist((3, 2, 1), (9, 8, 5))
    assert list(found.mean.values()) == pytest.approx([0, distance, distance, distance])


def test_empty_masks():
    empty = np.zeros((4, 5, 6), np.uint8)
    one = empty.copy()
    one[2, 2, 2] = 1
    assert metrics.of_case(empty, empty, (1, 1, 1), 2).mean["dice"] == 1
    assert metrics.of_case(empty, empty, (1, 1, 1), 2).mean["hausdorff"] == 0
    for pair in ((empty, one), (one, empty)):
        found = metrics.of_case(*pair, (3, 1, 1), 2)
        assert found.mean["dice"] == 0
        assert found.mean["hausdorff"] == pytest.approx(math.hypot(9, 4, 5))
        assert found.missed == 1
    assert metrics.dice_of_slices(np.stack([empty[0], empty[0], one[2]]), [empty[0], one[2], one[2]], 2).tolist() == [
        1.0,
        0.0,
        1.0,
    ]


def test_several_classes_are_each_compared_and_absent_ones_left_out():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 3, (2, 5, 6, 7))
    found = metrics.of_case(a, b, (2, 1, 1), 4)  # nobody has class 3
    single = [by_brute_force(a == c, b == c, (2, 1, 1)) for c in (1, 2)]
    assert found.of_classes[0] == pytest.approx(single[0])
    assert found.of_classes[1] == pytest.approx(single[1])
    assert math.isnan(found.of_classes[2]["dice"])
    assert found.mean["average_surface_distance"] == pytest.approx(
        np.mean([figures["average_surface_distance"] for figures in single])
    )
    by_slice = [np.mean([metrics.dice(x == c, y == c) for c in (1, 2)]) for x, y in zip(a, b, strict=True)]
    assert metrics.dice_of_slices(a, b, 4) == pytest.approx(np.array(by_slice))


def test_cases_are_put_together_at_their_original_size():
    """Slices of half the size, in any order: the prediction is that of the whole, and the mm are the case's."""
    shape = (4, 16, 24)
    right = np.zeros(shape, np.uint8)
    right[1:3, 4:12, 6:18] = 1
    wrong = np.roll(right, 2, axis=2)
    probabilities = np.stack([1.0 - wrong[:, ::2, ::2], wrong[:, ::2, ::2]], -1)
    cases = ["b"] * 4 + ["a"] * 4
    order = np.random.default_rng(1).permutation(8)
    both = np.concatenate([probabilities, np.stack([1.0 - right[:, ::2, ::2], right[:, ::2, ::2]], -1)])[order]
    volumes = {"a": Volume(shape, (3.0, 0.6, 0.6), right), "b": Volume(shape, (3.0, 0.6, 0.6), right)}
    slices = np.tile(np.arange(4), 2)[order]
    found = metrics.of_cases(both, [cases[i] for i in order], slices, volumes)
    assert list(found) == ["a", "b"]
    assert found["a"].mean["dice"] == 1
    assert found["b"].mean["dice"] == pytest.approx(metrics.dice(wrong, right))
    assert found["b"].mean["hausdorff"] == pytest.approx(2 * 0.6)
    assert metrics.mean_of_cases(found)["dice"] == pytest.approx((1 + metrics.dice(wrong, right)) / 2)
    with pytest.raises(ValueError, match="Case a has 4 slices"):
        metrics.of_cases(probabilities[:3], ["a"] * 3, [0, 1, 3], volumes)
    # Three classes, a smooth map of probabilities: the border lies where two are alike, not at pixels of the half size.
    ramp = np.linspace(0, 1, 8)
    smooth = np.broadcast_to(np.stack([1 - ramp, ramp, 0 * ramp], -1), (1, 8, 8, 3))
    assert metrics.classes_at_size(smooth, (64, 64))[0, 0].tolist() == [0] * 32 + [1] * 32


def test_bad_input():
    with pytest.raises(ValueError, match="shape"):
        metrics.of_case(np.zeros((2, 3, 4)), np.zeros((2, 3, 5)), (1, 1, 1), 2)
    for spacing in ((1, 1), (1, 0, 1), (1, 1, float("nan"))):
        with pytest.raises(ValueError, match="3 positive numbers"):
            metrics.of_case(np.ones((2, 3, 4)), np.ones((2, 3, 4)), spacing, 2)
