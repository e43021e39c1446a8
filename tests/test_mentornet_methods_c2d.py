"""C2D: when each network is asked, its history and safe threshold, the clipped warm-up, what is passed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from flags.build import first_run
from mentornet import methods
from mentornet.methods import mixing
from mentornet.options import RunFacts
from mentornet.runs.workdir import Workdir
from mentornet.stages import Stage
from mentornet.training.optimizers import MomentumSGD
from tests.test_mentornet_methods_dividemix import (
    CLASSES,
    DECAY,
    ORDER,
    RATE,
    InNumPy,
    N,
    at,
    mix_batch,
    slopes,
    student,
)
from tests.test_mentornet_methods_semi_supervised import LOW_FIRST, LOW_LAST, Training


def c2d(**settings) -> methods.NoisyLabelMethod:
    own = {"num_epochs": 6, "batch_size": 3, "warmup_epochs": 2, "lambda_u": 5.0, "weight_decay": DECAY}
    method = methods.C2D([student("a"), student("bb")], num_examples=N, **own | settings)
    method.compile(MomentumSGD(RATE, 0.9))
    method.build_optimizers()
    return method


@pytest.mark.parametrize(("history", "asked"), [(1, "bb a bb a"), (2, "a bb a bb a bb a")])
def test_each_network_is_asked_before_the_other_one_trains(history, asked):
    """With a history from the first epoch on, but for the second network before it has trained at all."""
    training, method = Training({"a": LOW_FIRST, "bb": LOW_LAST}), c2d(loss_history=history)
    for done in range(8):
        stage = method.next_stage(done)
        before = method.clean.numpy()
        method.look(stage, training)
        turn = done % 2
        if stage.kind[0] == "mix":
            losses = (LOW_LAST, LOW_FIRST)[turn]
            np.testing.assert_array_equal(method.streams(stage)["labelled"].positions, losses < 1)
            np.testing.assert_array_equal(method.clean.numpy()[1 - turn], before[1 - turn])
    assert training.asked == asked.split()


def test_losses_are_remembered_from_the_warm_up_on():
    method, rng = c2d(loss_history=3), np.random.default_rng(0)
    of_a = []
    for done in range(8):
        of_a.append(rng.random(N).astype(np.float32))
        of_a[-1] = (of_a[-1] - of_a[-1].min()) / np.ptp(of_a[-1])
        method.look(method.next_stage(done), Training({"a": of_a[-1], "bb": LOW_LAST}))
    np.testing.assert_allclose(method.loss_table.numpy()[0].mean(axis=0), np.mean(of_a[3::2], axis=0), rtol=1e-5)


@pytest.mark.parametrize("clean", [np.linspace(0.1, 0.9, N), np.linspace(0.001, 0.01, N), np.full(N, 0.5)])
def test_the_threshold_moves_just_inside_the_probabilities(clean):
    method = c2d()
    method.clean.assign(np.stack([clean, clean]).astype(np.float32))
    kept = method.kept_labels(0)
    assert 0 < kept.sum() < N
    if clean[0] > 0.03:
        assert kept.sum() == N - 1  # all but the least


def test_the_warm_up_clips_the_gradient_before_the_decay():
    method = c2d(warmup_clip_norm=0.2)
    method.enter(Stage(("warm-up", 0), 0, epoch=0))
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(6, 2, 2, 1)).astype(np.float32), np.array([0, 1, 2, 0, 1, 1], np.int32)
    own = InNumPy(method).weights[0]

    def cross_entropy(weights: list[np.ndarray]) -> float:
        p = InNumPy.predict(weights, images.astype(np.float64))
        return float(-np.log(p[np.arange(6), labels]).mean())

    gradient = slopes(cross_entropy, own)
    norm = np.sqrt(sum((g**2).sum() for g in gradient))
    assert norm > 0.2
    method.train_step({"image": tf.constant(images), "label": tf.constant(labels), "index": tf.range(6)})
    for found, w, g in zip(method.networks[0].get_weights(), own, gradient, strict=True):
        np.testing.assert_allclose(found, w - RATE * (0.2 / norm * g + DECAY * w), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("lambda_u", "passed"), [(0.0, 6), (5.0, 12)])
def test_without_a_loss_on_guesses_only_labelled_rows_are_passed(lambda_u, passed, monkeypatch):
    monkeypatch.setattr(mixing, "permutation", lambda *_: tf.constant(ORDER))
    seen, plain = [], mixing.semi_supervised
    monkeypatch.setattr(mixing, "semi_supervised", lambda t, *rest: seen.append(t.shape) or plain(t, *rest))
    method = c2d(lambda_u=lambda_u)
    at(method, 0, 5, first=0, step=0, length=1)
    method.train_step(mix_batch())
    assert seen == [(passed, CLASSES)]


def test_both_networks_start_with_the_features_and_a_dense_layer_of_their_own():
    networks, pretrained = [student(name, batch_norm=True) for name in ("a", "bb")], student("ccc", batch_norm=True)
    pretrained.layers[2].moving_mean.assign([1.0, 2.0, 3.0, 4.0])
    before = [network.layers[-1].get_weights() for network in networks]
    methods.C2D(networks, num_examples=N, num_epochs=9, pretrained=pretrained)
    for network, head in zip(networks, before, strict=True):
        np.testing.assert_array_equal(network.layers[2].moving_mean, [1, 2, 3, 4])
        np.testing.assert_array_equal(network.layers[-1].get_weights()[0], head[0])
    with pytest.raises(ValueError, match="another network"):
        methods.C2D([student("a"), student("bb")], num_examples=N, num_epochs=9, pretrained=pretrained)


def test_a_run_says_what_it_starts_from():
    with pytest.raises(ValueError, match="give its folder as --pretrained_run"):
        methods.C2D.check_options({}, RunFacts(None, num_epochs=10))
    methods.C2D.check_options({"pretrained_run": "none"}, RunFacts(None, num_epochs=10))


def test_a_start_from_two_networks_is_refused(tmp_path):
    workdir = Workdir(tmp_path / "pair")
    workdir.claim("", {"method": "dividemix"})
    workdir.result_file.write_text("{}")
    with pytest.raises(ValueError, match="a run of --method=dividemix, which has two networks: give one of"):
        first_run.pretrained(str(tmp_path / "pair"))
