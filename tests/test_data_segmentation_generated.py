"""Phantoms and simulated brains: sizes, seeds, classes, and that nothing is downloaded; what load refuses."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from scipy import ndimage

from data import segmentation
from data.segmentation import phantoms, scanner


def test_phantoms_follow_from_the_seed_and_are_volumes():
    data = segmentation.load("phantoms", num_cases=(3, 1, 2), num_slices=8, image_size=48, mask_noise="l2", seed=3)
    again = segmentation.load("phantoms", num_cases=(2, 1, 2), num_slices=8, image_size=48, mask_noise="l2", seed=3)
    other = segmentation.load("phantoms", num_cases=(1, 0, 1), num_slices=8, image_size=48, seed=4)
    fewer = len(again.train)
    assert np.array_equal(data.train.images[:fewer], again.train.images)  # a case doesn't depend on how many there are
    assert np.array_equal(data.train.masks[:fewer], again.train.masks)
    assert not np.array_equal(data.train.images[:6], other.train.images[:6])
    assert other.clean is None
    assert data.image_shape == (48, 48, 1)
    assert data.class_names == ("background", "organ")
    assert set(data.train.cases) == {"train00", "train01", "train02"}
    assert set(data.clean.cases) == {"clean00"}
    assert data.notes[-1].startswith("The given masks of the training cases have a Dice of 0.")
    for slices in (data.train, data.clean, data.test):
        assert len(set(slices.names)) == len(slices)
        for case, volume in slices.volumes.items():
            own = np.array(slices.cases) == case
            assert volume.shape == (own.sum(), 48, 48)
            assert 6 <= own.sum() <= 8
            assert slices.slices[own].tolist() == list(range(own.sum()))
            assert np.array_equal(volume.mask, slices.true_masks[own])
            assert ndimage.label(volume.mask)[1] == 1  # one organ
            assert 0.02 < volume.mask.mean() < 0.25
    assert np.array_equal(data.test.masks, data.test.true_masks)
    assert not np.array_equal(data.train.masks, data.train.true_masks)


def test_a_phantom_is_what_its_head_says():
    """The organ is brighter than what is around it, borders are mixtures, and no slice is out of scale."""
    slices = phantoms.cases([f"p{n}" for n in range(6)], size=144, num_slices=12, seed=0)
    images, masks = slices.images[..., 0].astype(float), slices.masks > 0
    inside = np.array([ndimage.binary_erosion(mask, iterations=3) for mask in masks])
    around = np.array(
        [ndimage.binary_dilation(m, iterations=6) & ~ndimage.binary_dilation(m, iterations=3) for m in masks]
    )
    large = [i for i in range(len(masks)) if inside[i].any()]
    difference = [images[i][inside[i]].mean() - images[i][around[i]].mean() for i in large]
    assert np.mean(np.array(difference) > 0) > 0.9
    # It takes more than a threshold: the best one for each slice stays far from the truth.
    best = []
    for i in large:
        found = [images[i] > t for t in range(40, 220, 5)]
        best.append(max(2 * (f & masks[i]).sum() / (f.sum() + masks[i].sum()) for f in found))
    assert np.mean(best) < 0.8
    assert images.min(axis=(1, 2)).max() == 0
    assert images.max(axis=(1, 2)).min() == 255


def test_stretching_to_bytes():
    values = np.array([[[-2.0, 0.0], [1.0, 2.0]], [[5.0, 5.0], [5.0, 5.0]]])
    assert scanner.to_bytes(values).tolist() == [[[0, 128], [191, 255]], [[0, 0], [0, 0]]]


def test_brains_are_the_template_bent_and_nothing_is_downloaded(monkeypatch):
    pytest.importorskip("nilearn")

    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    options = {"num_slices": 6, "image_size": 64, "structures": "grey_and_white_matter"}
    data = segmentation.load("brain_template", num_cases=(3, 0, 1), **options)
    again = segmentation.load("brain_template", num_cases=(1, 0, 1), **options)
    assert np.array_equal(data.train.images[:6], again.train.images)
    assert [case.partition("-")[2] for case in data.train.volumes] == ["axial", "coronal", "sagittal"]
    assert data.class_names == ("background", "grey matter", "white matter")
    assert all(volume.shape == (6, 64, 64) for volume in data.train.volumes.values())
    for image, mask in zip(data.train.images[..., 0], data.train.masks, strict=True):
        means = [image[mask == c].mean() for c in range(3)]
        assert means[0] < means[1] < means[2]  # of a T1 image
    axial = data.train.masks[:6] > 0
    assert (axial & axial[..., ::-1]).sum() / axial.sum() > 0.75  # left and right are alike


def test_options_of_other_sets_and_impossible_ones_are_refused(tmp_path):
    for options, what in (
        ({"name": "ct"}, "no segmentation data set; there are promise12"),
        (
            {"name": "mask_folder", "num_slices": 3},
            "num_slices is for phantoms and brain_template, not for mask_folder",
        ),
        ({"name": "phantoms", "num_cases": (1, 1, 0)}, "three numbers"),
        ({"name": "phantoms", "image_size": 8}, "at least 16"),
        ({"name": "phantoms", "num_slices": 1}, "at least 4 slices"),
        ({"name": "phantoms", "image_size": 10_000}, "1 to 2048"),
        ({"name": "brain_template", "structures": "bone"}, "possible are grey_matter"),
        ({"name": "promise12"}, "needs its --data_dir.*prepare_promise12"),
        ({"name": "promise12", "data_dir": tmp_path}, "is no prepared folder; first run: python scripts/prepare"),
        ({"name": "mask_folder"}, "needs its --data_dir"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=what):
            segmentation.load(**options)
