"""Every flag of both scripts changes some run, and where it would be ignored it is refused.

A flag without an entry below fails: whoever adds one says in which run it makes a difference.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from absl import flags as absl_flags

from flags import configuration
from flags.define import imagenet_flags, method_flags
from mentornet.options import Option
from tests.flag_changes import ADAM, CHANGES, DD, DUMP, EVALUATE, IMAGENET, LIST, OF_IMAGENET, PD, TRAIN, UNICON

ROOT = Path(__file__).resolve().parents[1]
REPLACED = {"master": "--master=m", "ps_tasks": "--ps_tasks=0", "task": "--task=0"}

# What a method's option needs beside it, where a method alone won't do.
CLEAN = ["--clean_examples=50"]
NEEDED = {
    "l2rw": CLEAN,
    "l2b": CLEAN,
    "clean_only": CLEAN,
    "forward_correction": ["--transition_matrix=true"],
    "backward_correction": ["--transition_matrix=true"],
    "dividemix": ["--num_epochs=20"],
    "unicon": ["--num_epochs=20"],
    "c2d": ["--num_epochs=20", "--pretrained_run=none"],
}
MATRIX_OF_RUN = ["--baseline_run=r"]
SEMI_SUPERVISED = ("dividemix", "unicon", "c2d")
ALSO = {(method, "meta"): CLEAN for method in SEMI_SUPERVISED}  # what the option itself needs
BESIDE = {
    **{(method, "clip_norm"): [*NEEDED[method], *CLEAN, "--meta=l2b"] for method in SEMI_SUPERVISED},
    ("l2b", "l2b_temperature"): [*CLEAN, "--l2b_normalisation=softmax"],
    ("forward_correction", "transition_matrix"): MATRIX_OF_RUN,
    ("backward_correction", "transition_matrix"): MATRIX_OF_RUN,
    ("forward_correction", "transition_outlier_share"): MATRIX_OF_RUN,
    ("backward_correction", "transition_outlier_share"): MATRIX_OF_RUN,
}
# Where one flag takes the place of another that the run has to have.
INSTEAD = {"transition_matrix": MATRIX_OF_RUN, "baseline_run": ["--transition_matrix=true"]}
VALUES = {"transition_matrix": "true", "baseline_run": "r", "keep_schedule": "constant:0.7", "pseudo_label_views": "5"}
OPTIONS = [(method, flag) for flag, offers in method_flags.OFFERED.items() for method in offers]


def parsed(script: str, arguments: list[str]) -> object:
    make = imagenet_flags if script == "train_imagenet.py" else configuration
    return make.parse([script, *arguments])


def names(modules) -> set[str]:
    return {flag.name for module in modules for flag in absl_flags.FLAGS.get_flags_for_module(module)}


def value_of(option: Option) -> str:
    """A value in the option's range that is not its default."""
    if option.name in VALUES:
        return VALUES[option.name]
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    if option.kind is bool:
        return "true"
    for number in (7, 0.7):
        try:
            option.check(number)
        except ValueError:
            continue
        if number != option.default:
            return str(number)
    return "0.3"


def test_no_flag_is_left_out():
    known = {*CHANGES, *OF_IMAGENET, *REPLACED, *method_flags.OFFERED}
    assert names(configuration.MODULES) - names([imagenet_flags]) <= known
    assert names(imagenet_flags.MODULES) == known


@pytest.mark.parametrize("flag", [*CHANGES, *OF_IMAGENET])
def test_a_flag_changes_a_run(flag):
    script = "train_imagenet.py" if flag in OF_IMAGENET else "train_cifar.py"
    without, added = (CHANGES | OF_IMAGENET)[flag]
    assert re.match(rf"--(no)?{flag}(=|$)", added)
    if flag == "clean_labels_file":
        added_to = [given for given in without if not given.startswith("--clean_examples")]
    else:
        added_to = without
    assert parsed(script, without) != parsed(script, [*added_to, added])


@pytest.mark.parametrize(("method", "flag"), OPTIONS)
def test_an_option_of_a_method_changes_its_run(method, flag):
    option = method_flags.OFFERED[flag][method]
    beside = BESIDE.get((method, flag), NEEDED.get(method, []))
    without = [*TRAIN, f"--method={method}", *beside]
    added_to = [*without, *ALSO.get((method, flag), [])]
    if method.endswith("_correction") and flag in INSTEAD:
        added_to = [*TRAIN, f"--method={method}"]
        without = [*added_to, *INSTEAD[flag]]
    before, after = (
        parsed("train_cifar.py", given).identity() for given in (without, [*added_to, f"--{flag}={value_of(option)}"])
    )
    assert before != after


@pytest.mark.parametrize("flag", REPLACED)
def test_a_flag_that_was_replaced_is_refused(flag):
    with pytest.raises(ValueError, match="TF_CONFIG"):
        parsed("train_cifar.py", [*TRAIN, REPLACED[flag]])


NO_UPDATES = "is about learning the MentorNet while training"
REFUSED = [
    ("train_cifar.py", [*PD, "--mentor_examples=70"], f"--mentor_examples {NO_UPDATES}"),
    ("train_cifar.py", [*PD, "--mentor_steps=30000"], f"--mentor_steps {NO_UPDATES}"),
    ("train_cifar.py", [*TRAIN, "--mentor_steps=30000"], "--mentor_steps needs a curriculum"),
    ("train_cifar.py", [*TRAIN, "--method=reed", "--nofixed_epoch_after_burn_in"], "does not use --fixed_epoch"),
    ("train_cifar.py", [*DD, "--nofixed_epoch_after_burn_in"], "knows the epoch of its learning alone"),
    ("train_cifar.py", [*TRAIN, "--learning_rate_schedule=cosine", "--learning_rate_decay_factor=0.1"], "=steps only"),
    ("train_cifar.py", [*TRAIN, "--cosine_epochs=7"], "is used by --learning_rate_schedule=cosine only"),
    (
        "train_cifar.py",
        [*TRAIN, "--learning_rate_schedule=cosine", "--cosine_epochs=7"],
        "of methods that count in epochs",
    ),
    (
        "train_cifar.py",
        [*TRAIN, "--learning_rate_schedule=cosine", "--lowest_learning_rate=0.2"],
        "must be at most --learning_rate=0.1",
    ),
    ("train_cifar.py", [*UNICON, "--pretrained_run=r"], "does not use --pretrained_run"),
    ("train_cifar.py", [*ADAM, "--learning_rate_decay_factor=0.1"], "is used by --learning_rate_schedule=steps only"),
    ("train_cifar.py", [*TRAIN, "--eval_dir=e"], "--mode=train_and_evaluate does not use --eval_dir"),
    ("train_cifar.py", [*TRAIN, "--eval_interval_secs=600"], "does not use --eval_interval_secs"),
    ("train_cifar.py", [*TRAIN, "--mode=train", "--split_name=test"], "--mode=train does not use --split_name"),
    ("train_cifar.py", [*DUMP, "--eval_dir=e"], "--mode=dump_losses does not use --eval_dir"),
    ("train_cifar.py", [*PD, "--fixed_label=0"], "is a formula"),
    ("train_cifar.py", [*EVALUATE, "--keep_dumps_at=18"], "--mode=evaluate does not use --keep_dumps_at"),
    ("train_cifar.py", [*TRAIN, "--mode=suspects", "--checkpoint_dir=r"], "--flagfile=RUN/flags.txt"),
    (
        "train_cifar.py",
        [*PD, "--loss_p_percentile=auto", "--distribution_strategy=mirrored"],
        "--loss_p_percentile=auto trains on one device first",
    ),
    ("train_cifar.py", [*TRAIN, "--held_out_tenth=1"], "--held_out_tenth belongs to --dataset_name=folder"),
    ("train_imagenet.py", [*IMAGENET, "--held_out_tenth=1"], "--held_out_tenth"),
    ("train_imagenet.py", [*IMAGENET, "--nodownload"], "this script downloads nothing"),
    (
        "train_imagenet.py",
        [*IMAGENET, "--augmentation=none", "--colour_distortion=fast"],
        "part of what --augmentation",
    ),
    ("train_imagenet.py", [*IMAGENET, "--holdout_examples=9"], "needs images that are held in memory"),
    ("train_imagenet.py", [*IMAGENET, "--validation=test_half"], "needs images that are held in memory"),
    ("train_imagenet.py", [*LIST, "--ilsvrc_dir=i"], "--ilsvrc_dir belongs to --dataset_name=webvision"),
]


@pytest.mark.parametrize(("script", "arguments", "sentence"), REFUSED)
def test_what_would_be_ignored_is_refused(script, arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parsed(script, arguments)


def test_a_default_of_train_imagenet_does_not_forbid_another_schedule():
    config = parsed("train_imagenet.py", [*IMAGENET, "--learning_rate_schedule=cosine"])
    assert (config.student.learning_rate_schedule, config.student.num_epochs_per_decay) == ("cosine", None)


def test_every_setting_is_read_where_runs_are_made():
    """A field of a configuration that nothing looks at would be a flag that does nothing."""
    folders = [ROOT / "flags" / "build", ROOT / "flags" / "commands"]
    text = (ROOT / "flags" / "configuration.py").read_text() + (
        ROOT / "flags" / "define" / "student_flags.py"
    ).read_text()
    text += "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    config = parsed("train_imagenet.py", IMAGENET)
    for part in dataclasses.fields(config):
        for field in dataclasses.fields(getattr(config, part.name)):
            assert re.search(rf"\.{field.name}\b", text), f"{part.name}.{field.name}"
