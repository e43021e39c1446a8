"""A method used like any Keras model: ``fit(x, y)``, data sets of pairs, ``evaluate``, ``save``, ``summary``.

The engine feeds batches that are dictionaries and passes through here unchanged.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from mentornet.methods import suspects

_BATCH = 32
_LEAST_USED = 0.01
_WAY = (
    "build it with tf_keras (import tf_keras as keras, the Keras 2 that TensorFlow's distribution needs), or copy the "
    "architecture there and give it the weights: copy.set_weights(student.get_weights())"
)


class KerasUse(keras.Model):
    """What an ordinary Keras user expects of a model, of which only the step is special.

    ``save`` writes the model that predicts, as a method has no use without its training; ``ModelCheckpoint`` does so,
    too, and ``keras.models.load_model`` reads it.
    """

    student: keras.Model
    max_steps: int | None
    _interval_goes_on: bool
    _entered: bool
    next_stage: Any
    schedule_warning: Any
    step: tf.Variable

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, **options: Any) -> Any:
        """As in Keras; beside dictionaries of "image", "label" and "index" it takes images and integer labels.

        Args:
            x: images [n, ...], or a data set of batches, dictionaries or pairs (image, label).
            y: integer labels [n] or [n, 1]; only with images.
            batch_size: only with images; default: 32.
            **options: of Keras' ``fit``; ``validation_data`` may be pairs, too.

        Raises:
            ValueError: labels that are no classes of the student, sample or class weights, which are the method's
                business, or a method of several stages, between which it would have to look at the training set.
        """
        if not self._entered:  # nobody sees to the stages
            self._check_stages()
        for name in ("sample_weight", "class_weight"):
            if options.get(name) is not None:
                raise ValueError(f"{name} is what {type(self).__name__} decides itself: leave it out")
        if options.get("validation_split"):
            raise ValueError("validation_split has no meaning here: give validation_data=(images, labels)")
        if isinstance(options.get("validation_data"), (tuple, list)):
            images, labels = options["validation_data"]
            options["validation_data"] = self._arrays(images, labels, batch_size)
        elif "validation_data" in options:
            options["validation_data"] = pairs(options["validation_data"])
        shuffle = options.pop("shuffle", True)
        data = pairs(x) if y is None else self._arrays(x, y, batch_size, shuffle=bool(shuffle))
        if not self._interval_goes_on:
            self._warn_of_length(data, options.get("epochs", 1), options.get("steps_per_epoch"))
        if not self._entered and int(self.step.numpy()) == 0:  # a training of one's own, from its start
            options["callbacks"] = self._watched(options.get("callbacks"))
        return super().fit(data, **options)

    def evaluate(self, x: Any = None, y: Any = None, batch_size: int | None = None, **options: Any) -> Any:
        """As in Keras, with the data that ``fit`` takes."""
        data = pairs(x) if y is None else self._arrays(x, y, batch_size)
        return super().evaluate(data, **options)

    def suspects(self, x: Any, y: Any = None, batch_size: int | None = None) -> dict[str, np.ndarray]:
        """Ranks the training samples by how suspect their labels are, after ``fit``.

        Args:
            x: all training images in the order of their numbers: an array [n, ...], or a data set of batches that is
                not shuffled; see ``numbered``.
            y: integer labels [n] or [n, 1]; only with images.
            batch_size: only with images; default: 32.

        Returns:
            Columns [n], the most suspect first: "rank" from 1, "index", "given", "predicted", "loss" (now), and
            "weight" and "mean_probability" (of the given label), both means over the training: NaN without
            ``num_examples`` or index. ``mentornet.reports.review`` makes a page of them.

        Raises:
            ValueError: another number of samples than ``num_examples``.
        """
        return suspects.ranked(self, pairs(x) if y is None else self._arrays(x, y, batch_size))

    def save(self, filepath: Any, *arguments: Any, **options: Any) -> None:
        """Saves the model that predicts; see ``keras.Model.save``."""
        self.student.save(filepath, *arguments, **options)

    def summary(self, *arguments: Any, **options: Any) -> None:
        """Prints the model that predicts; see ``keras.Model.summary``."""
        self.student.summary(*arguments, **options)

    def _arrays(self, x: Any, y: Any, batch_size: int | None, *, shuffle: bool = False) -> tf.data.Dataset:
        """``arrays`` with labels of the student's classes alone."""
        label, classes = class_numbers(np.asarray(y)), self.student.output_shape[-1]
        if label.size and classes is not None and not 0 <= label.min() <= label.max() < classes:
            raise ValueError(
                f"labels run from {label.min()} to {label.max()}, but the student tells {classes} classes apart: "
                f"give 0 to {classes - 1}"
            )
        return arrays(x, label, batch_size, shuffle=shuffle)

    def _check_stages(self) -> None:
        if self.max_steps is None or self.next_stage(1) is not None:
            raise ValueError(
                f"{type(self).__name__} trains in several stages, which fit alone can't do: use train_cifar.py, or "
                "mentornet.training.run.train"
            )

    def _watched(self, callbacks: Any) -> Any:
        """Warns of a training that is too short for the method, or else adds what warns where nothing has weight."""
        if (warning := self.schedule_warning()) is not None:
            warnings.warn(warning, stacklevel=3)
        elif not isinstance(callbacks, keras.callbacks.CallbackList):
            given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []
            return [*given, _WeightWatch()]
        return callbacks

    def _warn_of_length(self, data: Any, epochs: int, steps_per_epoch: int | None) -> None:
        """Warns if ``fit`` is asked for a length far from ``max_steps``, which schedules refer to."""
        if self.max_steps is None:
            return
        steps = steps_per_epoch
        if steps is None and isinstance(data, tf.data.Dataset):
            count = int(data.cardinality())
            steps = count if count > 0 else None
        if steps is not None and not 0.5 <= steps * epochs / self.max_steps <= 2.0:
            warnings.warn(
                f"fit is asked for {steps * epochs:,} steps, but max_steps={self.max_steps:,}, by which the curriculum "
                "and the schedules go: build the method with the number of steps it will take",
                stacklevel=3,
            )


class _WeightWatch(keras.callbacks.Callback):
    """Warns once of an epoch in which hardly any sample had weight."""

    def __init__(self) -> None:
        super().__init__()
        self._warned = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        used = (logs or {}).get("data_utilisation")
        if used is not None and used < _LEAST_USED and not self._warned:
            self._warned = True
            warnings.warn(
                f"in epoch {epoch + 1} hardly any sample had weight ({100 * used:.1f}% of them), so that nothing is "
                "learned from: the moving percentile may be too low, give more steps or another curriculum",
                stacklevel=2,
            )


def arrays(x: Any, y: Any, batch_size: int | None, *, shuffle: bool) -> tf.data.Dataset:
    """Images and labels as batches with their positions.

    Raises:
        ValueError: labels that are no class numbers, or not as many as images.
    """
    image, label = np.asarray(x), class_numbers(np.asarray(y))
    if len(image) != len(label):
        raise ValueError(f"there are {len(image)} images, but {len(label)} labels")
    samples = {"image": image, "label": label, "index": np.arange(len(label), dtype=np.int32)}
    data = tf.data.Dataset.from_tensor_slices(samples)
    if shuffle:
        data = data.shuffle(len(label), reshuffle_each_iteration=True)
    return data.batch(batch_size or _BATCH)


def pairs(data: Any) -> Any:
    """A data set of pairs (image, label) as one of dictionaries; anything else as it is."""
    spec = getattr(data, "element_spec", None)
    if not isinstance(data, tf.data.Dataset) or not isinstance(spec, tuple):
        return data
    if len(spec) != 2:
        raise ValueError(
            f"the data set has elements of {len(spec)} parts, a method takes (image, label): sample weights are its "
            "own business"
        )
    return data.map(lambda image, label: {"image": image, "label": _class_tensor(label)})


def numbered(data: tf.data.Dataset, *, shuffle: bool = True, seed: int = 0, buffer: int = 10_000) -> tf.data.Dataset:
    """A data set of pairs that knows which image is which, for what is kept by sample, such as ``suspects``.

    Args:
        data: batches of pairs (image, label) in an order that never changes, such as those of
            ``image_dataset_from_directory(folder, shuffle=False)``.
        shuffle: draw them in a new order in every epoch.
        seed: of the order.
        buffer: how many images are held to be shuffled; as many as there are give every order.

    Returns:
        Batches {"image", "label", "index"} of the same size.
    """
    size = max((int(label.shape[0]) for _, label in data.take(1)), default=_BATCH)
    samples = pairs(data).unbatch().enumerate().map(lambda n, sample: {**sample, "index": tf.cast(n, tf.int32)})
    if shuffle:
        samples = samples.shuffle(buffer, seed=seed, reshuffle_each_iteration=True)
    return samples.batch(size)


def class_numbers(label: np.ndarray) -> np.ndarray:
    """Labels [n] or [n, 1] as int32 [n].

    Raises:
        ValueError: one-hot or other than whole numbers.
    """
    flat = label.reshape(-1) if label.ndim == 2 and label.shape[1] == 1 else label
    if flat.ndim != 1 or not (np.issubdtype(flat.dtype, np.integer) or np.all(flat == np.round(flat))):
        raise ValueError(
            f"labels of shape {label.shape} are no class numbers: give integers, such as np.argmax(labels, axis=1) of "
            "one-hot ones"
        )
    return flat.astype(np.int32)


def _class_tensor(label: tf.Tensor) -> tf.Tensor:
    if label.shape.rank == 2 and label.shape[1] == 1:
        label = label[:, 0]
    if label.shape.rank is not None and label.shape.rank != 1:
        raise ValueError(
            f"labels of shape {label.shape} are no class numbers: give integers, such as label_mode='int' of "
            "image_dataset_from_directory"
        )
    return tf.cast(label, tf.int32)


def check_keras(student: Any) -> None:
    """Refuses a model of another Keras.

    Raises:
        ValueError: with the way out.
    """
    if isinstance(student, keras.Model):
        return
    module = type(student).__module__.split(".")[0]
    whose = "Keras 3" if module == "keras" else f"{type(student).__module__}.{type(student).__name__}"
    raise ValueError(f"the student is a model of {whose}, not of tf_keras: {_WAY}")


def check_compile(optimizer: Any, options: dict[str, Any]) -> None:
    """Refuses what ``compile`` would otherwise ignore.

    Raises:
        ValueError: an optimiser of another Keras, a loss, or metrics.
    """
    for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
        if options.get(name):
            raise ValueError(f"{name}= is not used: the method has its own loss and reports loss, accuracy and top5")
    if not isinstance(optimizer, str) and type(optimizer).__module__.split(".")[0] == "keras":
        raise ValueError(
            "the optimiser is of Keras 3, not of tf_keras: use the one of that name in tf_keras.optimizers"
        )
