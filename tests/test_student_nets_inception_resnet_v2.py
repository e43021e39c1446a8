"""Inception-ResNet-v2: its size with and without the auxiliary head, its graph against keras.applications, its seam."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import student_nets
from student_nets import layers

SMALL = (75, 75, 3)


def trainable_parameters(model: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.fixture(scope="module")
def tiny() -> keras.Model:
    return student_nets.get("inception_resnet_v2_tiny", 7, input_shape=SMALL, auxiliary_head=True, seed=3)


def images(count: int = 3, side: int = 75) -> tf.Tensor:
    return tf.random.stateless_uniform((count, side, side, 3), seed=(1, 2), minval=-1.0, maxval=1.0)


def test_published_size_with_the_auxiliary_head():
    model = student_nets.get("inception_resnet_v2", 1001, input_shape=(299, 299, 3), auxiliary_head=True)
    assert trainable_parameters(model) == 59_182_258
    head = [v for v in model.trainable_variables if v.name.startswith("auxiliary")]
    # 1x1 of 1088 -> 128 and 5x5 of 128 -> 768 with a shift each, and the classifier: counted by hand.
    assert sum(int(np.prod(v.shape)) for v in head) == 1088 * 128 + 128 + 25 * 128 * 768 + 768 + 768 * 1001 + 1001
    sides = {name: model.get_layer(name).output_shape[1] for name in ("pool_5a", "mixed_6a", "mixed_7a")}
    assert sides == {"pool_5a": 35, "mixed_6a": 17, "mixed_7a": 8}
    norm = model.get_layer("conv_1a_norm")
    assert (norm.momentum, norm.epsilon, norm.scale, norm.center) == (0.9997, 0.001, False, True)
    assert model.get_layer("dropout").rate == pytest.approx(0.2)


def test_same_graph_as_keras_applications():
    """With the weights copied over layer by layer, both compute the same logits."""
    ours = student_nets.get("inception_resnet_v2", 1001, input_shape=SMALL)
    theirs = keras.applications.InceptionResNetV2(
        weights=None, input_shape=SMALL, classes=1001, classifier_activation=None
    )
    assert trainable_parameters(ours) == trainable_parameters(theirs) == 55_814_729
    kinds = (keras.layers.Conv2D, keras.layers.BatchNormalization, keras.layers.Dense)
    for kind in kinds:
        pairs = list(
            zip(
                [layer for layer in ours.layers if isinstance(layer, kind)],
                [layer for layer in theirs.layers if isinstance(layer, kind)],
                strict=True,
            )
        )
        for own, other in pairs:
            assert [w.shape for w in own.weights] == [w.shape for w in other.weights], own.name
            other.set_weights(own.get_weights())
    x = images(2)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_the_pair_is_there_in_training_only(tiny):
    x = images()
    pair = tiny(x, training=True)
    assert isinstance(pair, tuple)
    assert [tuple(logits.shape) for logits in pair] == [(3, 7), (3, 7)]
    assert tuple(tiny(x).shape) == tuple(tiny(x, training=False).shape) == (3, 7)
    assert tiny.predict(x, verbose=0).shape == (3, 7)
    assert tiny.has_auxiliary_head


def test_without_the_head_training_gives_logits_too():
    plain = student_nets.get("inception_resnet_v2_tiny", 7, input_shape=SMALL, seed=3)
    assert tuple(plain(images(), training=True).shape) == (3, 7)
    assert not hasattr(plain, "has_auxiliary_head")
    assert not [v.name for v in plain.trainable_variables if "auxiliary" in v.name]


def test_the_head_does_not_change_what_the_student_says():
    """Layers are seeded by name, so the rest of the network starts the same with and without the head."""
    plain, headed = (
        student_nets.get("inception_resnet_v2_tiny", 7, input_shape=SMALL, seed=3, auxiliary_head=head)
        for head in (False, True)
    )
    np.testing.assert_allclose(plain(images()), headed(images()), rtol=1e-5, atol=1e-6)


def test_both_heads_reach_the_stem_with_their_gradients(tiny):
    with tf.GradientTape(persistent=True) as tape:
        logits, auxiliary = tiny(images(), training=True)
        main, inner = tf.reduce_sum(logits**2), tf.reduce_sum(auxiliary**2)
    stem = tiny.get_layer("conv_1a").kernel
    head = tiny.get_layer("auxiliary_logits").kernel
    assert float(tf.norm(tape.gradient(main, stem))) > 0.0
    assert float(tf.norm(tape.gradient(inner, stem))) > 0.0
    assert tape.gradient(main, head) is None


def test_a_saved_student_keeps_its_head(tiny, tmp_path):
    tiny.save(tmp_path / "student.keras")
    again = student_nets.load(tmp_path / "student.keras")
    assert isinstance(again, layers.WithAuxiliaryHead)
    np.testing.assert_allclose(again(images()), tiny(images()), rtol=1e-6, atol=1e-6)
    assert len(again(images(), training=True)) == 2


def test_the_window_of_the_auxiliary_pool_shrinks_with_the_picture():
    shapes = {}
    for side in (75, 139, 299):
        model = student_nets.get("inception_resnet_v2_tiny", 5, input_shape=(side, side, 3), auxiliary_head=True)
        shapes[side] = (model.get_layer("auxiliary_pool").pool_size, model.get_layer("auxiliary_2").kernel.shape[:2])
    assert shapes == {75: ((3, 3), (1, 1)), 139: ((5, 5), (1, 1)), 299: ((5, 5), (5, 5))}


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match=r"at least 75x75 pixels, but these have 74x80"):
        student_nets.get("inception_resnet_v2_tiny", 5, input_shape=(74, 80, 3))
