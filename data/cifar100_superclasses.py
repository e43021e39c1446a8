"""The 20 superclasses of CIFAR-100 with their five classes each (Krizhevsky, 2009).

Needed for asymmetric noise, which confuses a class with another one of the same superclass. The integer label
of a class or superclass is its position in alphabetical order, as in the published data set.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SUPERCLASSES: dict[str, tuple[str, ...]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}

CLASS_NAMES: tuple[str, ...] = tuple(sorted(name for group in SUPERCLASSES.values() for name in group))


def coarse_of_fine() -> npt.NDArray[np.int32]:
    """Returns int32 [100]: the superclass (0..19) of every class (0..99)."""
    coarse = np.empty(len(CLASS_NAMES), np.int32)
    for number, superclass in enumerate(sorted(SUPERCLASSES)):
        for name in SUPERCLASSES[superclass]:
            coarse[CLASS_NAMES.index(name)] = number
    return coarse


def next_in_superclass() -> npt.NDArray[np.int32]:
    """Returns int32 [100]: for every class the next one (cyclic, by label) of its superclass."""
    following = np.empty(len(CLASS_NAMES), np.int32)
    for group in SUPERCLASSES.values():
        members = sorted(CLASS_NAMES.index(name) for name in group)
        for position, label in enumerate(members):
            following[label] = members[(position + 1) % len(members)]
    return following
