"""A method used as any Keras model: arrays, pairs, validation, saving, callbacks, and what is refused."""

from __future__ import annotations

import types
import warnings

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from mentornet import curricula, methods


def blobs(n: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    return (rng.normal(size=(n, 2)) + 4.0 * label[:, None] - 2.0).astype(np.float32), label


def dense_student(**options) -> keras.Model:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, **options)])


def compiled(steps: int = 32, **options) -> methods.Spade:
    model = methods.Spade(dense_student(), "mentornet_pd", max_steps=steps, **options)
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    return model


def test_fit_and_evaluate_take_arrays():
    x, y = blobs()
    model = compiled()
    history = model.fit(x, y, batch_size=64, epochs=8, validation_data=blobs(seed=1), verbose=0)
    assert history.history["val_accuracy"][-1] > 0.95
    assert model.evaluate(x, y[:, None], verbose=0, return_dict=True)["accuracy"] > 0.95
    assert np.mean(np.argmax(model.predict(x, verbose=0), axis=1) == y) > 0.95


@pytest.mark.parametrize("method", ["standard", "spade", "co_teaching", "reed"])
def test_data_sets_of_pairs_train_like_dictionaries(method):
    """The same batches as pairs and as dictionaries give the same student, bit for bit."""
    x, y = blobs(64)
    found = []
    for make in (lambda a, b: (a, b), lambda a, b: {"image": a, "label": tf.cast(b, tf.int32), "index": b}):
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16).map(make)
        students = [dense_student(kernel_initializer="ones"), dense_student(kernel_initializer="zeros")]
        kind = methods.get(method)
        model = kind(students if kind.peers == 2 else students[0], max_steps=4)
        model.compile(optimizer=keras.optimizers.SGD(0.1))
        model.fit(data, verbose=0)
        found.append(np.concatenate([v.numpy().ravel() for v in model.student.variables]))
    np.testing.assert_array_equal(*found)


def test_a_directory_of_images_trains(tmp_path):
    rng = np.random.default_rng(0)
    for name, grey in (("dark", 40), ("light", 200)):
        (tmp_path / name).mkdir()
        for number in range(8):
            pixels = np.clip(rng.normal(grey, 20, (8, 8, 3)), 0, 255).astype(np.uint8)
            keras.utils.save_img(tmp_path / name / f"{number}.png", pixels, scale=False)
    data = keras.utils.image_dataset_from_directory(tmp_path, image_size=(8, 8), batch_size=4)
    image = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255, offset=-0.5)(image))
    model = methods.Spade(keras.Model(image, keras.layers.Dense(2)(flat)), max_steps=12, burn_in_epoch=0)
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    model.fit(data, epochs=3, verbose=0)
    assert model.evaluate(data, verbose=0, return_dict=True)["accuracy"] == 1.0


def test_what_is_saved_is_what_predicts(tmp_path):
    x, y = blobs()
    model = compiled()
    keep = keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"))
    model.fit(x, y, batch_size=64, epochs=8, verbose=0, callbacks=[keep])
    model.save(tmp_path / "last.keras")
    for name in ("best", "last"):
        loaded = keras.models.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_summary_describes_the_student():
    lines: list[str] = []
    compiled().summary(print_fn=lambda line, **_: lines.append(line))
    assert "Total params: 6" in "\n".join(lines)


def test_a_plain_function_is_a_curriculum():
    model = methods.Spade(
        dense_student(), lambda loss, difference, label, epoch: loss < 0.5, max_steps=1, burn_in_epoch=0
    )
    found = model.weigh(tf.constant([0.1, 0.9]), tf.constant([0, 1]), tf.constant([0, 1])).curriculum_weights
    np.testing.assert_array_equal(found, [1.0, 0.0])
    assert curricula.of("self_paced").name == "self_paced"
    with pytest.raises(ValueError, match="the curriculum is int: give a name"):
        methods.Spade(dense_student(), 3, max_steps=1)


def test_a_length_far_from_max_steps_is_warned_about():
    x, y = blobs()
    with pytest.warns(UserWarning, match=r"asked for 4 steps, but max_steps=1,000"):
        compiled(1000).fit(x, y, batch_size=64, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = compiled(4, loss_moving_average_decay=0.0).fit(x, y, batch_size=64, verbose=0)
    assert len(history.epoch) == 1


def test_a_training_too_short_for_the_moving_percentile_is_warned_about():
    """0.95^59 is below 0.05: with a burn-in of a fifth and 5% to spare, 236 steps are enough and 235 are not."""
    x, y = blobs()
    assert 0.95**58 > 0.05 > 0.95**59
    assert compiled(236).schedule_warning() is None
    assert "needs about 59 steps, but the curriculum decides from step 47 of 235 on" in compiled(235).schedule_warning()
    for curriculum in ("none", "focal_loss", "hard_example_mining"):  # which do not drop large losses
        assert methods.Spade(dense_student(), curriculum, max_steps=9).schedule_warning() is None
    model = compiled(16, burn_in_epoch=0)
    with pytest.warns(UserWarning, match="moving percentile") as caught:
        model.fit(x, y, batch_size=64, epochs=4, verbose=0)
    assert len(caught) == 1


def test_an_epoch_without_weights_is_warned_about_once():
    x, y = blobs()
    nothing = methods.Spade(dense_student(), lambda loss, *_: 0.0 * loss, max_steps=300)
    nothing.compile(optimizer=keras.optimizers.SGD(0.1))
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(64).repeat()
    with pytest.warns(UserWarning, match="in epoch 2 hardly any sample had weight [(]0.0%") as caught:
        nothing.fit(data, steps_per_epoch=100, epochs=3, verbose=0, callbacks=[keras.callbacks.History()])
    assert len(caught) == 1  # the first epoch is burn-in, the third is like the second
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(300).fit(data, steps_per_epoch=100, epochs=3, verbose=0)


def of_keras_3(name: str) -> object:
    return types.new_class(name, exec_body=lambda body: body.update(__module__="keras.src.models"))()


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (lambda x, y: compiled().fit(x, y + 1), "labels run from 1 to 2, but the student tells 2 classes apart"),
        (lambda x, y: compiled().fit(x, np.eye(2)[y]), r"labels of shape \(256, 2\) are no class numbers"),
        (lambda x, y: compiled().fit(x, y[:-1]), "256 images, but 255 labels"),
        (lambda x, y: compiled().fit(x, y, sample_weight=y), "sample_weight is what Spade decides itself"),
        (lambda x, y: compiled().fit(x, y, validation_split=0.1), "validation_split has no meaning here"),
        (
            lambda x, y: compiled().fit(tf.data.Dataset.from_tensor_slices((x, y, y)).batch(4)),
            "elements of 3 parts",
        ),
        (
            lambda x, y: compiled().fit(tf.data.Dataset.from_tensor_slices((x, np.eye(2)[y])).batch(4)),
            "no class numbers: give integers, such as label_mode='int'",
        ),
        (lambda x, y: compiled().compile("sgd", metrics=["accuracy"]), "metrics= is not used"),
        (lambda x, y: compiled().compile("sgd", loss="mse"), "loss= is not used"),
        (
            lambda x, y: methods.L2RW(dense_student(), max_steps=1).compile("sgd", run_eagerly=True),
            "L2RW takes its meta step in a compiled graph",
        ),
        (lambda x, y: compiled().compile(of_keras_3("SGD")), "the optimiser is of Keras 3"),
        (lambda x, y: methods.Spade(of_keras_3("Functional"), max_steps=1), "a model of Keras 3, not of tf_keras"),
        (
            lambda x, y: methods.Standard(keras.Sequential([dense_student(), keras.layers.Softmax()]), max_steps=1),
            "ends in a softmax",
        ),
        (lambda x, y: methods.Standard(dense_student(activation="softmax"), max_steps=1), "ends in a softmax"),
    ],
)
def test_what_cannot_work_is_one_sentence(start, message):
    with pytest.raises(ValueError, match=message):
        start(*blobs())


@pytest.mark.parametrize(
    "make",
    [
        lambda students: methods.CoTeachingPlus(students, max_steps=8, steps_per_epoch=2, warmup_epochs=2),
        lambda students: methods.L2B(students[0], max_steps=8, num_examples=256, mixture_steps=2, lookahead="none"),
        lambda students: methods.DivideMix(students, num_epochs=4, warmup_epochs=1, num_examples=256),
    ],
)
def test_a_method_of_several_stages_says_that_fit_cannot_do_them(make):
    model = make([dense_student(), dense_student()])
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match=r"trains in several stages, which fit alone can't do: use train_cifar\.py"):
        model.fit(*blobs(), verbose=0)
