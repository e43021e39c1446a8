"""How well wrong labels are found: our rankings and cleanlab's, on the same images, labels and student.

    python benchmarks/suspects.py --data cifar10_worst --data_dir=DATA --work runs/suspects [--output CSV]

Data: digits with 25% or 40% uniform or 40% asymmetric noise, 10,000 images of CIFAR-10 with 40% uniform noise or with
CIFAR-10N's worst labels, and the folder of JPEGs that ``scripts/wrong_photos.py make`` writes (--data_dir). Trainings
are plain, MentorNet PD and Co-teaching; every ranking that can be read from one is judged against the true labels by
AUROC, average precision, and precision among the first 100 and 1,000. cleanlab (Northcutt et al., JAIR 2021) ranks by
out-of-sample probabilities: five folds, each a plain training. Trainings are kept in --work, so that a second call
only judges. Needs the "bench" extra.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flags import quiet

quiet.start_tensorflow(sys.argv)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402
from sklearn.metrics import average_precision_score, roc_auc_score  # noqa: E402
from sklearn.model_selection import StratifiedKFold  # noqa: E402

import student_nets  # noqa: E402
from data import datasets, labels, pipeline  # noqa: E402
from data.streams import TRAINING, MemoryStreams, Source  # noqa: E402
from flags.define.student_settings import default_boundaries  # noqa: E402
from mentornet import methods  # noqa: E402
from mentornet.methods.replicas import add_to_rows  # noqa: E402
from mentornet.ranking import rank_suspects  # noqa: E402
from mentornet.stages import GIVEN, Stream  # noqa: E402
from mentornet.training.finishing import mean_weights  # noqa: E402
from mentornet.training.optimizers import MomentumSGD, stepwise_rate  # noqa: E402
from scripts import csv_table  # noqa: E402

# name: (data set, images or all, noise, fraction, student, learning rate, batch, steps, steps of a fold)
DATA: dict[str, tuple[str, int, str, float, str, float, int, int, int]] = {
    "digits_uniform": ("digits", 0, "uniform", 0.4, "small_cnn", 0.02, 64, 1000, 400),
    "digits_uniform25": ("digits", 0, "uniform", 0.25, "small_cnn", 0.02, 64, 1000, 400),
    "digits_asymmetric": ("digits", 0, "asymmetric", 0.4, "small_cnn", 0.02, 64, 1000, 400),
    "cifar10_worst": ("cifar10", 10_000, "human:worse", 0.0, "resnet8", 0.1, 128, 2400, 1000),
    "photos": ("folder", 0, "", 0.0, "resnet8", 0.1, 64, 1000, 400),
    "cifar10_uniform": ("cifar10", 10_000, "uniform", 0.4, "resnet8", 0.1, 128, 2400, 1000),
}
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("standard", {}),
    "mentornet_pd": ("spade", {"loss_percentile": 0.6}),
    "co_teaching": ("co_teaching", {}),
}
FOLDS = 5


class Recorder:
    """Mixed into a method: sums of losses, and how often each sample's right answer was forgotten."""

    def prepare(self, examples: int) -> None:
        """Makes the tables for as many samples."""
        self.loss_sums, self.forgotten, self.was_right = (
            tf.Variable(tf.zeros([examples]), trainable=False) for _ in range(3)
        )

    def finish_step(self: Any, batch: Any, logits: Any, losses: Any, weighting: Any) -> Any:
        """Adds a batch to the tables."""
        add_to_rows(self.loss_sums, batch["index"], self.task.losses(batch["label"], logits))
        right = tf.cast(self.task.correct(batch["label"], logits), tf.float32)
        was = tf.gather(self.was_right, batch["index"])
        add_to_rows(self.forgotten, batch["index"], was * (1.0 - right))
        add_to_rows(self.was_right, batch["index"], right - was)
        return super().finish_step(batch, logits, losses, weighting)  # type: ignore[misc]


def load(name: str, data_dir: str | None, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Images, given labels, true labels, number of classes."""
    dataset_name, count, noise, fraction, *_ = DATA[name]
    if dataset_name == "folder":
        return photos(data_dir)
    dataset = datasets.load(dataset_name, data_dir=data_dir)
    train = labels.subset(dataset.train, count, seed) if count else dataset.train
    noisy = labels.corrupt(
        train, noise, fraction, dataset.num_classes, seed=seed, dataset_name=dataset_name, data_dir=data_dir
    )
    assert noisy.clean is not None
    return train.images, noisy.given, noisy.clean.reveal(), dataset.num_classes


def photos(data_dir: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The same of what ``wrong_photos.py make`` wrote: photos/, but for the tenth that is held out, and truth.csv."""
    if data_dir is None:
        raise SystemExit("error: --data=photos needs --data_dir, the --output of scripts/wrong_photos.py make")
    dataset = datasets.load("folder", data_dir=str(Path(data_dir) / "photos"), image_size=32)
    with (Path(data_dir) / "truth.csv").open(newline="", encoding="utf-8") as stream:
        known = {row["path"]: dataset.class_names.index(row["true"]) for row in csv.DictReader(stream)}
    train = dataset.train
    assert train.paths is not None
    true = np.array([known[path] for path in train.paths], np.int32)
    return train.images, np.asarray(train.labels, np.int32), true, dataset.num_classes


def trained(name: str, kind: str, options: Mapping[str, Any], data: Any, steps: int, seed: int, records: bool) -> Any:
    """A method after its training on (images, given labels, classes)."""
    images, given, classes = data
    _, _, _, _, student, rate, batch, *_ = DATA[name]
    network = student_nets.get(student, classes, input_shape=images.shape[1:], seed=seed)
    base = methods.get(kind)
    made = type(f"Recording{base.__name__}", (Recorder, base), {}) if records else base
    shared = {"max_steps": steps, "num_examples": len(images), "weight_decay": 2e-4, "seed": seed}
    method: Any = made(network, clean_known=False, **shared, **options)
    if records:
        method.prepare(len(images))
    rates = stepwise_rate(rate, default_boundaries(student, steps), 0.1)
    method.compile(MomentumSGD(rates, 0.9), steps_per_execution=20)
    source = {TRAINING: Source(images, given, batch)}
    streams = MemoryStreams(source, seed=seed, augmentation=pipeline.AUGMENTATIONS["none"])
    method.fit(streams.dataset({GIVEN: Stream()}, 0, steps), epochs=1, steps_per_epoch=steps, verbose=0)
    return method


def probabilities(student: keras.Model, images: np.ndarray) -> np.ndarray:
    """Softmax outputs float64 [n, c]."""
    batches = pipeline.evaluation_batches(images, np.zeros(len(images), np.int32), 500, pipeline.AUGMENTATIONS["none"])
    found = [tf.nn.softmax(tf.cast(student(batch["image"], training=False), tf.float64)).numpy() for batch in batches]
    return np.concatenate(found)


def one_training(name: str, kind: str, work: Path, data_dir: str | None, seed: int) -> dict[str, np.ndarray]:
    """What one of our trainings tells of each sample, from its file if it has been taken."""
    file = work / f"{name}_{kind}_{seed}.npz"
    if not file.exists():
        started = time.process_time()
        images, given, _, classes = load(name, data_dir, seed)
        method, options = OURS[kind]
        if kind == "co_teaching":
            options = {"keep_schedule": "co_teaching:tau=0.4,epochs=10"}
        run = trained(name, method, options, (images, given, classes), DATA[name][7], seed, records=True)
        found = {
            "mean_probability": run.sample_tables.mean_probabilities(),
            "mean_weight": mean_weights(run, len(images)),
            "mean_loss": run.loss_sums.numpy() / np.maximum(run.sample_tables.visits.numpy(), 1),
            "forgotten": run.forgotten.numpy(),
            "probabilities": probabilities(run.student, images),
        }
        np.savez(file, seconds=time.process_time() - started, **found)
    with np.load(file) as stored:
        return dict(stored)


def folds(name: str, work: Path, data_dir: str | None, seed: int, count: int) -> tuple[np.ndarray, float]:
    """Out-of-sample probabilities [n, c] of the first folds (NaN: of the others), and their processor seconds."""
    images, given, _, classes = load(name, data_dir, seed)
    probability, seconds = np.full([len(images), classes], np.nan), 0.0
    divided = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(images, given)
    for number, (kept, held) in itertools.islice(enumerate(divided), count):
        file = work / f"{name}_fold{number}_{seed}.npz"
        if not file.exists():
            started = time.process_time()
            part = (images[kept], given[kept], classes)
            run = trained(name, "standard", {}, part, DATA[name][8], seed + number, records=False)
            out = probabilities(run.student, images[held])
            np.savez(file, probabilities=out, seconds=time.process_time() - started)
        with np.load(file) as stored:
            probability[held] = stored["probabilities"]
            seconds += float(stored["seconds"])
    return probability, seconds


def rankings(kind: str, found: Mapping[str, np.ndarray], given: np.ndarray) -> dict[str, np.ndarray]:
    """What one of our trainings can be read for: name -> score [n], the higher the more suspect."""
    loss = -np.log(np.maximum(found["probabilities"][np.arange(len(given)), given], 1e-30))
    scores = {
        "mean probability of the given label": -found["mean_probability"],
        "mean loss": found["mean_loss"],
        "loss at the end": loss,
        "times forgotten": found["forgotten"],
    }
    if np.nanmax(found["mean_weight"]) > np.nanmin(found["mean_weight"]):
        by_weight = rank_suspects(found["mean_weight"], loss)
        scores["mean weight at the end, then loss"] = -by_weight.astype(np.float64)
    return {f"{kind}: {name}": score for name, score in scores.items()}


def judged(score: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """How well a score [n] finds wrong labels, bool [n]."""
    order = np.argsort(-score, kind="stable")
    return {
        "auroc": roc_auc_score(wrong, score),
        "average_precision": average_precision_score(wrong, score),
        "precision_at_100": wrong[order[:100]].mean(),
        "precision_at_1000": wrong[order[:1000]].mean(),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compare rankings of suspect labels.")
    parser.add_argument("--data", choices=sorted(DATA), default="digits_uniform")
    parser.add_argument("--data_dir", help="where the data sets are")
    parser.add_argument("--work", type=Path, default=Path("runs/suspects"), help="keeps the trainings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trainings", default=",".join(OURS), help=f"some of {','.join(OURS)}")
    parser.add_argument(
        "--folds",
        type=int,
        default=FOLDS,
        help="train so many of the five, and judge all on their images; 0: no cleanlab",
    )
    parser.add_argument("--output", type=Path, help="adds the rows to this csv")
    options = parser.parse_args()
    unknown = sorted(set(options.trainings.split(",")) - set(OURS))
    if unknown:
        parser.error(f"--trainings: {unknown[0]} is none of {', '.join(OURS)}")
    from cleanlab.rank import get_label_quality_scores  # before the trainings, so that it is known to be there

    options.work.mkdir(parents=True, exist_ok=True)
    _, given, true, _ = load(options.data, options.data_dir, options.seed)
    steps, fold_steps = DATA[options.data][7:]
    rows: list[dict[str, Any]] = []

    outside, seconds = folds(options.data, options.work, options.data_dir, options.seed, options.folds)
    known = ~np.isnan(outside[:, 0]) if options.folds else np.ones(len(given), bool)

    def tell(name: str, score: np.ndarray, length: int, seconds: float) -> None:
        figures = {key: f"{value:.3f}" for key, value in judged(score, (given != true)[known]).items()}
        rows.append(
            {"data": options.data, "seed": options.seed, "images": int(known.sum()), "ranking": name, **figures}
        )
        rows[-1] |= {"steps": length, "seconds": f"{seconds:.0f}"}
        print(f"{name:<56}" + "".join(f"{value:>8}" for value in figures.values()), flush=True)

    for kind in options.trainings.split(","):
        found = one_training(options.data, kind, options.work, options.data_dir, options.seed)
        for name, score in rankings(kind, found, given).items():
            tell(name, score[known], steps, float(found["seconds"]))
    for way in ("self_confidence", "normalized_margin") if options.folds else ():
        score = -get_label_quality_scores(given[known], outside[known], method=way)
        tell(f"cleanlab: {way}, {options.folds} of {FOLDS} folds", score, options.folds * fold_steps, seconds)
    if options.output is not None:
        csv_table.add(options.output, rows)


if __name__ == "__main__":
    main()
