"""Wrong masks: operations against their definitions, levels against the paper's Dice, what follows from what."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from data import segmentation
from data.segmentation import noise

SIZE = 144


def disc(radius: float, size: int = SIZE, centre: tuple[int, int] = (70, 75)) -> np.ndarray:
    y, x = np.ogrid[:size, :size]
    return ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2).astype(np.uint8)


class Drawn:
    """A generator whose draws are given: of the turn, then of (erode or dilate, side, ellipse)."""

    def __init__(self, turn: int, draws: tuple[float, float, float]):
        self.turn, self.draws = turn, draws

    def integers(self, low: int, high: int) -> int:
        assert (low, high) == (-20, 21)
        return self.turn

    def random(self, n: int) -> np.ndarray:
        assert n == 3
        return np.array(self.draws)


@pytest.mark.parametrize(("draw", "side"), [(0.05, 7), (0.15, 14), (0.3, 21), (0.6, 28), (0.9, 35)])
def test_sides_follow_the_cumulative_probabilities_and_squares_change_the_mask(monkeypatch, draw, side):
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[40:100, 50:110] = 1
    for kind, draws in (("erode", (0.2, draw, 0.9)), ("dilate", (0.8, draw, 0.9))):
        monkeypatch.setattr(noise.seeding, "generator", lambda *_, draws=draws: Drawn(0, draws))
        found = noise.corrupted_mask(mask, noise.parse("l2"), 0, "slice")
        assert found.sum() == (60 + (side - 1) * (1 if kind == "dilate" else -1)) ** 2


def test_half_of_the_masks_become_the_ellipse_of_their_box(monkeypatch):
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[40:101, 50:131] = 1
    monkeypatch.setattr(noise.seeding, "generator", lambda *_: Drawn(0, (0.2, 0.0, 0.1)))  # eroded by 7: 55 x 75
    found = noise.corrupted_mask(mask, noise.parse("l2"), 0, "slice")
    assert found.sum() == pytest.approx(np.pi * 27 * 37, rel=0.02)
    assert found[70, 90 - 37] == found[70, 90 + 37] == found[70 - 27, 90] == 1
    assert found[70, 90 - 38] == 0


def test_levels_turn_about_the_middle_and_empty_what_is_small(monkeypatch):
    mask = disc(12, centre=(72, 110))
    monkeypatch.setattr(noise.seeding, "generator", lambda *_: Drawn(20, (0.8, 0.0, 0.9)))
    found = np.argwhere(noise.corrupted_mask(mask, noise.parse("l1"), 0, "slice")).mean(0)
    angle = np.deg2rad(20)  # counter-clockwise: to the top
    assert found == pytest.approx([71.5 - 38.5 * np.sin(angle), 71.5 + 38.5 * np.cos(angle)], abs=1)
    assert 300 >= disc(9).sum() > 0
    assert noise.corrupted_mask(disc(9), noise.parse("l3"), 0, "slice").sum() == 0


def test_borders_move_by_pixels_and_masks_shift():
    grown = noise.corrupted_mask(disc(20), noise.parse("dilate:5"), 0, "slice")
    assert grown.sum() == pytest.approx(np.pi * 25**2, rel=0.02)
    shrunk = noise.corrupted_mask(disc(20), noise.parse("erode:5"), 0, "slice")
    assert shrunk.sum() == pytest.approx(np.pi * 15**2, rel=0.03)
    assert noise.corrupted_mask(np.ones((9, 9), np.uint8), noise.parse("erode:2"), 0, "slice").sum() == 25
    moved = noise.corrupted_mask(disc(20), noise.parse("shift:10"), 0, "slice")
    assert moved.sum() == disc(20).sum()
    assert np.linalg.norm(np.argwhere(moved).mean(0) - np.argwhere(disc(20)).mean(0)) == pytest.approx(10, abs=0.8)
    assert noise.corrupted_mask(disc(20), noise.parse("shift:500"), 0, "slice").sum() == 0


def test_every_mask_follows_from_seed_and_slice_and_classes_keep_their_own_shapes():
    two = disc(25)
    two[disc(8, centre=(70, 80)) > 0] = 2
    level = noise.parse("l2")
    found = {(s, n): noise.corrupted_mask(two, level, s, n) for s, n in itertools.product((0, 1), ("a/000", "a/001"))}
    assert np.array_equal(found[0, "a/000"], noise.corrupted_mask(two, level, 0, "a/000"))
    assert len({mask.tobytes() for mask in found.values()}) == 4
    grown = noise.corrupted_mask(two, noise.parse("dilate:3"), 0, "a")
    assert (grown == 2).sum() == pytest.approx(np.pi * 11**2, rel=0.07)  # class 2 isn't eaten by class 1 around it
    assert set(np.unique(grown)) == {0, 1, 2}


def test_the_levels_come_near_the_papers_dice_on_phantoms():
    """Tables 5 and 6 have .4148, .6206 and .8031 of PROMISE12; sizes of slices don't matter much."""
    for size, cases in ((144, 10), (48, 20)):
        slices = segmentation.load("phantoms", num_cases=(cases, 0, 1), image_size=size).train
        for level, paper in noise.PAPER_DICE.items():
            given = slices.with_masks(noise.corrupted(slices, noise.parse(level), seed=0))
            assert noise.dice_of_given(given) == pytest.approx(paper, abs=0.05), (size, level)


@pytest.mark.parametrize("text", ["l4", "none:1", "dilate", "erode:", "shift:x", "dilate:-1", "l1:0", "l2:nan", ""])
def test_unknown_noise_is_refused(text):
    with pytest.raises(ValueError, match=r"no noise of masks .* possible are none, l1"):
        noise.parse(text)
