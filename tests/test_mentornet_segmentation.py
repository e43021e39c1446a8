"""A class a pixel: L2B and L2RW against NumPy and double backpropagation, views, Dice, streams of masks."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from scipy import ndimage

import mentornet
import student_nets
from data import mask_streams
from mentornet import segmentation_metrics
from mentornet.methods import mask_views
from mentornet.segmentation import Segmentation
from mentornet.stages import Stream
from mentornet.training.optimizers import MomentumSGD
from student_nets.layers import BackgroundLogit

B, SIDE, CHANNELS, RATE = 3, 4, 2, 0.5


def batch(seed=0, side=SIDE, channels=CHANNELS):
    rng = np.random.default_rng(seed)
    masks = rng.integers(0, 2, (2, B, side, side)).astype(np.int32)
    images = rng.normal(size=(2, B, side, side, channels)).astype(np.float32)
    return {
        "image": images[0],
        "label": masks[0],
        "index": np.arange(B, dtype=np.int32),
        "is_clean": rng.random((B, side, side)) < 0.7,
        "clean_image": images[1],
        "clean_label": masks[1],
    }


def tensors(arrays):
    return {name: tf.constant(value) for name, value in arrays.items()}


def linear_student():
    """One logit a pixel, w . x + b, as two classes."""
    image = keras.Input((SIDE, SIDE, CHANNELS))
    logit = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=3))(image)
    return keras.Model(image, BackgroundLogit()(logit))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def numpy_step(arrays, weight, bias, both, clip):
    """One step on binary cross-entropies with weights of pixels, written out; also the weights."""
    x = arrays["image"].reshape(-1, CHANNELS).astype(np.float64)
    y = arrays["label"].ravel()
    clean_x, clean_y = arrays["clean_image"].reshape(-1, CHANNELS), arrays["clean_label"].ravel()
    p, clean_p = sigmoid(x @ weight + bias), sigmoid(clean_x @ weight + bias)
    clean = np.append((clean_p - clean_y) @ clean_x, (clean_p - clean_y).sum()) / len(clean_y)
    features = np.c_[x, np.ones(len(x))]
    pseudo = (p > 0.5).astype(int)
    residuals = np.stack([p - y, p - pseudo] if both else [p - y])
    scores = np.maximum(residuals * (features @ clean), 0)
    weights = scores / scores.sum()
    gradient = (weights * residuals).sum(0) @ features
    gradient *= min(1.0, clip / np.linalg.norm(gradient))
    moved = np.append(weight, bias) - RATE * gradient
    return moved, weights


@pytest.mark.parametrize("method", ["l2b", "l2rw"])
def test_a_step_equals_one_written_out_pixel_by_pixel(method):
    both = method == "l2b"
    arrays, student = batch(), linear_student()
    kernel, bias = (value.numpy().ravel().astype(np.float64) for value in student.trainable_variables)
    own = {"clip_norm": 0.2, "lookahead": "none"} if both else {}
    model = mentornet.methods.get(method)(student, max_steps=1, num_examples=B, task=Segmentation([0, 0, 1]), **own)
    model.compile(optimizer=MomentumSGD(RATE))
    report = tf.function(model.train_step)(tensors(arrays))
    expected, weights = numpy_step(arrays, kernel, bias[0], both, 0.2 if both else np.inf)
    assert weights.sum() == pytest.approx(1.0)
    found = np.concatenate([value.numpy().ravel() for value in student.trainable_variables])
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)
    assert float(report["weight_sum"]) == pytest.approx(weights[0].sum() * B * SIDE**2, rel=1e-4)
    shown = (weights[0].reshape(B, -1) * B * SIDE**2).mean(1)
    np.testing.assert_allclose(model.weight_totals.numpy(), shown, rtol=1e-4)
    given = weights[0] * B * SIDE**2
    clean = arrays["is_clean"].ravel()
    pairs = np.sign(given[clean][:, None] - given[~clean])  # the histogram has 256 bins of 1/16
    assert float(report["weights_auc"]) == pytest.approx((pairs.mean() + 1) / 2, abs=0.06)


def test_products_of_a_u_net_equal_double_backpropagation():
    arrays = batch(side=16, channels=1)
    kept = []
    for how in ("forward", "double_backprop"):
        net = student_nets.get("unet_small", 1, input_shape=(16, 16, 1), seed=1)
        student = keras.Model(net.input, BackgroundLogit()(net.output))
        model = mentornet.methods.L2B(
            student, max_steps=5, task=Segmentation([0]), meta_gradient=how, clip_norm=0.2, clean_step=True
        )
        model.compile(optimizer=MomentumSGD(0.1))
        tf.function(model.train_step)(tensors(arrays))
        assert int(model.optimizer.iterations) == 1  # the clean step moves the student, not the schedule
        kept.append([value.numpy() for value in student.trainable_variables])
    for one, other in zip(*kept, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-6)


def test_the_softmax_of_a_logit_and_0_is_the_binary_cross_entropy():
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(2, 3, 3, 1)).astype(np.float32), rng.integers(0, 2, (2, 3, 3))
    found = Segmentation([0, 1]).losses(tf.constant(y), BackgroundLogit()(z)).numpy()
    p = sigmoid(z[..., 0])
    np.testing.assert_allclose(found, -(y * np.log(p) + (1 - y) * np.log(1 - p)), rtol=1e-5)


def test_views_are_bilinear_maps_about_the_centre_and_agree_where_they_see_the_same():
    rng = np.random.default_rng(2)
    scales = mask_views.drawn(seed=0, step=tf.constant(7))
    rows, columns = scales.rows.numpy(), scales.columns.numpy()
    assert rows[0] == columns[0] == 1.0
    assert rows[1] < 1.0 < min(rows[2], rows[3])
    assert min(rows[4], columns[4]) == -1.0
    assert {abs(rows[4]), abs(columns[4])} == {1.0}
    image = rng.random((2, 12, 16, 1)).astype(np.float32)
    found = mask_views.expanded(tf.constant(image), scales).numpy().reshape(2, 5, 12, 16)
    for view in range(5):
        y, x = np.meshgrid(
            5.5 + rows[view] * (np.arange(12) - 5.5), 7.5 + columns[view] * (np.arange(16) - 7.5), indexing="ij"
        )
        framed = np.pad(image[1, ..., 0], 1)  # outside is 0
        expected = ndimage.map_coordinates(framed, [y + 1, x + 1], order=1, mode="constant")
        np.testing.assert_allclose(found[1, view], expected, atol=2e-5)
    # A student that says the same of every view is believed: the pseudo labels are its mask, warped.
    mask = np.zeros((1, 24, 24), np.int32)
    mask[:, 8:15, 6:13] = 1
    views = mask_views.expanded(tf.constant(mask), scales, nearest=True)
    said = mask_views.agreed(tf.one_hot(views, 2) * 20.0, scales).numpy()
    assert np.mean(said == views.numpy()) > 0.98
    np.testing.assert_array_equal(said[0], mask[0])


def test_dice_by_slice_and_case_equal_the_metrics_of_arrays_and_rows_that_fill_up_do_not_count():
    rng = np.random.default_rng(3)
    target, cases = rng.integers(0, 3, (5, 6, 6)), np.array([0, 1, 1, 0, 1])
    target[3] = 0
    logits = rng.normal(size=(5, 6, 6, 3)).astype(np.float32)
    logits[3] = [9, 0, 0]
    task = Segmentation(cases, classes=3)
    padded = np.concatenate([target[3:], np.full((2, 6, 6), -1)])
    task.evaluate(tf.constant(target[:3]), tf.constant(logits[:3]), index=tf.constant([0, 1, 2]))
    more = np.concatenate([logits[3:], np.zeros((2, 6, 6, 3), np.float32)])
    task.evaluate(tf.constant(padded), tf.constant(more), index=tf.constant([3, 4, 0, 0]))
    predicted, found = logits.argmax(-1), task.results()
    by_case = [
        segmentation_metrics.of_case(predicted[cases == c], target[cases == c], (1, 1, 1), 3).mean["dice"]
        for c in (0, 1)
    ]
    assert found["dice_cases"] == pytest.approx(np.mean(by_case))
    by_slice = segmentation_metrics.dice_of_slices(predicted, target, 3)
    assert found["dice_slices"] == pytest.approx(by_slice.mean())
    assert found["accuracy"] == pytest.approx(np.mean(predicted == target))


def drawn_slices(n=6, side=20):
    """Slices whose pixels are their masks."""
    rng = np.random.default_rng(4)
    masks = np.stack([ndimage.gaussian_filter(rng.normal(size=(side, side)), 2) > 0 for _ in range(n)])
    return mask_streams.MaskSource(
        255 * masks[..., None].astype(np.uint8), masks.astype(np.uint8), 4, masks.astype(np.uint8)
    )


@pytest.mark.parametrize("shift_alone", [True, False])
def test_a_mask_rides_with_its_image_whatever_step_it_starts_at_and_whoever_shares_it(shift_alone):
    """Flips and shifts keep them equal to the pixel, rotation and zoom but for the border; shards are halves."""
    how = mask_streams.augmentation("slices_zoom")
    if shift_alone:
        how = mask_streams.SliceAugmentation(pad=3, flip=True, standardise="none")
    sources, streams = {"training": drawn_slices()}, {"given": Stream()}

    def steps(start, count, shard=(0, 1)):
        made = mask_streams.MaskStreams(sources, seed=5, augmentation=how, shard=shard)
        return [{k: v.numpy() for k, v in b.items()} for b in made.dataset(streams, start, count)]

    whole = steps(0, 6)
    moved = 0
    for found in whole:
        assert found["is_clean"].all()
        assert found["label"].dtype == np.int32
        agree = (found["image"][..., 0] > 0.5) == found["label"]
        assert agree.all() if shift_alone else agree.mean() > 0.97
        moved += np.mean(found["label"] != sources["training"].masks[found["index"]])
    assert moved > 0.3
    for one, other in zip(whole[3:], steps(3, 3), strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
    for one, first, second in zip(whole, steps(0, 6, (0, 2)), steps(0, 6, (1, 2)), strict=True):
        assert all(np.array_equal(one[name], np.concatenate([first[name], second[name]])) for name in one)
