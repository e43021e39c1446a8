"""The recipes of Clothing1M, ISIC 2019 and WebVision-mini as DivideMix and L2B train on them, and twins for a CPU.

L2B (Zhou, Li et al., CVPR 2024): table 4 and the columns of ISIC in table 1; DivideMix (Li, Socher and Hoi, ICLR 2020):
tables 3 and 4. Settings are those of the released codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scripts.tables import recipe_files
from scripts.tables.l2b import L2B_BOOTSTRAP_NOTE
from scripts.tables.recipe_files import FOLDER

SCRIPT = "train_imagenet.py"
PERCENTS = ("20", "30", "40", "50")
TABLE_1_ISIC = {
    "ce": ("79.4", "77.5", "75.3", "73.7"),
    "bootstrap": ("80.8", "77.7", "75.7", "74.8"),
    "l2rw": ("80.1", "77.7", "76.3", "74.1"),
    "l2b": ("81.1", "80.2", "78.6", "76.8"),
}
NO_DROPOUT = "--dropout_keep_probability=1"
NOT_RUN = "hardware and hours: {}; not run here"
KERNELS = "Weight decay is on kernels only in this row, on all parameters in that of l2b as in the released code."

COSINE = ("--learning_rate_schedule=cosine", "--weight_decay=5e-4", NO_DROPOUT)
CLOTHING = ("--dataset_name=clothing1m", "--balanced_epochs")
CLOTHING_L2B = (*CLOTHING, "--studentnet=resnet18", "--batch_size=256", "--max_batches_per_epoch=250",
                "--num_epochs=300", "--learning_rate=0.005", *COSINE)  # fmt: skip
CLOTHING_DIVIDEMIX = (*CLOTHING, "--studentnet=resnet50", "--batch_size=64", "--max_batches_per_epoch=1000",
                      "--num_epochs=80", "--learning_rate=0.002", "--learning_rate_boundaries=40",
                      "--weight_decay=1e-3", NO_DROPOUT, "--method=dividemix", "--warmup_epochs=1",
                      "--entropy_penalty", "--lambda_u=0", "--mixup_alpha=0.5", "--validation=clean_set")  # fmt: skip
ISIC = ("--dataset_name=isic2019", "--studentnet=resnet50", "--batch_size=64", "--num_epochs=30",
        "--learning_rate=0.01", *COSINE)  # fmt: skip
ISIC_EPOCH = 20_400 // 64
ISIC_CLEAN = ("--method=l2b", "--clean_examples_per_class=80", "--clip_norm=0.8", f"--warmup_steps={ISIC_EPOCH}")
ISIC_OWN = {
    "ce": ("--method=standard", "--train_examples=20400"),
    "bootstrap": ("--method=reed", "--reed_kind=hard", "--reed_beta=0.8", "--train_examples=20400"),
    "l2rw": (*ISIC_CLEAN, "--l2b_ablation=beta_zero", "--l2b_normalisation=sigmoid"),
    "l2b": (*ISIC_CLEAN, "--l2b_normalisation=softmax", "--l2b_temperature=10"),
}
ISIC_NOTES = {
    "ce": KERNELS,
    "bootstrap": f"{KERNELS} {L2B_BOOTSTRAP_NOTE}",
    "l2rw": "L2B's loop without the pseudo labels; the released code takes a sigmoid of the rectified scores here.",
    "l2b": "The command of the released code: a softmax of the scores over 10, which makes all weights nearly equal; "
    "the paper's own eq. 9 is without both --l2b_normalisation and --l2b_temperature.",
}
WEBVISION = ("--dataset_name=webvision_mini", "--preprocessing=webvision", "--image_size=227",
             "--studentnet=inception_resnet_v2", "--noauxiliary_head", NO_DROPOUT, "--batch_size=64",
             "--num_epochs=80", "--learning_rate=0.01", "--learning_rate_boundaries=40", "--weight_decay=5e-4",
             "--method=dividemix", "--warmup_epochs=1", "--lambda_u=0", "--mixup_alpha=0.5")  # fmt: skip
DIVIDEMIX_NOTES = (
    "The released code trains one epoch more. At lambda_u=0 it passes only the rows whose first part is labelled "
    "through the network; here all of them are, which batch norm sees.",
)


def _file(
    folder: str, name: str, head: Sequence[str], flags: Sequence[str], data: str = "--data_dir=DATA"
) -> recipe_files.File:
    return recipe_files.file(FOLDER / folder / f"{name}.flags", head, flags, SCRIPT, data)


def clothing1m() -> list[recipe_files.File]:
    """L2B's table 4, as far as there are methods: plain training, DivideMix, naive L2B."""

    def head(name: str, expected: str, hours: str, *notes: str) -> list[str]:
        return [f"L2B (Zhou, Li et al. 2024) table 4, Clothing1M: {name}.", f"expected test accuracy: {expected}",
                NOT_RUN.format(hours), *notes]  # fmt: skip

    weights = "--data_dir=DATA --imagenet_weights=RESNET{}"
    small, large = weights.format("18.npz"), weights.format("50.h5")
    epochs = "An epoch: 250 batches, all 14 given classes equally often, drawn anew each time."
    return [
        _file(
            "l2b_table4", "ce",
            head("plain training", "69.2, which the paper quotes from elsewhere (a ResNet-50); settings of l2b here",
                 "one GPU; some 12 hours on a V100-class GPU by its FLOPs", epochs, KERNELS),
            [*CLOTHING_L2B, "--method=standard"], small,
        ),
        _file(
            "l2b_table4", "l2b",
            head("naive L2B, clean set of the 14,313 validation images", "77.5 ± 0.2 (best epoch, three runs)",
                 "one GPU; some 36 hours on a V100-class GPU by its FLOPs", epochs,
                 "No clip is published for this data set, and none is taken."),
            [*CLOTHING_L2B, "--method=l2b"], small,
        ),
        _file(
            "l2b_table4", "dividemix",
            head("DivideMix (its own table 3)", "74.8 (the two networks of the best validation epochs)",
                 "one GPU; some 5 days on a V100-class GPU by its FLOPs",
                 "Before an epoch each network looks at 32,000 images, drawn anew with all classes equally often.",
                 "eval_validation_accuracy in metrics.csv is what that code chooses its networks by; here a row is of "
                 "both together, and none is chosen.", *DIVIDEMIX_NOTES),
            list(CLOTHING_DIVIDEMIX), large,
        ),
    ]  # fmt: skip


def isic2019() -> list[recipe_files.File]:
    """The columns of ISIC 2019 in L2B's table 1."""
    files = []
    for name, numbers in TABLE_1_ISIC.items():
        for percent, expected in zip(PERCENTS, numbers, strict=True):
            head = [
                f"L2B (Zhou, Li et al. 2024) table 1, ISIC 2019: {name}, {percent}% symmetric noise, own class "
                "included.",
                f"expected test accuracy at the best epoch (accuracy_best): {expected}",
                NOT_RUN.format("one GPU; an hour on a V100-class GPU by its FLOPs, with a clean set 3"),
                "The test images are drawn here, and the paper's own are not published: --test_list takes a list.",
                ISIC_NOTES[name],
            ]
            noise = ["--noise_type=uniform", f"--noise_fraction={int(percent) / 100:g}"]
            data = "--data_dir=DATA --imagenet_weights=RESNET50.h5"
            files.append(
                _file("l2b_table1_isic2019", f"{percent}_{name}", head, [*ISIC, *noise, *ISIC_OWN[name]], data)
            )
    return files


def webvision() -> list[recipe_files.File]:
    """DivideMix's table 4."""
    head = [
        "DivideMix (Li, Socher and Hoi 2020) table 4, WebVision's Google images of 50 classes.",
        "expected top-1 (eval_accuracy, eval_ilsvrc_accuracy): 77.32 on WebVision, 75.20 on ILSVRC12",
        NOT_RUN.format("one GPU; some 4 days on a V100-class GPU by its FLOPs"),
        *DIVIDEMIX_NOTES,
    ]
    data = "--data_dir=WEBVISION --ilsvrc_dir=IMAGENET"
    return [_file("dividemix_table4", "webvision_mini", head, WEBVISION, data)]


TWIN = ("--studentnet=small_cnn", "--image_size=32", "--batch_size=56", NO_DROPOUT)
TWIN_DIVIDEMIX = ("--method=dividemix", "--num_epochs=8", "--warmup_epochs=3", "--learning_rate=0.02", "--lambda_u=0",
                  "--mixup_alpha=0.5")  # fmt: skip
TWIN_EPOCHS = ("--num_epochs=16", "--learning_rate=0.05", "--learning_rate_schedule=cosine")
TWINS: Mapping[str, tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]]] = {
    "clothing1m": (
        ("--dataset_name=clothing1m", "--balanced_epochs", "--max_batches_per_epoch=10"),
        {
            "fullmodel": (*TWIN_EPOCHS, "--method=standard", "--validation=clean_set"),
            "l2b": (*TWIN_EPOCHS, "--method=l2b"),
            "dividemix": (*TWIN_DIVIDEMIX, "--entropy_penalty", "--validation=clean_set"),
        },
    ),
    "isic2019": (
        ("--dataset_name=isic2019", "--noise_type=uniform", "--noise_fraction=0.4"),
        {
            "fullmodel": (*TWIN_EPOCHS, "--method=standard"),
            "l2b": (*TWIN_EPOCHS, "--method=l2b", "--clean_examples_per_class=8", "--clip_norm=0.8",
                    "--warmup_steps=12"),
        },
    ),
    "webvision": (
        ("--dataset_name=webvision_mini", "--preprocessing=webvision", "--webvision_parts=google,flickr"),
        {"dividemix": TWIN_DIVIDEMIX},
    ),
}  # fmt: skip


def twins() -> list[recipe_files.File]:
    """Small runs on generated images in these layouts."""
    files = []
    for layout, (flags, methods) in TWINS.items():
        for name, own in methods.items():
            head = [
                f"Twin of the large {layout} runs for a CPU: {name}, a small CNN on generated images of 32x32 pixels.",
                f"data: python scripts/make_fake_imagenet.py --layout={layout} --train=700 --test=140 "
                "--output_dir=FAKE",
                "expected accuracy: far above chance; the images are no benchmark",
                "hardware and hours: 2 CPU cores, 1 to 3 minutes",
            ]
            stem = f"{'webvision_mini' if layout == 'webvision' else layout}_{name}"
            files.append(_file("cpu_imagenet", stem, head, [*flags, *TWIN, *own], "--data_dir=FAKE"))
    return files


def recipes() -> list[recipe_files.File]:
    """All recipes of this module."""
    return [*clothing1m(), *isic2019(), *webvision(), *twins()]
