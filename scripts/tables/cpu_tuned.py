"""Every method on 10,000 CIFAR-10 images of 16x16 pixels, each tuned with the same budget, under four kinds of noise.

Data, student and length are those of ``cpu_methods``. Each method has three trials, 500 of the 1,500 steps long, on
its most sensitive setting, judged by 1,000 noisy training images that are kept back; what was best is trained at full
length (DivideMix and its kin, which count in epochs: 5 of 15). Those with a clean set are judged by noisy images, too:
what trains on its clean set can't be judged by it. Settings that the trials don't choose are the papers', or what they
are in ``cpu_methods``; the schedules of R(t) come down within two epochs, so that short trials see them.
"""

from __future__ import annotations

from dataclasses import dataclass

from scripts.tables import recipe_files
from scripts.tables.cpu_methods import CLEAN, CPU_FLAGS, MENTORNET_DROPOUT
from scripts.tables.declarations import Table
from scripts.tables.recipe_files import FOLDER, run_folder
from scripts.tables.semi_twins import PRETRAINING

NOISES = {
    "uniform": ("40% uniform noise", ("--noise_type=uniform", "--noise_fraction=0.4")),
    "asymmetric": ("40% asymmetric noise", ("--noise_type=asymmetric", "--noise_fraction=0.4")),
    "human": ("human labels (CIFAR-10N, worst)", ("--noise_type=human:worse",)),
    "background": ("40% background noise", ("--noise_type=background", "--noise_fraction=0.4")),
}
NAME = "cpu_tuned"
SCRIPT = "scripts/search_schedule.py"
JUDGED = ("--validation=noisy_holdout", "--holdout_examples=1000")
FIRST = "first"
"""The row of plain training that is not tuned; three methods begin with it."""
BURN_IN = ("--burn_in_epoch=20", MENTORNET_DROPOUT)
NO_BURN_IN = ("--burn_in_epoch=0", "--example_dropout_rates=0")
KNOWS = "may know"
"""How the line of a head begins that says what a method is told."""
NOTHING, CLEAN_SET = "noisy labels alone", "1,000 clean images"
MATRIX = "the true transition matrix"


@dataclass(frozen=True)
class Tuned:
    """A method, what is tried of it, and what it may know.

    Attributes:
        grid: of --space=grid:.
        own: its flags.
        knows: beside the noisy labels.
        begins: "first" or "simclr": what is trained before it.
    """

    grid: str
    own: tuple[str, ...]
    knows: str = NOTHING
    begins: str = ""


def _curriculum(
    grid: str,
    curriculum: str,
    *,
    burn_in: bool | tuple[str, ...] = False,
    percentile: bool = False,
    knows: str = NOTHING,
) -> Tuned:
    around = burn_in if isinstance(burn_in, tuple) else BURN_IN if burn_in else NO_BURN_IN
    fixed = () if percentile else ("--loss_p_percentile=0.6",)
    return Tuned(grid, (f"--curriculum={curriculum}", *fixed, *around), knows)


RATE = "learning_rate=0.01,0.02,0.05"
PERCENTILE = "loss_p_percentile=0.5,0.6,0.75"
KEEP = "keep_schedule=" + "|".join(f"co_teaching:tau={tau},epochs=2" for tau in ("0.2", "0.4", "0.6"))
SEMI = ("--augmentation=release", "--num_epochs=15", "--warmup_epochs=5")

METHODS: dict[str, Tuned] = {
    "plain": Tuned(RATE, ("--method=standard",)),
    "forgetting": Tuned("dropout_keep_probability=0.3,0.5,0.8", ("--method=standard",)),
    "mixup": Tuned("mixup_shape=1,8,32", ("--method=mixup",)),
    "resampling": Tuned(RATE, ("--method=standard", "--balanced_batches")),
    "class_weights": Tuned(RATE, ("--method=class_weights",)),
    "random_weights": Tuned(RATE, ("--method=random_weights",)),
    "hard_mining": Tuned("kept_share=0.3,0.5,0.8", ("--method=hard_mining",)),
    "reed_soft": Tuned("reed_beta=0.7,0.8,0.95", ("--method=reed", "--reed_kind=soft")),
    "reed_hard": Tuned("reed_beta=0.7,0.8,0.95", ("--method=reed", "--reed_kind=hard")),
    "generalised_cross_entropy": Tuned("gce_q=0.3,0.5,0.7", ("--method=generalised_cross_entropy",)),
    "s_model": Tuned("noise_layer_smoothing=0.05,0.1,0.3", ("--method=s_model",)),
    "s_model_confusion": Tuned(RATE, ("--method=s_model",), begins=FIRST),
    "forward_estimated": Tuned("transition_outlier_share=0,0.03,0.1", ("--method=forward_correction",), begins=FIRST),
    "forward_true": Tuned(RATE, ("--method=forward_correction", "--transition_matrix=true"), MATRIX),
    "backward_true": Tuned(RATE, ("--method=backward_correction", "--transition_matrix=true"), MATRIX),
    "self_paced": _curriculum(PERCENTILE, "self_paced", percentile=True),
    "self_paced_burn_in": _curriculum(PERCENTILE, "self_paced", burn_in=True, percentile=True),
    "spcl_linear": _curriculum(PERCENTILE, "spcl_linear", percentile=True),
    "spcl_linear_burn_in": _curriculum(PERCENTILE, "spcl_linear", burn_in=True, percentile=True),
    "spcl": _curriculum("lambda1=0.5,1,2", "spcl:lambda1=1,lambda2=1"),
    "focal_loss": _curriculum("gamma=1,2,3", "focal_loss:gamma=2"),
    "focal_loss_burn_in": _curriculum("gamma=1,2,3", "focal_loss:gamma=2", burn_in=True),
    "hard_example_mining": _curriculum(PERCENTILE, "hard_example_mining:positive_label_kept=0", percentile=True),
    "temporal_mixture": _curriculum("switch=25,50,75", "temporal_mixture"),
    "prediction_variance": _curriculum("scale=1,2,4", "prediction_variance"),
    "huber": _curriculum("scale=0.5,1,2", "huber"),
    "log_sum": _curriculum("epsilon=0.5,1,2", "log_sum:scale=0.5"),
    "lorentzian": _curriculum("delta=0.5,1,2", "lorentzian"),
    "mentornet_pd": _curriculum(PERCENTILE, "mentornet_pd", burn_in=True, percentile=True),
    "mentornet_pd_v1": _curriculum(
        PERCENTILE,
        "mentornet_pd_v1",
        burn_in=("--burn_in_epoch=20", "--example_dropout_rates=0.5,20,0.05,70,0,10"),
        percentile=True,
    ),
    "mentornet_dd": Tuned(
        PERCENTILE,
        (
            "--curriculum=mentornet_dd",
            "--mentor_examples=1000",
            "--mentor_steps=2000",
            "--burn_in_epoch=21",
            "--example_dropout_rates=0.5,21,0.05,79",
        ),
        "1,000 true labels, of which its MentorNet learns",
    ),
    "small_loss": Tuned(KEEP, ("--method=small_loss",)),
    "decoupling": Tuned(RATE, ("--method=decoupling", "--agreement_steps=300")),
    "co_teaching": Tuned(KEEP, ("--method=co_teaching",)),
    "co_teaching_plus": Tuned(KEEP, ("--method=co_teaching_plus", "--warmup_epochs=5")),
    "clean_only": Tuned("learning_rate=0.005,0.01,0.02", ("--method=clean_only", CLEAN), CLEAN_SET),
    "fine_tuned": Tuned("learning_rate=0.002,0.005,0.02", ("--method=clean_only", CLEAN), CLEAN_SET, FIRST),
    "l2rw": Tuned("learning_rate=0.02,0.05,0.1", ("--method=l2rw", CLEAN), CLEAN_SET),
    "l2b": Tuned("clip_norm=1,5,20", ("--method=l2b", CLEAN, "--warmup_steps=100"), CLEAN_SET),
    "l2b_mixture": Tuned("clip_norm=1,5,20", ("--method=l2b", "--clean_source=mixture", "--warmup_steps=300")),
    "dividemix": Tuned("lambda_u=0,25,50", ("--method=dividemix", *SEMI)),
    "unicon": Tuned("lambda_u=0,30,60", ("--method=unicon", *SEMI)),
    "c2d": Tuned(
        "lambda_u=0,25,50", ("--method=c2d", *SEMI, "--pretrained_run=runs/simclr_cifar10_10000"), begins="simclr"
    ),
}
"""By the row of the table."""
IN_EPOCHS = ("dividemix", "unicon", "c2d")


def recipes() -> list[recipe_files.File]:
    """All methods under each noise, and the plain training that three of them begin with."""
    left_out = ("--noise_fraction", "--eval_every_steps")
    shared = [flag for flag in CPU_FLAGS if flag.partition("=")[0] not in left_out]
    files = []
    for noise, (title, of_noise) in NOISES.items():
        first = FOLDER / NAME / f"{noise}_{FIRST}.flags"
        head = [*_head(FIRST, title), f"{KNOWS}: {NOTHING}", "hardware and hours: 1 CPU core, 1 to 2 minutes"]
        flags = [*shared, *of_noise, "--eval_every_steps=150", "--method=standard", *JUDGED]
        files.append(recipe_files.file(first, head, flags, "train_cifar.py"))
        for name, tuned in METHODS.items():
            epochs = name in IN_EPOCHS
            hours = "1 CPU core, 20 to 40 minutes" if epochs else "1 CPU core, 2 to 5 minutes"
            head = [
                *_head(name, title),
                f"{KNOWS}: {tuned.knows}",
                f"hardware and hours: {hours} with its trials, for one seed",
            ]
            replaced = ("--max_number_of_steps", "--augmentation") if epochs else ()
            own = [flag for flag in shared if flag.partition("=")[0] not in replaced]
            flags = [*own, *of_noise, *([] if epochs else ["--eval_every_steps=150"]), *tuned.own, *JUDGED]
            if tuned.begins == FIRST:
                head.append(f"First run the recipe {first.name} of this folder: this one needs its student.")
                flags.append(f"--baseline_run={run_folder(first)}")
            elif tuned.begins:
                first_command = f"python scripts/pretrain_simclr.py {PRETRAINING['cifar10_10000']}"
                head.append(f"First: {first_command} --train_log_dir=runs/simclr_cifar10_10000")
            flags += [f"--space=grid:{tuned.grid}", "--trial_epochs=5" if epochs else "--trial_steps=500"]
            files.append(
                recipe_files.file(FOLDER / NAME / f"{noise}_{name}.flags", head, flags, SCRIPT, output="--output")
            )
    return files


def _head(name: str, title: str) -> list[str]:
    what = "plain training, not tuned" if name == FIRST else f"{name}, tuned by three short trials on a noisy hold-out"
    return [
        f"CIFAR-10 subset on a CPU: {what}; a small CNN, 10,000 images of 16x16 pixels, {title}.",
        "expected: docs/all_methods.md has what was measured",
    ]


TABLES = (
    Table(
        NAME,
        "every method, tuned alike, under four kinds of noise",
        r"(?P<column>uniform|asymmetric|human|background)_(?P<row>.+)",
        setting="10,000 images of CIFAR-10 at 16x16 pixels, a small CNN, 1,500 steps of 100; tuned by 3 trials of 500",
    ),
)
