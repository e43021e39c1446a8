"""Augmentation and standardisation of whole batches, in TensorFlow operations without randomness of their own.

MentorNet (ICML 2018, app. E.3): pad 4 pixels a side with black, crop at random, flip horizontally at random,
standardise per image; validation images are only standardised. The released code pads 2 for its ResNet, 8 for what it
calls inception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

Standardisation = Literal["per_image", "scale", "none"]
_STANDARDISATIONS = ("per_image", "scale", "none")


@dataclass(frozen=True)
class Augmentation:
    """What happens to a training image; test images are standardised only.

    Attributes:
      pad: black pixels added on each side before a random crop back to the original size, 0 or more.
      flip: whether half of the images are mirrored left to right.
      standardise: "per_image" subtracts the image's mean and divides by its standard deviation, which is taken as
        at least 1 / sqrt(number of values), as `tf.image.per_image_standardization` does; "scale" maps pixels to
        [-1, 1]; "none" to [0, 1].
    """

    pad: int = 0
    flip: bool = False
    standardise: Standardisation = "per_image"

    def __post_init__(self) -> None:
        if self.pad < 0:
            raise ValueError(f"An augmentation pads {self.pad} pixels, but it has to be 0 or more.")
        if self.standardise not in _STANDARDISATIONS:
            raise ValueError(f"standardise is {self.standardise!r}, but may be {', '.join(_STANDARDISATIONS)}.")


# "crop" is for digits, which a mirror image would turn into nonsense; one pixel is much on images of 8x8.
AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(),
    "raw": Augmentation(standardise="none"),  # pixels in [0, 1], as the codes of Co-teaching and S2E
    "cifar": Augmentation(pad=4, flip=True),
    "release": Augmentation(pad=2, flip=True),  # of its ResNet
    "release_inception": Augmentation(pad=8, flip=True),
    "crop": Augmentation(pad=1),
    "l2rw": Augmentation(pad=2, flip=True, standardise="scale"),  # as the released code of L2RW
}


def crop_and_flip(images: tf.Tensor, offsets: tf.Tensor, flipped: tf.Tensor, pad: int) -> tf.Tensor:
    """Shifts every image by its own offset, black moving in, and mirrors some.

    Args:
      images: [b, h, w, c] of static shape, any dtype.
      offsets: int32 [b, 2], the row and column in 0..2 pad at which the crop of the padded image starts; pad, pad
        leaves the image where it is.
      flipped: bool [b], which crops are mirrored left to right.
      pad: pixels on each side.

    Returns:
      [b, h, w, c] of the dtype of `images`.
    """
    batch, height, width, channels = images.shape
    padded = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    padded_height, padded_width = height + 2 * pad, width + 2 * pad
    rows = offsets[:, :1] + tf.range(height)
    columns = offsets[:, 1:] + tf.where(flipped[:, tf.newaxis], tf.range(width)[::-1], tf.range(width))
    # One gather of single pixels by their flat position does all three; it is several times faster on a CPU than
    # one crop an image, a projective transform or tf.where over mirrored copies.
    first_row = tf.range(batch)[:, tf.newaxis] * padded_height
    positions = ((first_row + rows) * padded_width)[:, :, tf.newaxis] + columns[:, tf.newaxis, :]
    return tf.gather(tf.reshape(padded, [-1, channels]), positions)


def standardised(images: tf.Tensor, how: Standardisation) -> tf.Tensor:
    """Returns uint8 images [b, h, w, c] as float32 of the same shape; see `Augmentation.standardise`."""
    if how == "per_image":
        return tf.image.per_image_standardization(images)
    pixels = tf.cast(images, tf.float32)
    return pixels / 127.5 - 1.0 if how == "scale" else pixels / 255.0
