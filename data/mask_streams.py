"""Batches of slices with their masks, which every augmentation moves together: a mask rides with its image.

As in ``data.streams``, batch t of a stream is a function of (seed, stage, t) alone. A view is one projective map of an
image, drawn from the same numbers for its mask and for the true mask: crop, mirror image, rotation and zoom at once,
bilinear for images, the nearest pixel for masks, so that a class stays a class. What moves in is black and background.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data import batching, seeding
from data.augmentation import AUGMENTATIONS, Augmentation, standardised
from data.order import GENERATOR, EpochOrder
from data.streams import HostStreams, Orders, Source, Stream

EVALUATION_BATCH = 32


@dataclass(frozen=True)
class SliceAugmentation(Augmentation):
    """An augmentation that turns and zooms, too.

    Attributes:
      rotation: largest angle in degrees, either way.
      zoom: a side shows 1 - zoom to 1 + zoom of itself, in [0, 1).
    """

    rotation: float = 0.0
    zoom: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rotation <= 180 or not 0 <= self.zoom < 1:
            raise ValueError(f"rotation={self.rotation:g} must lie in [0, 180] and zoom={self.zoom:g} in [0, 1).")


# "slices": mirror images and rotations, pixels in [0, 1], as the code of L2B on PROMISE12.
SLICE_AUGMENTATIONS: dict[str, SliceAugmentation] = {
    "slices": SliceAugmentation(flip=True, standardise="none", rotation=10.0),
    "slices_zoom": SliceAugmentation(pad=4, flip=True, standardise="none", rotation=10.0, zoom=0.15),
}


def augmentation(name: str) -> SliceAugmentation:
    """Returns an augmentation by its name, of ``SLICE_AUGMENTATIONS`` or of those for classes.

    Raises:
      KeyError: there is none of this name.
    """
    if name in SLICE_AUGMENTATIONS:
        return SLICE_AUGMENTATIONS[name]
    plain = AUGMENTATIONS[name]
    return SliceAugmentation(plain.pad, plain.flip, plain.standardise)


@dataclass(frozen=True, eq=False)
class MaskSource:
    """Slices that streams take their samples from.

    Attributes:
      images: uint8 [n, h, w, c].
      masks: uint8 [n, h, w], as given.
      batch_size: slices a step where a stream does not say.
      true_masks: likewise, for diagnostics; None if the batches shall not say which pixels are right.
      what: what its samples are called in messages.
    """

    images: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.uint8]
    batch_size: int
    true_masks: npt.NDArray[np.uint8] | None = None
    what: str = "training slices"


class MaskStreams(HostStreams):
    """Streams over slices with masks.

    A batch has "image" float32 [b, h, w, c], "label" int32 [b, h, w], "index" int32 [b], "is_clean" bool [b, h, w]
    where the true masks are known, and the values of its streams; for other streams than "given" with their name in
    front.
    """

    def __init__(
        self,
        sources: Mapping[str, MaskSource],
        *,
        seed: int,
        augmentation: SliceAugmentation,
        shard: tuple[int, int] = (0, 1),
        most_steps: int | None = None,
    ) -> None:
        """Keeps the slices.

        Args:
          sources: by name; "training" is one of them.
          seed: 0 or more; of order and augmentation.
          augmentation: of the views "weak".
          shard: (i, k), i < k: this is worker i of k and gets rows i b/k to (i+1) b/k of every global batch.
          most_steps: an epoch ends after so many batches; None: when no batch is left.

        Raises:
          ValueError: more slices in a batch than there are, or a batch that k workers cannot share equally.
        """
        counted = {
            name: Source(source.images, np.zeros(len(source.images), np.int32), source.batch_size, what=source.what)
            for name, source in sources.items()
        }
        orders = Orders(counted, seed=seed, shard=shard, most_steps=most_steps)
        with tf.device("CPU:0"):
            arrays = {
                name: {
                    "image": tf.constant(source.images),
                    "label": tf.constant(source.masks),
                    **({} if source.true_masks is None else {"true": tf.constant(source.true_masks)}),
                }
                for name, source in sources.items()
            }
        super().__init__(orders, arrays)
        self._augmentation = augmentation

    def _viewed(
        self, stream: Stream, order: EpochOrder, seed: int
    ) -> Callable[[dict[str, tf.Tensor], tf.Tensor], dict[str, tf.Tensor]]:
        if len(stream.views) != 1 or stream.views[0] not in ("weak", "none"):
            raise ValueError(f"Slices have one view, weak or none, but this stream asks for {', '.join(stream.views)}.")
        moved = stream.views[0] == "weak"
        keys = {purpose: seeding.key(seed, f"slices/{purpose}") for purpose in ("crop", "flip", "rotation", "zoom")}

        def viewed(batch: dict[str, tf.Tensor], step: tf.Tensor) -> dict[str, tf.Tensor]:
            image, label, true = batch.pop("image"), batch.pop("label"), batch.pop("true", None)
            if moved:
                maps = drawn_maps(self._augmentation, keys, step, order, image.shape[1], image.shape[2])
                image = warped(image, maps, nearest=False)
                label = warped(label, maps, nearest=True)
                true = None if true is None else warped(true, maps, nearest=True)
            return {
                **batch,
                "image": standardised(image, self._augmentation.standardise),
                "label": tf.cast(label, tf.int32),
                **({} if true is None else {"is_clean": tf.equal(label, true)}),
            }

        return viewed


def drawn_maps(
    augmentation: SliceAugmentation,
    keys: Mapping[str, int],
    step: tf.Tensor,
    order: EpochOrder,
    height: int,
    width: int,
) -> tf.Tensor:
    """Returns where each pixel of each augmented slice of a batch comes from, float32 [rows, 8], see ``warped``.

    Drawn for the global batch, so that a slice is treated alike however many workers share it.
    """
    size, rows = order.batch_size, order.rows

    def uniform(purpose: str, *shape: int) -> tf.Tensor:
        return tf.random.stateless_uniform([size, *shape], [keys[purpose], step], alg=GENERATOR)[rows]

    pad = augmentation.pad
    shift = tf.floor(uniform("crop", 2) * (2 * pad + 1)) - pad
    mirror = tf.where(tf.logical_and(uniform("flip") < 0.5, augmentation.flip), -1.0, 1.0)
    angle = (2.0 * uniform("rotation") - 1.0) * (augmentation.rotation * math.pi / 180.0)
    scale = 1.0 + (2.0 * uniform("zoom") - 1.0) * augmentation.zoom
    return centred_maps(angle, scale, mirror, shift, height, width)


def centred_maps(
    angle: tf.Tensor, scale: tf.Tensor, mirror: tf.Tensor, shift: tf.Tensor, height: int, width: int
) -> tf.Tensor:
    """Returns the maps of slices that are mirrored, then turned and scaled about their centre, then shifted.

    Args:
      angle: float32 [b], radians.
      scale: float32 [b], pixels of the source a pixel; above 1 shows more.
      mirror: float32 [b], -1 for left to right, else 1.
      shift: float32 [b, 2], of the source, rows and columns.
      height: of the slices.
      width: of the slices.
    """
    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    y, x = (height - 1) / 2.0, (width - 1) / 2.0
    a, b, c, d = mirror * cosine, -sine, mirror * sine, cosine
    columns = [a, b, x + shift[:, 1] - a * x - b * y]
    rows = [c, d, y + shift[:, 0] - c * x - d * y]
    zero = tf.zeros_like(angle)
    return tf.stack([*columns, *rows, zero, zero], axis=1)


def warped(values: tf.Tensor, maps: tf.Tensor, nearest: bool) -> tf.Tensor:
    """Returns images float or uint8 [b, h, w, c], or masks uint8 [b, h, w], in which pixel (x, y) is that of the map.

    The map is (x, y) -> (m0 x + m1 y + m2, m3 x + m4 y + m5); outside is 0. Images come back as float32.
    """
    pixels = values[..., tf.newaxis] if values.shape.rank == 3 else values
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels if nearest else tf.cast(pixels, tf.float32),
        transforms=maps,
        output_shape=pixels.shape[1:3],
        fill_value=0.0,
        interpolation="NEAREST" if nearest else "BILINEAR",
        fill_mode="CONSTANT",
    )
    moved = tf.ensure_shape(moved, pixels.shape)
    return moved[..., 0] if values.shape.rank == 3 else moved


def evaluation_batches(
    images: npt.NDArray[np.uint8],
    masks: npt.NDArray[np.uint8],
    augmentation: SliceAugmentation,
    index: npt.NDArray[Any] | None = None,
) -> tf.data.Dataset:
    """Returns all slices once, in order, standardised but not augmented; the last batch may be smaller.

    Args:
      images: uint8 [n, h, w, c].
      masks: uint8 [n, h, w].
      augmentation: whose standardisation is applied.
      index: int [n], what "index" says; None: 0 to n - 1.
    """
    places = np.arange(len(images)) if index is None else np.asarray(index)

    def batch(start: tf.Tensor) -> dict[str, tf.Tensor]:
        part = slice(start, tf.minimum(start + EVALUATION_BATCH, len(images)))
        return {
            "image": standardised(kept["image"][part], augmentation.standardise),
            "label": tf.cast(kept["label"][part], tf.int32),
            "index": kept["index"][part],
        }

    with tf.device("CPU:0"):
        kept = {"image": tf.constant(images), "label": tf.constant(masks), "index": tf.constant(places, tf.int32)}
    return batching.parallel(tf.data.Dataset.range(0, len(images), EVALUATION_BATCH), batch)
