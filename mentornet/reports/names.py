"""What methods are called, and in which colour they are drawn, wherever several of them are shown.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence

from mentornet.runs.run_data import RunData

# Curriculum or method -> (name, colour). The eight that most tables have get Okabe and Ito's colours, which are told
# apart with any colour vision; the others have darker and lighter ones between.
_KNOWN = {
    "standard": ("plain", "#000000"),
    "mentornet_pd": ("MentorNet PD", "#0072b2"),
    "mentornet_dd": ("MentorNet DD", "#56b4e9"),
    "self_paced": ("self-paced", "#e69f00"),
    "focal_loss": ("focal loss", "#cc79a7"),
    "spcl_linear": ("linear weighting (SPCL)", "#009e73"),
    "spcl": ("SPCL", "#4fbf9f"),
    "hard_example_mining": ("hard example mining", "#d55e00"),
    "hard_mining": ("hard mining", "#9c4500"),
    "l2rw": ("L2RW", "#7f3c8d"),
    "l2b": ("L2B", "#b07cc0"),
    "reed": ("bootstrapping", "#8c6d1f"),
    "forward_correction": ("forward correction", "#3b6e22"),
    "backward_correction": ("backward correction", "#7fb35a"),
    "s_model": ("S-model", "#1b7c86"),
    "generalised_cross_entropy": ("generalised cross-entropy", "#5a5fcf"),
    "class_weights": ("class weights", "#a5aa99"),
    "random_weights": ("random weights", "#6b7580"),
    "clean_only": ("clean samples only", "#bdb76b"),
    "small_loss": ("small loss", "#6b8e00"),
    "decoupling": ("Decoupling", "#d4a017"),
    "co_teaching": ("Co-teaching", "#e7298a"),
    "co_teaching_plus": ("Co-teaching+", "#8e1550"),
    "dividemix": ("DivideMix", "#264d9b"),
    "unicon": ("UniCon", "#2e8b8b"),
    "c2d": ("C2D", "#5c3317"),
    "simclr": ("SimCLR", "#9aa0ff"),
    "mixup": ("mix-up", "#708238"),
}
_OTHERS = ("#a6761d", "#666666", "#1f9e89", "#fb9a99", "#b2df8a", "#6a3d9a", "#ffb000", "#444466")
_STYLES = ("-", "--", ":", "-.")


def of_method(known: str) -> tuple[str, str]:
    """(name, colour) of a method or curriculum without a run of it; what is not known here is called as it is."""
    return _KNOWN.get(known, (known,))[0], _colour(known)


def name(run: RunData) -> str:
    """A run's method in words, with the parameters of its curriculum: "focal loss, gamma=2"."""
    known, parameters = _key(run)
    return ", ".join(filter(None, (_KNOWN.get(known, (known,))[0], parameters.replace(",", ", "))))


def looks(runs: Sequence[RunData]) -> list[tuple[str, str]]:
    """Colour and line of each; a method has its colour in every picture, runs of one method differ by their lines."""
    found: list[tuple[str, str]] = []
    for run in runs:
        own = _colour(_key(run)[0])
        # More variants of one method than lines get colours of no method.
        free = [pair for pair in itertools.product((own, *_OTHERS), _STYLES) if pair not in found]
        found.append(free[0] if free else (own, _STYLES[0]))
    return found


def _key(run: RunData) -> tuple[str, str]:
    """Curriculum, or method where there is none, and what follows its colon."""
    method = str(run.fact("method") or "unknown method")
    known, _, parameters = (method if run.curriculum == "-" else run.curriculum).partition(":")
    if known == "pretrained":
        return f"MentorNet {parameters}", ""
    return known, parameters


def _colour(known: str) -> str:
    return _KNOWN[known][1] if known in _KNOWN else _OTHERS[zlib.crc32(known.encode()) % len(_OTHERS)]
