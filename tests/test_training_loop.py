"""The loop over stages: a toy DivideMix, stopped anywhere and continued."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from data import pipeline
from data.augmentation import Augmentation
from data.streams import MemoryStreams, Source
from mentornet.runs.metrics_table import METRIC_COLUMNS
from mentornet.runs.workdir import Workdir
from mentornet.training import finishing, run
from mentornet.training.callbacks import IntervalRecorder
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.inputs import RunSettings, TrainingInputs
from mentornet.training.optimizers import MomentumSGD
from student_nets.layers import SeededDropout
from tests.script_runs import Stopped, assert_same_training, rows, stop_after
from tests.toy_methods import ToyMix

EXAMPLES, SIDE, CLASSES = 64, 8, 4
AUGMENTATION = Augmentation(pad=1, flip=True, standardise="per_image")


def samples() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of four patterns with noise, true labels, and given ones of which a third are wrong."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (CLASSES, SIDE, SIDE, 1))
    true = rng.integers(0, CLASSES, EXAMPLES).astype(np.int32)
    images = np.clip(patterns[true] + rng.normal(0, 20, (EXAMPLES, SIDE, SIDE, 1)), 0, 255).astype(np.uint8)
    given = np.where(rng.random(EXAMPLES) < 1 / 3, (true + 1) % CLASSES, true).astype(np.int32)
    return images, true, given


def memory_streams(seed: int = 3) -> MemoryStreams:
    images, true, given = samples()
    sources = {
        "training": Source(images, given, 16, given == true),
        "clean": Source(images[:20], true[:20], 4, what="clean images"),
    }
    return MemoryStreams(sources, seed=seed, augmentation=AUGMENTATION)


def inputs() -> TrainingInputs:
    images, true, given = samples()

    def ordered(positions: np.ndarray | None) -> tf.data.Dataset:
        chosen = np.arange(EXAMPLES) if positions is None else positions
        return pipeline.evaluation_batches(images[chosen], given[chosen], 20, AUGMENTATION)

    return TrainingInputs(
        streams=memory_streams(),
        evaluation=pipeline.evaluation_batches(images, true, 20, AUGMENTATION),
        ordered=ordered,
        given=given,
        clean=true,
        original_index=np.arange(EXAMPLES),
        class_names=list("abcd"),
        pictures=lambda positions: images[positions],
    )


@pytest.fixture(autouse=True)
def deterministic():
    """As the scripts have it; ``conftest`` takes it back."""
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """They have tests of their own."""
    monkeypatch.setattr(finishing.plots, "draw_run", lambda run: None)
    monkeypatch.setattr(finishing, "suspect_sheet", lambda *arguments, **options: None)


def tiny() -> keras.Model:
    """Moving averages, a counter of dropout masks, and quickly traced."""

    def start(seed: int) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=seed)

    image = keras.Input((SIDE, SIDE, 1))
    x = keras.layers.Dense(16, kernel_initializer=start(1), name="hidden")(keras.layers.Flatten()(image))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    x = SeededDropout(0.2, seed=2)(x)
    return keras.Model(image, keras.layers.Dense(CLASSES, kernel_initializer=start(3), name="logits")(x), name="tiny")


def toy(**own) -> ToyMix:
    return ToyMix(tiny(), **({"epochs": 4, "warmup_epochs": 2, "num_examples": EXAMPLES, "seed": 5} | own))


def train(method, folder, *, every: int = 3, **settings) -> dict:
    workdir = Workdir(folder, (*METRIC_COLUMNS, *type(method).metric_columns()))
    workdir.claim("", {})
    how = RunSettings(max_steps=method.max_steps, eval_every_steps=every, progress=False, **settings)
    facts = {"method": "toy", "dataset": "patterns"}
    return run.train(method, MomentumSGD(0.05, 0.9), inputs(), workdir, how, facts)


def column(folder, name: str) -> list[float]:
    return [float(row[name]) for row in rows(folder)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Uninterrupted runs, with rows by epochs and by steps: (folder, method, result)."""
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    found = {}
    for by_epoch in (True, False):
        folder, method = tmp_path_factory.mktemp("whole") / "run", toy(by_epoch=by_epoch)
        found[by_epoch] = (folder, method, train(method, folder, steps_per_execution=1))
    return found


def test_two_networks_take_turns_over_a_split_of_their_own(whole):
    folder, method, result = whole[True]
    split = [p.numpy() > 0.5 for p in method.clean]
    lengths = [chosen.sum() // 8 for chosen in split]
    assert all(0 < chosen.sum() < EXAMPLES for chosen in split)
    assert (split[0] != split[1]).any()
    counted = [int(student.optimizer.iterations) for student in method.students]
    assert sum(counted) == int(method.step) == result["steps"]
    # Of the last epoch the lengths are known: those of passes over what the other network takes for clean.
    steps = column(folder, "step")
    assert steps[3] - steps[2] == sum(lengths)
    assert abs(counted[0] - counted[1]) <= 4
    # Epochs: a row each, no other; percent of stages, not of steps.
    assert len(rows(folder)) == 4
    assert column(folder, "step")[:2] == [8, 16]  # four steps of 16 samples for each network
    assert column(folder, "step")[-1] == result["steps"]
    assert [percent // 25 for percent in column(folder, "epoch_percent")] == [0, 1, 2, 3]
    assert column(folder, "supposed_clean")[0] == 1
    assert column(folder, "supposed_clean")[-1] == pytest.approx(np.mean([chosen.mean() for chosen in split]))


def test_the_ensemble_is_what_predicts(whole):
    folder, method, result = whole[True]
    _, true, _ = samples()
    loaded = student_nets.load(folder / "student.keras")
    batch = next(iter(inputs().evaluation.unbatch().batch(EXAMPLES)))
    logits = [network(batch["image"]).numpy() for network in method.networks]
    mean = np.mean(logits, axis=0)
    np.testing.assert_allclose(loaded(batch["image"]), mean, atol=1e-5)
    last = rows(folder)[-1]
    each = [(z.argmax(axis=1) == true).mean() for z in logits]
    for name, expected in {
        "eval_accuracy": (mean.argmax(axis=1) == true).mean(),
        "eval_accuracy_peer_1": each[0],
        "eval_accuracy_peer_2": each[1],
        "eval_accuracy_peer_mean": np.mean(each),
    }.items():
        assert float(last[name]) == pytest.approx(expected), name
    assert result["accuracy_last"] == pytest.approx(float(last["eval_accuracy"]))
    trained = 2 * (65 * 16 + 2 * 16 + 17 * CLASSES)
    assert json.loads((folder / "result.json").read_text())["parameters"] == trained


def test_weights_are_recorded_in_the_last_stages(whole):
    """Less than ten stages in all: the last one counts as the last tenth."""
    for _, method, _ in whole.values():
        visits = method.weight_visits.numpy()
        chosen = method.clean[1].numpy() > 0.5
        assert visits[chosen].sum() == chosen.sum() // 8 * 8  # a pass leaves out what makes no whole batch
        assert visits.max() == 1
        assert (visits[~chosen] == 0).all()


def test_a_step_of_a_kind_is_traced_once_although_stages_return(whole):
    for _, method, _ in whole.values():
        kinds = {("warm", 0), ("warm", 1), ("mix", 0), ("mix", 1)}
        assert {kind: method.traced[kind] for kind in kinds} == dict.fromkeys(kinds, 1)
        assert method.traced["look"] == 2


def test_steps_that_run_several_at_a_call_are_traced_once(tmp_path):
    method = toy()
    result = train(method, tmp_path / "run", steps_per_execution=10)
    steps = {method.stage.kind: method.train_tf_function}
    steps |= {kind: function for kind, (_, function) in method._compiled_steps().items() if kind not in steps}
    counts = {kind: function.experimental_get_tracing_count() for kind, function in steps.items() if function}
    assert counts == dict.fromkeys([("warm", 0), ("warm", 1), ("mix", 0), ("mix", 1)], 1)
    assert result["steps"] == int(method.step)


def test_how_many_steps_run_at_a_call_changes_nothing(whole, tmp_path):
    train(toy(), tmp_path / "run", steps_per_execution=10)
    assert_same_training(tmp_path / "run", whole[True][0])


def checkpoints_of(folder) -> list[int]:
    return sorted(int(file.stem.removeprefix("ckpt-")) for file in (folder / "checkpoints").glob("*.index"))


@pytest.mark.parametrize("by_epoch", [True, False])
def test_a_run_stopped_behind_any_checkpoint_ends_like_an_uninterrupted_one(by_epoch, whole, tmp_path, monkeypatch):
    """Stopped twice or three times: behind a look, at the end, and with rows by steps within stages."""
    folder, stopped = whole[by_epoch][0], tmp_path / "stopped"
    saved = []
    with monkeypatch.context() as patch:
        real = Checkpoints.save

        def noted(self) -> None:
            real(self)
            saved.append((int(self.method.step), self.stages_done, self.looked))

        patch.setattr(Checkpoints, "save", noted)
        train(toy(by_epoch=by_epoch), tmp_path / "noted")
    starts = {4, 8, 12, 16}
    assert any(step not in starts and step < 16 for step, _, _ in saved) == (not by_epoch)  # within stages
    assert sum(looked and done == 4 and step == 16 for step, done, looked in saved) == 1  # behind the first look
    for step in (16, saved[-1][0]) if by_epoch else (6, 16, 21):
        assert step in {step for step, _, _ in saved}
        with monkeypatch.context() as patch:
            stop_after(step, patch)
            with pytest.raises(Stopped):
                train(toy(by_epoch=by_epoch), stopped)
    train(toy(by_epoch=by_epoch), stopped)
    assert_same_training(stopped, folder)


@pytest.mark.parametrize("step", [2, 15, 21])
def test_a_run_stopped_at_any_step_ends_like_an_uninterrupted_one(step, whole, tmp_path, monkeypatch):
    """No checkpoint is written there: what was done since the last one is done again."""
    stopped = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        real = IntervalRecorder.on_train_batch_end

        def stopping(self, batch, logs=None) -> None:
            real(self, batch, logs)
            if int(self.model.step) == step:
                raise Stopped

        patch.setattr(IntervalRecorder, "on_train_batch_end", stopping)
        with pytest.raises(Stopped):
            train(toy(), stopped, steps_per_execution=1)
    assert step not in checkpoints_of(stopped)
    again = toy()
    train(again, stopped, steps_per_execution=1)
    assert_same_training(stopped, whole[True][0])
    for one, two in zip(again.students, whole[True][1].students, strict=True):
        for a, b in zip(one.optimizer.variables, two.optimizer.variables, strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_interrupted_look_is_done_again(whole, tmp_path, monkeypatch):
    stopped = tmp_path / "stopped"
    with monkeypatch.context() as patch:

        def stopping(self, stage, training) -> bool:
            if stage.number == 4:
                self.clean[0].assign(tf.zeros_like(self.clean[0]))  # half of what it had to do
                raise Stopped
            return False

        patch.setattr(ToyMix, "look", stopping)
        with pytest.raises(Stopped):
            train(toy(), stopped)
    again = toy()
    train(again, stopped)
    assert again.traced["look"] == 2
    assert_same_training(stopped, whole[True][0])
