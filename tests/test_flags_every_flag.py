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

ROOT = Path(__file__).resolve().parents[1]
TRAIN = ["--train_log_dir=t", "--dataset_name=cifar10"]
EVALUATE = ["--checkpoint_dir=r", "--mode=evaluate"]
DUMP = ["--checkpoint_dir=r", "--mode=dump_losses", "--output_csv_file=a.csv"]
PD = [*TRAIN, "--curriculum=mentornet_pd"]
DD = [*TRAIN, "--curriculum=mentornet_dd"]
ADAM = [*TRAIN, "--optimizer=adam", "--learning_rate_schedule=linear"]
L2RW = [*TRAIN, "--method=l2rw"]
UNICON = [*TRAIN, "--method=unicon", "--num_epochs=20"]
UNIFORM = [*TRAIN, "--noise_type=uniform", "--noise_fraction=0.4"]
PHANTOMS = [*TRAIN, "--dataset_name=phantoms"]
MASKS = [*TRAIN, "--dataset_name=mask_folder", "--data_dir=d"]
IMAGENET = ["--train_log_dir=t", "--data_dir=d"]
LIST = [*IMAGENET, "--dataset_name=list"]

# Flag -> (the run without it, what is added to it).
CHANGES = {
    # a run
    "preset": (TRAIN, "--preset=release"),
    "mode": (TRAIN, "--mode=train"),
    "train_log_dir": (TRAIN, "--train_log_dir=elsewhere"),
    "seed": (TRAIN, "--seed=1"),
    "max_number_of_steps": (TRAIN, "--max_number_of_steps=7"),
    "num_epochs": (TRAIN, "--num_epochs=7"),
    "eval_every_steps": (TRAIN, "--eval_every_steps=7"),
    "save_summaries_secs": (TRAIN, "--save_summaries_secs=7"),
    "save_interval_secs": (TRAIN, "--save_interval_secs=7"),
    "keep_checkpoints": (TRAIN, "--keep_checkpoints=7"),
    "device_id": (TRAIN, "--device_id=1"),
    "mixed_precision": (TRAIN, "--mixed_precision=float16"),
    "jit_compile": (TRAIN, "--jit_compile"),
    "steps_per_execution": (TRAIN, "--steps_per_execution=7"),
    "deterministic": (TRAIN, "--nodeterministic"),
    "show_progress": (TRAIN, "--noshow_progress"),
    "tensorflow_logs": (TRAIN, "--tensorflow_logs"),
    "checkpoint_dir": (EVALUATE, "--checkpoint_dir=elsewhere"),
    "eval_dir": (EVALUATE, "--eval_dir=e"),
    "eval_interval_secs": (EVALUATE, "--eval_interval_secs=7"),
    "split_name": (EVALUATE, "--split_name=train"),
    "output_csv_file": (EVALUATE, "--output_csv_file=a.csv"),
    "dump_examples": (DUMP, "--dump_examples=7"),
    "dump_epoch": (DUMP, "--dump_epoch=7"),
    "keep_dumps_at": (TRAIN, "--keep_dumps_at=18"),
    "activations_file": (DUMP, "--activations_file=a.npz"),
    # data
    "dataset_name": (TRAIN, "--dataset_name=cifar100"),
    "data_dir": (TRAIN, "--data_dir=d"),
    "download": (TRAIN, "--nodownload"),
    "image_size": (TRAIN, "--image_size=16"),
    "batch_size": (TRAIN, "--batch_size=7"),
    "max_batches_per_epoch": (TRAIN, "--max_batches_per_epoch=7"),
    "train_examples": (TRAIN, "--train_examples=700"),
    "noise_type": (UNIFORM, "--noise_type=symmetric"),
    "noise_fraction": (UNIFORM, "--noise_fraction=0.2"),
    "noise_variant": (UNIFORM, "--noise_variant=author"),
    "noise_class": ([*UNIFORM, "--noise_type=background"], "--noise_class=7"),
    "noise_seed": (UNIFORM, "--noise_seed=7"),
    "held_out_tenth": ([*TRAIN, "--dataset_name=folder", "--data_dir=d"], "--held_out_tenth=7"),
    "labels_file": (TRAIN, "--labels_file=a.csv"),
    "human_labels_file": ([*TRAIN, "--noise_type=human:worse"], "--human_labels_file=a.npz"),
    "augmentation": (TRAIN, "--augmentation=none"),
    "validation": (TRAIN, "--validation=test_half"),
    # masks
    "mask_noise": (PHANTOMS, "--mask_noise=l1"),
    "num_cases": (PHANTOMS, "--num_cases=7,1,1"),
    "num_slices": (PHANTOMS, "--num_slices=7"),
    "structures": ([*TRAIN, "--dataset_name=brain_template"], "--structures=grey_and_white_matter"),
    "mask_values": (MASKS, "--mask_values=0,7"),
    "voxel_spacing": (MASKS, "--voxel_spacing=7,1,1"),
    "cases_from": (MASKS, "--cases_from=file"),
    # student
    "studentnet": (TRAIN, "--studentnet=resnet8"),
    "student_variant": (TRAIN, "--student_variant=release"),
    "dropout_keep_probability": (TRAIN, "--dropout_keep_probability=0.7"),
    "weight_decay": (TRAIN, "--weight_decay=0.7"),
    "optimizer": (TRAIN, "--optimizer=adam"),
    "learning_rate": (TRAIN, "--learning_rate=0.7"),
    "learning_rate_decay_factor": (TRAIN, "--learning_rate_decay_factor=0.7"),
    "num_epochs_per_decay": (TRAIN, "--num_epochs_per_decay=7"),
    "learning_rate_boundaries": (TRAIN, "--learning_rate_boundaries=7"),
    "learning_rate_schedule": (TRAIN, "--learning_rate_schedule=cosine"),
    "cosine_epochs": ([*UNICON, "--learning_rate_schedule=cosine"], "--cosine_epochs=7"),
    "lowest_learning_rate": ([*TRAIN, "--learning_rate_schedule=cosine"], "--lowest_learning_rate=0.01"),
    "inverse_decay_epochs": ([*TRAIN, "--learning_rate_schedule=inverse"], "--inverse_decay_epochs=7"),
    "linear_decay_epoch": (ADAM, "--linear_decay_epoch=7"),
    "adam_beta1": (ADAM, "--adam_beta1=0.7"),
    "adam_beta1_after_decay": (ADAM, "--adam_beta1_after_decay=0.7"),
    "momentum": (TRAIN, "--momentum=0.7"),
    # SPADE
    "method": (TRAIN, "--method=reed"),
    "curriculum": (TRAIN, "--curriculum=self_paced"),
    "trained_mentornet_dir": (TRAIN, "--trained_mentornet_dir=m/d"),
    "fixed_label": ([*TRAIN, "--curriculum=m/d"], "--fixed_label=0"),
    "loss_p_percentile": (PD, "--loss_p_percentile=0.6"),
    "loss_p_precentile": (PD, "--loss_p_precentile=0.6"),
    "percentile_method": (PD, "--percentile_method=nearest"),
    "loss_moving_average_decay": (PD, "--loss_moving_average_decay=0.7"),
    "burn_in_epoch": (PD, "--burn_in_epoch=7"),
    "burn_in_mode": (PD, "--burn_in_mode=ones"),
    "fixed_epoch_after_burn_in": (PD, "--fixed_epoch_after_burn_in"),
    "example_dropout_rates": (PD, "--example_dropout_rates=0.7"),
    "example_dropout_mode": (PD, "--example_dropout_mode=proportional"),
    "explicit_curriculum": ([*TRAIN, "--curriculum=self_paced"], "--explicit_curriculum"),
    "weight_step_size": ([*TRAIN, "--curriculum=self_paced", "--explicit_curriculum"], "--weight_step_size=0.7"),
    "curriculum_update_epochs": (DD, "--curriculum_update_epochs=30"),
    "mentor_examples": (DD, "--mentor_examples=700"),
    "mentor_steps": (DD, "--mentor_steps=700"),
    # clean samples
    "clean_examples": ([*L2RW, "--clean_examples=5"], "--clean_examples=70"),
    "clean_examples_per_class": ([*L2RW, "--clean_examples_per_class=5"], "--clean_examples_per_class=7"),
    "clean_labels_file": ([*L2RW, "--clean_examples=5"], "--clean_labels_file=a.csv"),
    "clean_batch_size": ([*L2RW, "--clean_examples=50"], "--clean_batch_size=7"),
    "corrections_file": (TRAIN, "--corrections_file=a.csv"),
    "leave_out_suspects": (TRAIN, "--leave_out_suspects=7:r"),
    "clean_source": ([*TRAIN, "--dataset_name=folder", "--data_dir=d", "--method=l2b"], "--clean_source=mixture"),
    "holdout_examples": (TRAIN, "--holdout_examples=70"),
    "holdout_criterion": ([*TRAIN, "--holdout_examples=70"], "--holdout_criterion=accuracy"),
    "balanced_batches": (TRAIN, "--balanced_batches"),
    "balanced_epochs": (TRAIN, "--balanced_epochs"),
    # distribution
    "distribution_strategy": (TRAIN, "--distribution_strategy=parameter_server"),
    "tpu": ([*TRAIN, "--distribution_strategy=tpu"], "--tpu=here"),
    "logical_cpus": ([*TRAIN, "--distribution_strategy=mirrored"], "--logical_cpus=2"),
    "synchronized_batch_norm": (TRAIN, "--synchronized_batch_norm"),
}  # fmt: skip
OF_IMAGENET = {
    "auxiliary_head": (IMAGENET, "--noauxiliary_head"),
    "colour_distortion": (IMAGENET, "--colour_distortion=full"),
    "preprocessing": (IMAGENET, "--preprocessing=webvision"),
    "imagenet_weights": ([*IMAGENET, "--studentnet=resnet50"], "--imagenet_weights=a.h5"),
    "background_class": (IMAGENET, "--nobackground_class"),
    "webvision_parts": ([*IMAGENET, "--dataset_name=webvision"], "--webvision_parts=google"),
    "ilsvrc_dir": ([*IMAGENET, "--dataset_name=webvision"], "--ilsvrc_dir=i"),
    "train_list": (LIST, "--train_list=a.csv"),
    "test_list": (LIST, "--test_list=a.csv"),
    "max_unreadable": (IMAGENET, "--max_unreadable=7"),
    "index_dir": (IMAGENET, "--index_dir=i"),
    "files_outside_data_dir": (IMAGENET, "--files_outside_data_dir"),
}
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
