"""The streamed form that every large data set is turned into: indexes of images over the same classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from data.imagenet.index import ImageIndex

BACKGROUND = "background"


@dataclass(frozen=True, eq=False)
class StreamedDataset:
    """A training and a test split whose images stay on the disk.

    Attributes:
      name: under which `sources.load` finds it.
      train: images to learn from.
      test: images to evaluate on; their labels are taken as correct.
      class_names: the name of class c at position c.
      class_ids: WordNet ids of the classes in the same order, or empty where they are not known.
      more_tests: further splits to evaluate on, by a short name.
      clean: images apart from both whose labels people checked, with these labels; None if the source has none.
      has_background: class 0 is slim's background class, which no image has.
      image_size: side in pixels of the squares the images are turned into when they are read.
    """

    name: str
    train: ImageIndex
    test: ImageIndex
    class_names: tuple[str, ...]
    class_ids: tuple[str, ...] = ()
    more_tests: Mapping[str, ImageIndex] = field(default_factory=dict)
    has_background: bool = False
    image_size: int = 299
    clean: ImageIndex | None = None

    def __post_init__(self) -> None:
        clean = {} if self.clean is None else {"clean": self.clean}
        for which, index in {"training": self.train, "test": self.test, **self.more_tests, **clean}.items():
            if not len(index):
                raise ValueError(f"The data set {self.name} has no {which} images.")
            if index.labels.min() < 0 or index.labels.max() >= self.num_classes:
                raise ValueError(
                    f"The data set {self.name} has {self.num_classes} classes, but its {which} labels are "
                    f"{index.labels.min()} to {index.labels.max()}."
                )

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image as it is read."""
        return self.image_size, self.image_size, 3

    def with_background(self) -> StreamedDataset:
        """Returns the data set with slim's background class in front: every label is one higher, 0 stays unused."""
        if self.has_background:
            return self
        return replace(
            self,
            train=self.train.relabelled(self.train.labels + 1),
            test=self.test.relabelled(self.test.labels + 1),
            class_names=(BACKGROUND, *self.class_names),
            class_ids=(BACKGROUND, *self.class_ids) if self.class_ids else (),
            more_tests={name: index.relabelled(index.labels + 1) for name, index in self.more_tests.items()},
            has_background=True,
            clean=None if self.clean is None else self.clean.relabelled(self.clean.labels + 1),
        )
