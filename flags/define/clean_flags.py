"""Flags of samples that are set apart from the noisy training data: a clean set, and a noisy hold-out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from absl import flags

from mentornet import methods
from mentornet.methods.protocol import CLEAN_SET
from mentornet.training import early_stopping

SOURCES = ("set", "mixture", "labelled", "corrections")
HAVE_CLEAN_SET = ("folder", "clothing1m")  # or may have; that of ISIC 2019 is drawn

_EXAMPLES = flags.DEFINE_integer(
    "clean_examples",
    None,
    "Size of the clean set, drawn at random from the training images and taken out of the noisy data; or, of checked "
    "images, how many of them are used (default: all).",
    lower_bound=1,
)
_PER_CLASS = flags.DEFINE_integer(
    "clean_examples_per_class", None, "The same, with this many images of every class.", lower_bound=1
)
_FILE = flags.DEFINE_string(
    "clean_labels_file",
    None,
    "A csv of training images whose labels you checked, a line path,label (folder; path as in samples.csv) or "
    "index,label, the label as name or number: they form the clean set and leave the noisy data. With "
    "--dataset_name=folder, checked images in data_dir/clean/<class>/ do so without a flag.",
)
_BATCH = flags.DEFINE_integer(
    "clean_batch_size", None, "Clean samples beside each batch; default: batch_size, or all there are.", lower_bound=1
)
_SOURCE = flags.DEFINE_enum(
    "clean_source",
    None,
    SOURCES,
    "set: samples with true labels (default). mixture, of methods that can do with it: no clean labels at all, but the "
    "training samples that a two-component mixture of the losses takes for clean, found anew every epoch. labelled, of "
    "methods that divide the samples: those whose labels the method keeps. corrections: the images of "
    "--corrections_file that were confirmed or relabelled.",
)
_CORRECTIONS = flags.DEFINE_string(
    "corrections_file",
    None,
    "A csv of what a person decided about training images, as the review page writes it (index or path, action, "
    "label): they are trained on with these labels, or left out; all others stay as they are.",
)
_LEAVE_OUT = flags.DEFINE_string(
    "leave_out_suspects",
    None,
    "N:RUN: train without the N most suspect images of an earlier run on the same data, by its samples.csv.",
)
_HOLDOUT = flags.DEFINE_integer(
    "holdout_examples",
    0,
    "Noisy training samples kept back to choose the best step (early stopping); none: 0.",
    lower_bound=0,
)
_CRITERION = flags.DEFINE_enum(
    "holdout_criterion",
    None,
    early_stopping.CRITERIA,
    "What is best on the hold-out: the lowest loss (default; the first training of the corrections) or the highest "
    "accuracy.",
)
_BALANCED = flags.DEFINE_boolean(
    "balanced_batches", False, "Draw batches in which every given class is equally likely (resampling)."
)
_BALANCED_EPOCHS = flags.DEFINE_boolean(
    "balanced_epochs",
    False,
    "Draw every epoch anew, with every given class equally often and no image of a class twice before all have come "
    "(Clothing1M in DivideMix and L2B); its length: --max_batches_per_epoch.",
)


@dataclass(frozen=True)
class CleanConfig:
    """Plain values of these flags.

    Attributes:
        clean_examples: size of the clean set, or None.
        clean_examples_per_class: its size in each class, or None.
        clean_labels_file: the csv of checked images, or None.
        corrections_file: the csv of decisions about training images, or None.
        leave_out_suspects: "N:RUN", or None.
        clean_batch_size: clean samples a step; None means the batch size.
        clean_source: "set", "mixture", "labelled", or for methods without clean samples "none", or "validation" if they
            are evaluated apart.
        holdout_examples: noisy samples kept back.
        holdout_criterion: "loss" or "accuracy", which decides on them.
        balanced_batches: classes are equally likely in a batch.
        balanced_epochs: they are equally frequent in an epoch.
    """

    clean_examples: int | None
    clean_examples_per_class: int | None
    clean_batch_size: int | None
    clean_source: str
    holdout_examples: int
    balanced_batches: bool
    holdout_criterion: str = "loss"
    clean_labels_file: str | None = None
    balanced_epochs: bool = False
    corrections_file: str | None = None
    leave_out_suspects: str | None = None


def clean_config(
    method: str, dataset_name: str, options: Mapping[str, Any], validation: str = "none", masks: bool = False
) -> CleanConfig:
    """Reads and checks the flags for a method with its options, a data set, and what is evaluated apart.

    Data sets of masks bring clean cases of their own.

    Raises:
        ValueError: no clean set for a method that needs one, or one for a method that does not.
    """
    kind = methods.get(method)
    needed = CLEAN_SET in kind.needs(options)
    validating = validation == "clean_set"
    if needed and validating:
        raise ValueError(
            f"--validation=clean_set: --method={method} trains on its clean set, which therefore can't judge it: use "
            "--validation=noisy_holdout or test_half"
        )
    source = (_SOURCE.value or "set") if needed else "validation" if validating else "none"
    reviewed = _SOURCE.value == "corrections"
    if reviewed and not _CORRECTIONS.value:
        raise ValueError("--clean_source=corrections takes its images from --corrections_file: give it")
    if _LEAVE_OUT.value is not None:
        suspects_of(_LEAVE_OUT.value)
    of_classes = (
        _EXAMPLES,
        _PER_CLASS,
        _FILE,
        _SOURCE,
        _HOLDOUT,
        _CRITERION,
        _BALANCED,
        _BALANCED_EPOCHS,
        _CORRECTIONS,
        _LEAVE_OUT,
    )
    if masks and (used := [holder.name for holder in of_classes if holder.present]):
        raise ValueError(
            f"--{used[0]} is for data sets of one label an image: {dataset_name} brings its clean cases, leave it out"
        )
    drawn = [
        f"--{holder.name}={holder.value}"
        for holder in (_EXAMPLES, _PER_CLASS, _FILE, _BATCH, _SOURCE)
        if holder.value is not None
    ]
    sizes = [holder for holder in (_EXAMPLES, _PER_CLASS) if holder.value is not None]
    labelled = [*sizes, *((_FILE,) if _FILE.value is not None else ())]
    if validating:
        drawn = [text for text in drawn if text.startswith((f"--{_BATCH.name}=", f"--{_SOURCE.name}="))]
    if not needed and drawn:
        with_meta = any(option.name == "meta" for option in kind.OPTIONS)
        way_out = "add --meta, which does, or leave it out" if with_meta else "leave it out"
        raise ValueError(f"--method={method} does not use {', '.join(drawn)}: {way_out}")
    if validation == "noisy_holdout" and not _HOLDOUT.value:
        raise ValueError("--validation=noisy_holdout evaluates on a hold-out: give its size by --holdout_examples")
    if _CRITERION.value is not None and not _HOLDOUT.value:
        raise ValueError("--holdout_criterion decides on a hold-out: give --holdout_examples, or leave it out")
    if _BALANCED.value and _BALANCED_EPOCHS.value:
        raise ValueError("--balanced_batches and --balanced_epochs both say how batches are drawn: give one of them")
    for holder in (_BALANCED, _BALANCED_EPOCHS):
        if holder.value and not kind.READS_GIVEN:
            raise ValueError(f"--{holder.name} draws noisy batches, which --method={method} does not use: leave it out")
    if needed and source not in (*kind.clean_sources, "corrections"):
        able = [name for name in methods.names() if source in methods.get(name).clean_sources]
        raise ValueError(f"--clean_source={source} belongs to --method={' or '.join(able)}, not to {method}")
    if source in ("mixture", "labelled") and labelled:
        raise ValueError(f"--clean_source={source} works without clean labels: leave --{labelled[0].name} out")
    if reviewed and labelled:
        raise ValueError(f"--clean_source=corrections takes all that were checked: leave --{labelled[0].name} out")
    if len(sizes) > 1:
        raise ValueError("--clean_examples and --clean_examples_per_class both size the clean set: give one, not both")
    # Whether a folder has checked images is seen when it is read.
    if source in ("set", "validation") and not labelled and dataset_name not in HAVE_CLEAN_SET and not masks:
        of_meta = not validating and CLEAN_SET not in kind.NEEDS
        needing = "--validation=clean_set" if validating else "--meta" if of_meta else f"--method={method}"
        or_else = ", or --clean_source=labelled to take those that the method trusts" if of_meta else ""
        raise ValueError(
            f"{needing} needs samples with true labels: give --clean_examples (1000 in the papers) or "
            "--clean_examples_per_class to draw from the data set's own, or --clean_labels_file for ones you checked"
            f"{or_else}"
        )
    return CleanConfig(
        clean_examples=_EXAMPLES.value,
        clean_examples_per_class=_PER_CLASS.value,
        clean_batch_size=_BATCH.value,
        clean_source=source,
        holdout_examples=_HOLDOUT.value,
        balanced_batches=_BALANCED.value,
        holdout_criterion=_CRITERION.value or "loss",
        clean_labels_file=_FILE.value,
        balanced_epochs=_BALANCED_EPOCHS.value,
        corrections_file=_CORRECTIONS.value,
        leave_out_suspects=_LEAVE_OUT.value,
    )


def suspects_of(text: str) -> tuple[int, str]:
    """Number of suspects and run folder of --leave_out_suspects=N:RUN.

    Raises:
        ValueError: another form.
    """
    count, _, folder = text.partition(":")
    if not count.isdecimal() or len(count) > 18 or not int(count) or not folder:
        raise ValueError(f"--leave_out_suspects={text}: give a number of images and a run folder, as in 500:runs/plain")
    return int(count), folder
