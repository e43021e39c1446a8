"""What selecting methods share: the smallest of several, label precision by hand, options, and refusals."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from mentornet import methods
from mentornet.methods.selection import LabelPrecision, smallest
from tests.selection_oracles import peers
from tests.spade_oracles import linear_student, make_batch, run

SELECTING = ("small_loss", "co_teaching", "co_teaching_plus", "decoupling")


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, [0, 0, 0, 0, 0]), (1, [0, 1, 0, 0, 0]), (2, [1, 1, 0, 0, 0]), (4, [1, 1, 0, 1, 1]), (9, [1, 1, 1, 1, 1])],
)
def test_the_earlier_of_two_alike_is_the_smaller(count, expected):
    losses = tf.constant([2.0, 1.0, math.inf, 2.0, 3.0])
    np.testing.assert_array_equal(smallest(losses, tf.constant(count)), np.array(expected, np.float32))


def test_no_gradient_flows_through_a_choice():
    losses = tf.Variable([2.0, 1.0])
    with tf.GradientTape() as tape:
        chosen = tf.reduce_sum(smallest(losses, tf.constant(1)) * tf.constant([1.0, 2.0]))
    assert tape.gradient(chosen, losses) is None


def test_label_precision_of_a_hand_made_case():
    """First network: 2 of 3, then 0 of 1, then nothing chosen: the mean of 2/3 and 0. Second: 1, 1/2, 1/4."""
    metric = LabelPrecision(peers=2)
    batches = [
        ([[1, 1, 1, 0], [0, 1, 0, 0]], [True, True, False, True]),
        ([[0, 0, 1, 0], [1, 0, 1, 0]], [True, True, False, False]),
        ([[0, 0, 0, 0], [1, 1, 1, 1]], [False, False, False, True]),
    ]
    for chosen, is_clean in batches:
        metric.update_state(tf.constant(chosen, tf.float32), tf.constant(is_clean))
    found = metric.result()
    assert list(found) == ["label_precision_peer_1", "label_precision_peer_2"]
    assert float(found["label_precision_peer_1"]) == pytest.approx((2 / 3 + 0) / 2)
    assert float(found["label_precision_peer_2"]) == pytest.approx((1 + 1 / 2 + 1 / 4) / 3)
    metric.reset_state()
    assert all(math.isnan(value) for value in metric.result().values())  # nothing chosen yet
    metric.clean_known = False
    metric.update_state(tf.ones([2, 4]), tf.ones([4], tf.bool))
    assert all(math.isnan(value) for value in metric.result().values())
    assert LabelPrecision.columns(1) == ("label_precision",)


@pytest.mark.parametrize("name", SELECTING)
def test_every_network_has_columns_of_its_own(name):
    several = methods.get(name).peers > 1
    columns = methods.get(name).metric_columns()
    expected = {"label_precision_peer_1", "label_precision_peer_2"} if several else {"label_precision"}
    if several:
        expected |= {"eval_accuracy_peer_1", "eval_accuracy_peer_2", "eval_accuracy_peer_mean"}
    assert set(columns) == expected
    assert len(set(columns)) == len(columns)
    method = methods.get(name)(peers() if several else linear_student(), max_steps=3)
    run(method, make_batch())
    assert set(method.report()) == {column for column in expected if column.startswith("label_precision")}


@pytest.mark.parametrize("name", SELECTING)
def test_batches_that_say_nothing_of_clean_labels(name):
    batch = {key: value for key, value in make_batch().items() if key != "is_clean"}
    method = methods.get(name)(peers() if methods.get(name).peers > 1 else linear_student(), max_steps=3)
    log = run(method, batch)[0]
    assert np.isfinite(log["raw_loss"])
    assert all(math.isnan(value) for value in method.report().values())


def test_evaluation_tells_the_networks_apart():
    """The accuracy of each, their mean, and that of the ensemble, whose logits are the mean, by NumPy."""
    batch = make_batch(size=200)
    networks = peers(seed=5, scale=1.0)
    method = methods.get("co_teaching")(networks, max_steps=3)
    method.compile()
    data = {"image": batch["image"], "label": batch["label"]}
    found = method.evaluate(tf.data.Dataset.from_tensor_slices(data).batch(64), verbose=0, return_dict=True)
    x = batch["image"].reshape(200, -1)
    logits = [x @ kernel + bias for kernel, bias in (network.get_weights() for network in networks)]
    each = [(z.argmax(axis=1) == batch["label"]).mean() for z in logits]
    mean = np.mean(logits, axis=0)
    assert each[0] != each[1]
    assert found["accuracy_peer_1"] == pytest.approx(each[0])
    assert found["accuracy_peer_2"] == pytest.approx(each[1])
    assert found["accuracy"] == pytest.approx((mean.argmax(axis=1) == batch["label"]).mean())
    results = method.task.results()
    assert results["accuracy_peer_mean"] == pytest.approx(np.mean(each))
    loss = np.log(np.exp(mean).sum(axis=1)) - mean[np.arange(200), batch["label"]]
    assert results["loss"] == pytest.approx(loss.mean(), rel=1e-5)
    np.testing.assert_allclose(method.student(batch["image"]), mean, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "given", "noise", "expected"),
    [
        ("co_teaching", {}, 0.45, {"keep_schedule": "co_teaching:tau=0.45"}),
        ("co_teaching", {"divide_twice": True}, 0.2, {"keep_schedule": "co_teaching:tau=0.2,release=1"}),
        ("small_loss", {"keep_schedule": "constant:0.7"}, None, {"keep_schedule": "constant:0.7"}),
        ("decoupling", {"agreement_steps": 3}, None, {"agreement_steps": 3}),
    ],
)
def test_the_schedule_follows_the_injected_noise(name, given, noise, expected):
    data = SimpleNamespace(steps_per_epoch=7, noise_fraction=noise)
    made = methods.get(name).prepared(given, data)
    assert made == {**given, "steps_per_epoch": 7, **expected}
    kind = methods.get(name)
    assert kind(peers() if kind.peers > 1 else linear_student(), max_steps=70, **made).steps_per_epoch == 7


def test_unknown_noise_needs_a_schedule():
    data = SimpleNamespace(steps_per_epoch=7, noise_fraction=None)
    with pytest.raises(ValueError, match=r"share of wrong labels is not known: give --keep_schedule=co_teaching:tau"):
        methods.get("co_teaching").prepared({}, data)


@pytest.mark.parametrize("name", SELECTING)
def test_wrong_settings_are_refused(name):
    def students():
        return peers() if methods.get(name).peers > 1 else linear_student()

    with pytest.raises(ValueError, match="steps_per_epoch=0 must be at least 1"):
        methods.get(name)(students(), max_steps=3, steps_per_epoch=0)
    with pytest.raises(ValueError, match="keep_schedule='half'"):
        methods.get(name)(students(), max_steps=3, keep_schedule="half")
