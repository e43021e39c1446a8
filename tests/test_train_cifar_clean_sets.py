"""What train_cifar.py makes of clean samples, hold-outs, first runs and noise: used where meant, refused where not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.script_runs import rows
from tests.test_train_cifar_methods import CLEAN, DATA, REGULARISED, SHORT, train


def test_clean_samples_and_holdout_stay_out_of_the_run(tmp_path):
    """Sizes, disjointness from the record of the run, and the hold-out's choice recomputed from its table."""
    folder = tmp_path / "run"
    result = train(
        *DATA, *SHORT, *REGULARISED, "--method=l2rw", *CLEAN, "--holdout_examples=100", f"--train_log_dir={folder}"
    )
    labels = np.load(folder / "labels.npz", allow_pickle=False)
    assert len(labels["given"]) == 1437 - 50 - 100
    assert len(np.unique(labels["index"])) == len(labels["index"])
    table = np.genfromtxt(folder / "holdout.csv", delimiter=",", names=True)
    best = table["step"][np.argmin(table["holdout_loss"])]
    assert result["early_stopped_step"] == best
    row = next(row for row in rows(folder) if float(row["step"]) == best)
    assert result["accuracy_early_stopped"] == pytest.approx(float(row["eval_accuracy"]))
    assert (folder / "student_early_stopped.keras").is_file()
    # Seeds decide the clean set alone: another method keeps the same noisy samples with the same labels.
    other = tmp_path / "other"
    train(
        *DATA, *SHORT, *REGULARISED, "--method=clean_only", *CLEAN, "--holdout_examples=100", f"--train_log_dir={other}"
    )
    again = np.load(other / "labels.npz", allow_pickle=False)
    np.testing.assert_array_equal(again["index"], labels["index"])
    np.testing.assert_array_equal(again["given"], labels["given"])


def test_replicas_share_clean_batches_equally():
    """Another number is refused before a folder is claimed, whether it was asked for or is that of the samples."""
    from flags import configuration
    from flags.build import in_memory as build
    from mentornet.stages import Stream
    from mentornet.training.distribution.strategy import Distribution

    def clean_batch(replicas: int, *flags: str) -> int:
        config = configuration.parse(["train_cifar.py", *DATA, *SHORT, "--method=l2rw", "--train_log_dir=t", *flags])
        loaded = build.set_apart(build.load_data(config.data), config.clean, config.data.noise_seed)
        place = Distribution("mirrored", SimpleNamespace(num_replicas_in_sync=replicas))
        streams = {"given": Stream(), "clean": Stream(source="clean")}
        batches = build.training_inputs(loaded, config, place).streams.dataset(streams, 0, 1)
        return batches.element_spec["clean_image"].shape[0]

    assert [clean_batch(replicas, "--clean_examples_per_class=3") for replicas in (1, 2)] == [30, 30]
    assert clean_batch(2, "--clean_examples=50") == 32  # the batch size
    assert clean_batch(2, "--clean_examples=50", "--clean_batch_size=16") == 16
    with pytest.raises(ValueError, match="15 clean samples a step cannot be shared equally by 2 replicas"):
        clean_batch(2, "--clean_examples=50", "--clean_batch_size=15")
    with pytest.raises(ValueError, match=r"30 clean samples .* give --clean_batch_size, a multiple of 4"):
        clean_batch(4, "--clean_examples_per_class=3")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--method=l2rw", "--clean_examples=4"], "nobody knows the true labels of this data set"),
        (["--method=class_weights", "--class_weights_rule=precision"], "need the true labels"),
        (["--method=forward_correction", "--transition_matrix=true"], "needs the true labels"),
    ],
)
def test_photos_without_known_labels_are_refused_by_methods_that_need_them(flags, sentence, tmp_path):
    from PIL import Image

    from flags import configuration
    from flags.commands import tasks

    for k, name in enumerate(["train/a", "train/b", "test/a", "test/b"]):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 8), (60 * k, 40 * number, 0)).save(folder / f"{number}.png")
    own = ["--dataset_name=folder", f"--data_dir={tmp_path / 'photos'}", "--image_size=8", "--batch_size=4"]
    own += ["--studentnet=small_cnn"]
    config = configuration.parse(["train_cifar.py", *own, f"--train_log_dir={tmp_path / 'run'}", *flags])
    with pytest.raises(ValueError, match=sentence):
        tasks.train(config)
    assert not (tmp_path / "run").exists()


def test_background_noise_and_the_authors_variant_come_through():
    """Claims 10 and 11 of L2RW: one class for all changed labels; the author's uniform noise never gives the last."""
    from flags import configuration
    from flags.build import in_memory as build

    classes = []

    def given(*flags: str) -> tuple[np.ndarray, np.ndarray]:
        config = configuration.parse(["train_cifar.py", "--dataset_name=digits", "--train_log_dir=t", *flags])
        labels = build.load_data(config.data).labels
        assert labels.clean is not None
        classes.append(labels.facts.get("noise_class"))
        return labels.given, labels.clean.reveal()

    found, true = given("--noise_type=background", "--noise_fraction=0.4", "--noise_class=7")
    assert set(found[found != true]) == {7}
    assert ((found == 7) & (true != 7)).sum() + (true == 7).sum() == (found == 7).sum()
    assert (found == 7).mean() == pytest.approx(0.4 + 0.6 / 10, abs=0.02)
    found, true = given("--noise_type=uniform", "--noise_fraction=0.4", "--noise_variant=author")
    assert 9 not in found[found != true]
    assert set(found[found != true]) == set(range(9))
    assert (found != true).mean() == pytest.approx(0.36, abs=0.04)
    found, true = given("--noise_type=background", "--noise_fraction=0.4")
    assert classes == [7, None, int(found[found != true][0])]  # the drawn class is recorded, too
