"""MentorNet DD: learned at the right steps, from the trusted labels alone; a run resumes across it bit for bit."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from data import pipeline
from data.image_dataset import Split
from data.labels import DiagnosticLabels, NoisyLabels
from flags.build import curricula as data_driven
from flags.define.spade_flags import MethodConfig
from mentornet import methods
from mentornet.curricula.experts import SparseMixture
from mentornet.curricula.learned import LearnedCurriculum, load, save
from mentornet.learning import updates as learning_updates
from mentornet.learning.dump import LossDump
from mentornet.learning.trainer import LearningSettings
from mentornet.learning.updates import CurriculumUpdates, TrustedSamples
from mentornet.network import NetworkConfig, build
from mentornet.training.evaluation import SampleOutputs, sample_outputs
from tests import processes, script_runs


def test_update_steps_are_the_first_at_or_behind_their_percent():
    trusted = TrustedSamples(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    assert CurriculumUpdates(trusted, (21, 75)).steps(39_000) == [8_190, 29_250]
    assert CurriculumUpdates(trusted, (21, 75)).steps(2_401) == [505, 1_801]
    with pytest.raises(ValueError, match="must increase"):
        CurriculumUpdates(trusted, (75, 21))


def test_only_the_trusted_true_labels_are_used(monkeypatch):
    """Every other true label may be anything: what reaches the learning is the same to the bit."""
    rng = np.random.default_rng(0)
    n, k = 200, 40
    images = rng.integers(0, 256, (n, 4, 4, 1)).astype(np.uint8)
    true, given = rng.integers(0, 3, (2, n)).astype(np.int32)
    train = Split(images, true, np.arange(1000, 1000 + n, dtype=np.int64))
    config = MethodConfig("spade", "mentornet_dd", None, {}, (21, 75), k)
    chosen = data_driven.trusted_positions(train, k, seed=3)
    others = np.setdiff1d(np.arange(n), chosen)
    scrambled = true.copy()
    scrambled[others] = (scrambled[others] + 1) % 3
    student = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    learned_from, networks = [], iter([build(NetworkConfig(fixed_label=0), seed=number) for number in range(2)])

    def learn(dump: LossDump, *arguments, **options):
        learned_from.append(dump)
        return next(networks), {"percentile": 60}

    monkeypatch.setattr(learning_updates, "learn_from_dump", learn)

    def reach(clean: np.ndarray) -> CurriculumUpdates:
        noisy = NoisyLabels(given, DiagnosticLabels(clean), "uniform", 0.4, 0)
        updates = data_driven.updates(config, train, noisy, seed=3)
        curriculum = LearnedCurriculum(build(NetworkConfig(fixed_label=0), seed=5), name="mentornet_dd")
        spade = methods.Spade(student, curriculum, max_steps=100, updates=updates)
        spade.step.assign(21)
        assert spade.look(spade.next_stage(1), TrainingSet(images, given))
        return updates

    first, second = reach(true).trusted, reach(scrambled).trusted
    assert len(first.index) == k
    np.testing.assert_array_equal(first.positions, chosen)
    np.testing.assert_array_equal(first.index, train.ids[chosen])
    np.testing.assert_array_equal(first.clean, true[chosen])
    one, two = learned_from
    np.testing.assert_array_equal(one.sample, train.ids[chosen])
    np.testing.assert_array_equal(one.noisy, given[chosen])
    np.testing.assert_array_equal(one.clean, true[chosen])
    np.testing.assert_array_equal(one.epoch, 21)
    for name in ("sample", "epoch", "noisy", "clean", "loss"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    for name in ("positions", "index", "clean"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


class TrainingSet:
    """What a method may look at, without a run around it."""

    folder = None

    def __init__(self, images: np.ndarray, given: np.ndarray) -> None:
        self.images, self.given = images, given

    def outputs(self, network: keras.Model, positions: np.ndarray) -> SampleOutputs:
        shown = pipeline.evaluation_batches(
            self.images[positions], self.given[positions], 128, pipeline.AUGMENTATIONS["none"]
        )
        return sample_outputs(network, shown)


def test_an_update_separates_by_the_present_students_losses(tmp_path):
    """A student that knows the classes: after the update small losses get large weights and large ones small."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 400).astype(np.int32)
    image = np.where(label[:, None] == 1, 3.0, -3.0).astype(np.float32)
    wrong = rng.random(400) < 0.4
    given = np.where(wrong, 1 - label, label).astype(np.int32)
    inputs = keras.Input((1,))
    dense = keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant([[-1.0, 1.0]]))
    student = keras.Model(inputs, dense(inputs))
    curriculum = LearnedCurriculum(build(NetworkConfig(fixed_label=0), seed=5), name="mentornet_dd")
    updates = CurriculumUpdates(
        TrustedSamples(np.arange(400), np.arange(400), label),
        percents=(21,),
        percentiles=(50, 75),
        learning=LearningSettings(steps=2000, objective="cross_entropy", block_steps=500),
    )
    spade = methods.Spade(
        student, curriculum, max_steps=100, burn_in_epoch=21, fixed_epoch_after_burn_in=True, updates=updates
    )

    def outputs(network: keras.Model, positions: np.ndarray) -> SampleOutputs:
        shown = {"image": image[positions], "label": given[positions]}
        return sample_outputs(network, tf.data.Dataset.from_tensor_slices(shown).batch(128))

    first, second = spade.next_stage(0), spade.next_stage(1)
    assert (first.steps, second.steps, spade.next_stage(2)) == (21, 79, None)
    training = SimpleNamespace(outputs=outputs, folder=tmp_path)
    before = spade.learned_network().get_weights()
    assert spade.look(first, training) is False  # nothing to learn from yet
    for variable, value in zip(spade.learned_network().get_weights(), before, strict=True):
        np.testing.assert_array_equal(variable, value)
    spade.step.assign(21)
    assert spade.look(second, training) is True
    losses = np.log1p(np.exp(np.where(wrong, 6.0, -6.0))).astype(np.float32)
    spade.loss_percentile.assign(np.percentile(losses, 100 * float(spade.percentiles[21])))
    weights = spade.curriculum(
        tf.constant(losses), tf.constant(losses) - spade.loss_percentile, tf.constant(given), tf.constant(21)
    ).numpy()
    assert weights[~wrong].min() > 0.9
    assert weights[wrong].max() < 0.1
    assert float(spade.percentiles[0]) in (np.float32(0.5), np.float32(0.75))
    kept = load(tmp_path / "curricula" / "step_000021").network.get_weights()
    for variable, value in zip(spade.learned_network().get_weights(), kept, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_formula_cannot_be_updated():
    student = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="is a formula"):
        methods.Spade(student, "self_paced", max_steps=10).learned_network()


@pytest.mark.slow
def test_a_run_killed_behind_an_update_resumes_across_it(tmp_path):
    flags = [
        *("--dataset_name=digits", "--studentnet=small_cnn", "--noise_type=uniform", "--noise_fraction=0.4"),
        *("--curriculum=mentornet_dd", "--mentor_examples=200", "--mentor_steps=500", "--batch_size=64"),
        *("--max_number_of_steps=80", "--eval_every_steps=20"),
    ]

    def command(folder: Path) -> list[str]:
        return script_runs.command("train_cifar.py", *flags, f"--train_log_dir={folder}")

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = script_runs.here("train_cifar.py", *command(whole)[2:])
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (whole / "curricula").iterdir()) == ["step_000017", "step_000060"]

    behind_the_first_update = killed / "checkpoints" / "ckpt-20.index"  # the update came at step 17
    assert processes.kill_when(behind_the_first_update.exists, command(killed)) == -signal.SIGKILL
    again = script_runs.here("train_cifar.py", *command(killed)[2:])
    assert again.returncode == 0, again.stderr
    assert "continuing from step" in again.stdout + again.stderr
    assert (killed / "samples.csv").read_bytes() == (whole / "samples.csv").read_bytes()
    for step in ("step_000017", "step_000060"):
        one, two = (load(folder / "curricula" / step).network.get_weights() for folder in (whole, killed))
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
    cards = [json.loads((folder / "curricula/step_000060/card.json").read_text()) for folder in (whole, killed)]
    assert cards[0]["percentile"] == cards[1]["percentile"]


def test_updates_of_what_is_no_single_mentornet_are_refused_before_training(tmp_path):
    save(SparseMixture([build(NetworkConfig(fixed_label=0))], 1), tmp_path / "mixture", {})
    for name in ("self_paced", str(tmp_path / "mixture")):
        with pytest.raises(ValueError, match=f"learns a single MentorNet anew, and --curriculum={name} is none"):
            data_driven.curriculum(MethodConfig("spade", name, None, {}, (21, 75), 10), 10, seed=0)


def test_a_mentornet_of_fewer_classes_is_refused_unless_its_label_is_fixed(tmp_path):
    save(build(NetworkConfig(label_rows=2)), tmp_path / "two", {"name": "two"})
    config = MethodConfig("spade", str(tmp_path / "two"), None, {})
    with pytest.raises(ValueError, match="learned with 2 classes and this data set has 10: give --fixed_label=0"):
        data_driven.curriculum(config, 10, seed=0)
    assert data_driven.curriculum(config, 2, seed=0).name == "two"
    carried = data_driven.curriculum(MethodConfig("spade", str(tmp_path / "two"), 0, {}), 10, seed=0)
    assert carried.network.config.fixed_label == 0
