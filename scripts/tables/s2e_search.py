"""The recipes of S2E's searches (Yao et al., ICML 2020): table 2, table 5, figure 6, and the trainings of figure 1.

Networks, data and optimiser are those of ``s2e_figure3``; a search
recipe has the flags of scripts/search_schedule.py, too. The paper says neither how many trainings a search has nor how
they divide into M x K; its code has 7 x 6 (MNIST), 20 x 2 (CIFAR-10), 2 x 20 or 8 x 5 (CIFAR-100) for Newton's method
and draws 40 times at random. Here all searches have 36 trainings, M = K = 6.
"""

from __future__ import annotations

from collections.abc import Sequence

from scripts.tables import recipe_files
from scripts.tables.declarations import Table
from scripts.tables.recipe_files import FOLDER
from scripts.tables.s2e_figure3 import NETWORKS, NOISES, SHARED, Recipe

OUTER, SAMPLES = 6, 6
TRIALS = OUTER * SAMPLES
HYPERBAND_TRIALS = 100
SCRIPT = "scripts/search_schedule.py"
HOURS = {"mnist": "4 hours", "cifar10": "15 to 40 hours", "cifar100": "weeks"}

# Best test accuracy over all epochs; data set, noise -> the spaces in the order of the columns.
SPACES = ("co_teaching", "single", "rbf", "mlp", "paper")
TABLE_2 = {
    ("mnist", "sym20"): ("97.83", "97.67", "96.94", "97.69", "97.87"),
    ("mnist", "sym50"): ("96.54", "96.56", "95.53", "96.16", "96.90"),
    ("mnist", "pair45"): ("93.27", "94.99", "89.37", "93.25", "95.47"),
    ("cifar10", "sym20"): ("57.24", "57.83", "56.58", "56.82", "58.73"),
    ("cifar10", "sym50"): ("47.14", "47.81", "45.15", "46.18", "50.82"),
    ("cifar10", "pair45"): ("44.87", "45.19", "42.61", "44.26", "47.58"),
    ("cifar100", "sym20"): ("44.89", "44.93", "44.24", "44.57", "45.32"),
    ("cifar100", "sym50"): ("36.53", "36.71", "30.99", "35.88", "38.74"),
    ("cifar100", "pair45"): ("27.30", "31.25", "27.96", "28.06", "32.44"),
}
SPACE_NAMES = {"co_teaching": "Co-teaching", "single": "Single", "rbf": "RBF", "mlp": "MLP", "paper": "S2E"}
TABLE_5 = {"sym20": ("58.73", "57.82"), "sym50": ("50.82", "47.34"), "pair45": ("47.58", "41.46")}
SAMPLERS = ("newton", "gradient", "natural", "random", "tpe", "hyperband", "reference")


def _training(dataset: str, noise: str, network: str | None = None, shared: Sequence[str] = SHARED) -> list[str]:
    kind, fraction = NOISES[noise]
    data = [f"--dataset_name={dataset}", f"--noise_type={kind}", f"--noise_fraction={fraction:g}"]
    return [*data, f"--studentnet={network or NETWORKS[dataset]}", *shared]


def _search(
    name: str,
    dataset: str,
    noise: str,
    head: Sequence[str],
    flags: Sequence[str],
    seeds: str = "0,1,2,3,4",
    hours: str = "",
) -> recipe_files.File:
    hours = f"hardware and hours: one CPU core, about {hours or HOURS[dataset]} for the search"
    given = [*_training(dataset, noise), "--method=co_teaching", *flags, f"--retrain_seeds={seeds}"]
    return recipe_files.file(FOLDER / f"{name}.flags", [*head, hours], given, SCRIPT, output="--output")


def table_2() -> list[recipe_files.File]:
    """Search spaces, compared by random search as in the paper."""
    return [
        _search(
            f"s2e_table2/{dataset}_{noise}_{space}",
            dataset,
            noise,
            [
                f"S2E (Yao et al. 2020) table 2: space {SPACE_NAMES[space]}, {dataset}, {noise}, random search.",
                f"expected: {number} % best test accuracy over all epochs",
                f"{TRIALS} trainings; the paper does not say how many, its code has 40. --sampler=newton is S2E's own.",
            ],
            [f"--space={space}", "--sampler=random", f"--trials={TRIALS}"],
        )
        for (dataset, noise), numbers in TABLE_2.items()
        for space, number in zip(SPACES, numbers, strict=True)
    ]


def table_5() -> list[recipe_files.File]:
    """S2E, and ASNG, which shares one pair of networks among all its samples."""
    found = []
    for noise, (own, sharing) in TABLE_5.items():
        head = [
            f"S2E (Yao et al. 2020) table 5: S2E, cifar10, {noise}, Newton's method.",
            f"expected: {own} % test accuracy",
        ]
        flags = ["--space=paper", "--sampler=newton", f"--outer={OUTER}", f"--samples={SAMPLES}"]
        found.append(_search(f"s2e_table5/cifar10_{noise}_s2e", "cifar10", noise, head, flags))
        head = [
            f"S2E (Yao et al. 2020) table 5: ASNG, cifar10, {noise}, weights shared by all samples.",
            f"expected: {sharing} % test accuracy",
            "One training with a sample an epoch, a step on theta after two; then its schedule over five seeds.",
        ]
        flags = ["--space=paper", "--sampler=asng"]
        found.append(_search(f"s2e_table5/cifar10_{noise}_asng", "cifar10", noise, head, flags, hours="3 hours"))
    return found


def figure_6() -> list[recipe_files.File]:
    """Search algorithms: the score against the number of trainings, which progress.csv of each search has."""
    found = []
    for dataset, noise in (("cifar10", "sym20"), ("cifar10", "sym50"), ("cifar10", "pair45"), ("mnist", "sym50")):
        for sampler in SAMPLERS:
            steps = [f"--outer={OUTER}", f"--samples={SAMPLES}"]
            head = [
                f"S2E (Yao et al. 2020) figure 6: search by {sampler}, {dataset}, {noise}.",
                "expected: a curve; the paper's claim is that newton needs the fewest trainings",
            ]
            if sampler == "hyperband":
                steps = [f"--trials={HYPERBAND_TRIALS}"]
                head.append(
                    "Most of its trials are stopped early: compare by the column trainings, which counts epochs."
                )
            if sampler == "reference":
                head.append("The update of the released code, which is no Newton step (docs/search.md).")
            if dataset == "mnist":
                head.append("The paper's figure is on cifar10; this is its cheap counterpart.")
            flags = ["--space=paper", f"--sampler={sampler}", *steps]
            found.append(_search(f"s2e_fig6/{dataset}_{noise}_{sampler}", dataset, noise, head, flags, seeds="none"))
    return found


def _figure_1_random() -> recipe_files.File:
    head = [
        "S2E (Yao et al. 2020) figure 1(a): five random R(t), cifar10, sym50 (the paper does not say which noise).",
        "expected: curves; hardly better than the baseline, whose recipe is beside this one",
    ]
    flags = ["--space=paper", "--sampler=random", "--trials=5"]
    return _search("s2e_fig1/a_cifar10_sym50_random", "cifar10", "sym50", head, flags, seeds="none")


def recipes() -> Sequence[Recipe]:
    """The trainings of figure 1. Parts (b), (c) and Adam of (e) are ``standard`` recipes of figure 3."""
    hours = "hardware and hours: one CPU core, about {}"
    curve = "expected: curves; the test accuracy rises, and falls once wrong labels are memorised"
    keep = "--keep_schedule=co_teaching:tau=0.5,epochs=10"
    made: list[Recipe] = []
    for name, own in (("baseline", ["--method=standard"]), ("co_teaching", ["--method=co_teaching", keep])):
        head = [
            f"S2E (Yao et al. 2020) figure 1(a): {name}, cifar10, sym50 (the paper does not say which noise).",
            curve,
        ]
        path = FOLDER / "s2e_fig1" / f"a_cifar10_sym50_{name}.flags"
        made.append((path, [*head, hours.format("half an hour")], [*_training("cifar10", "sym50"), *own]))
    for number in (1, 2, 3):
        head = [f"S2E (Yao et al. 2020) figure 1(d): model {number}, cifar100, sym50 (the noise is our choice).", curve]
        training = _training("cifar100", "sym50", f"s2e_model{number}")
        path = FOLDER / "s2e_fig1" / f"d_cifar100_sym50_model{number}.flags"
        made.append((path, [*head, hours.format("half an hour to days")], [*training, "--method=standard"]))
    for stem, title, own, more in _figure_1_optimisers():
        head = [f"S2E (Yao et al. 2020) figure 1{title}, cifar10, sym50 (the noise is our choice).", curve, *more]
        length = "3 hours" if "--num_epochs=1000" in own else "half an hour"
        path = FOLDER / "s2e_fig1" / f"{stem}.flags"
        training = [*_training("cifar10", "sym50", shared=own), "--method=standard"]
        made.append((path, [*head, hours.format(length)], training))
    return made


def _figure_1_optimisers() -> list[tuple[str, str, list[str], list[str]]]:
    """Parts (e) and (f): name, title, flags, what else the head says."""
    replaced = ("--num_epochs=", "--optimizer=", "--learning_rate", "--linear_decay_epoch=")
    rest = [flag for flag in SHARED if not flag.startswith(replaced)]
    sgd = ["--num_epochs=1000", "--optimizer=sgd", "--learning_rate=0.1", "--learning_rate_boundaries=195000,292500"]
    # Nothing lowers the rate, which the boundary behind the end of 200 x 390 steps says.
    rmsprop = ["--num_epochs=200", "--optimizer=rmsprop", "--learning_rate=0.01", "--learning_rate_boundaries=78001"]
    found: list[tuple[str, str, list[str], list[str]]] = [
        ("e_cifar10_sym50_sgd", "(e): SGD with momentum 0.9", [*rest, *sgd], []),
        ("e_cifar10_sym50_rmsprop", "(e): RMSProp", [*rest, *rmsprop], []),
    ]
    note = "The paper's batch sizes and rates are in the picture only: these are ours, around 128 and 0.001."
    for batch, rate in ((128, 0.001), (32, 0.001), (512, 0.001), (128, 0.01), (128, 0.0001)):
        changed = {"--num_epochs": 1000, "--batch_size": batch, "--learning_rate": rate}
        flags = [flag for flag in SHARED if flag.split("=")[0] not in (*changed, "--max_batches_per_epoch")]
        flags += [f"{name}={value}" for name, value in changed.items()]
        title = f"(f): batches of {batch}, rate {rate:g}"
        found.append((f"f_cifar10_sym50_batch{batch}_rate{rate:g}", title, flags, [note]))
    return found


def searches() -> list[recipe_files.File]:
    """All search recipes."""
    return [*table_2(), *table_5(), *figure_6(), _figure_1_random()]


TABLES = (
    Table(
        "s2e_table2",
        "S2E (ICML 2020), table 2: search spaces",
        r"(?P<row>[a-z0-9]+_(?:sym|pair)\d+)_(?P<column>.+)",
        paper="s2e",
        printed="table 2",
        figure="test.accuracy_best",
    ),
    Table(
        "s2e_table5",
        "S2E (ICML 2020), table 5: S2E and ASNG",
        r"cifar10_(?P<column>(?:sym|pair)\d+)_(?P<row>.+)",
        paper="s2e",
        printed="table 5",
        figure="test.accuracy_best",
    ),
    Table("s2e_fig1", "S2E (ICML 2020), figure 1: learning curves", r"(?P<row>[a-z]_.+)"),
    Table(
        "s2e_fig6",
        "S2E (ICML 2020), figure 6: search algorithms",
        r"(?P<column>[a-z0-9]+_(?:sym|pair)\d+)_(?P<row>.+)",
        figure="best_score",
    ),
)
