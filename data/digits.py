"""scikit-learn's handwritten digits: real images that need no download, for demonstrations and tests.

1,797 images of 8x8 pixels with 17 grey levels, ten classes (Alpaydin and Kaynak, UCI repository, 1998). They
come without a split; ours is fixed, so that results can be compared whatever the seed of a run.
"""

from __future__ import annotations

import numpy as np

from data.image_dataset import ImageDataset, Split, resized_all, stratified_holdout

_TEST_ONE_IN = 5
_MAX_GREY_LEVEL = 16


def load(image_size: int | None = None) -> ImageDataset:
    """Returns 1,437 training and 360 test images, uint8 [n, 8, 8, 1] with the full range 0..255 used.

    Args:
      image_size: side in pixels to resize to; None keeps 8.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    images = np.round(source.images * (255 / _MAX_GREY_LEVEL)).astype(np.uint8)[..., np.newaxis]
    if image_size is not None and image_size != images.shape[1]:
        images = resized_all(images, image_size)
    labels = source.target.astype(np.int32)
    everything = Split(images, labels, np.arange(len(labels)))
    train, test = stratified_holdout(labels, _TEST_ONE_IN, seed=0)
    return ImageDataset(
        "digits", everything.take(train), everything.take(test), tuple(str(name) for name in source.target_names)
    )
