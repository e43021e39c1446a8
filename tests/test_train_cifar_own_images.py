"""People's own images through train_cifar.py: checked ones as the clean set, resume, and reports that name files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.script_runs import assert_same_training, rows
from tests.test_train_cifar_methods import train

NAMES = ("blue", "green", "red")
SHORT = ["--max_number_of_steps=12", "--eval_every_steps=4", "--batch_size=16", "--learning_rate=0.02"]
REGULARISED = ["--dropout_keep_probability=0.8", "--weight_decay=1e-3", "--noshow_progress"]


def photo(file: Path, colour: int, brightness: int) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., colour] = brightness
    pixels[:: 2 + brightness % 3] += 20
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def truth(path: str) -> int:
    """The class of an image made by `photos`: every third training image lies in the folder of the next class."""
    folder, number = NAMES.index(path.split("/")[1]), int(Path(path).stem)
    return (folder - 1) % 3 if path.startswith("train") and number % 3 == 0 else folder


@pytest.fixture
def photos(tmp_path):
    for part, count in (("train", 20), ("test", 4)):
        for name in NAMES:
            for number in range(count):
                path = f"{part}/{name}/{number}.png"
                photo(tmp_path / "photos" / path, truth(path), 60 + 9 * number)
    return tmp_path / "photos"


@pytest.fixture
def checked(photos, tmp_path):
    """A csv with five images of each folder, wrong ones among them."""
    paths = [f"train/{name}/{number}.png" for name in NAMES for number in range(5)]
    (tmp_path / "checked.csv").write_text("\n".join(["path,label", *(f"{p},{NAMES[truth(p)]}" for p in paths), ""]))
    return tmp_path / "checked.csv", paths


def own(photos: Path, *flags: str) -> list[str]:
    folder = ["--dataset_name=folder", f"--data_dir={photos}", "--image_size=8", "--studentnet=small_cnn"]
    return [*folder, *SHORT, *REGULARISED, *flags]


def samples(folder: Path) -> list[dict[str, str]]:
    with open(folder / "samples.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_checked_images_of_a_file_resume_records_and_names(photos, checked, tmp_path, monkeypatch):
    from flags import configuration
    from flags.commands import tasks
    from mentornet.runs.metrics_table import MetricsTable
    from mentornet.runs.workdir import RunFolderError

    file, paths = checked
    flags = own(photos, "--method=l2rw", f"--clean_labels_file={file}")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(*flags, f"--train_log_dir={whole}")
    # What was trained on and what was clean, from the record of the run.
    everything = [f"train/{name}/{k}.png" for name in NAMES for k in sorted(range(20), key=str)]
    kept = np.load(whole / "labels.npz", allow_pickle=False)
    noisy = [path for path in everything if path not in paths]
    assert [everything[i] for i in kept["index"]] == noisy
    assert kept["given"].tolist() == [NAMES.index(path.split("/")[1]) for path in noisy]
    assert [everything[i] for i in kept["clean_set_index"]] == sorted(paths)
    assert kept["clean_set_label"].tolist() == [truth(path) for path in sorted(paths)]
    # The report names the files.
    table = samples(whole)
    assert sorted(row["path"] for row in table) == sorted(noisy)
    assert all(everything[int(row["index"])] == row["path"] for row in table)
    assert all(row["path"].split("/")[1] == row["given_name"] for row in table)

    # Stopped between its second row and the checkpoint of that step, and started again.
    append_row = MetricsTable.append_row

    def die(self, row):
        append_row(self, row)
        if row["step"] == 8:
            raise SystemError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(MetricsTable, "append_row", die)
        with pytest.raises(SystemError, match="killed"):
            train(*flags, f"--train_log_dir={killed}")
    assert [row["step"] for row in rows(killed)] == ["4", "8"]
    text = file.read_text()
    file.write_text(text.replace(f"{paths[1]},blue", f"{paths[1]},red"))
    assert file.read_text() != text
    with pytest.raises(RunFolderError, match="began with other samples or labels of its clean set"):
        train(*flags, f"--train_log_dir={killed}")
    file.write_text(text)
    train(*flags, f"--train_log_dir={killed}")
    assert_same_training(killed, whole)
    assert (killed / "labels.npz").read_bytes() == (whole / "labels.npz").read_bytes()

    # An evaluation of the training images is of those the run trained on.
    answers = tmp_path / "answers.csv"
    tasks.evaluate_run(
        configuration.parse(
            [
                "train_cifar.py",
                "--mode=evaluate",
                f"--checkpoint_dir={whole}",
                "--split_name=train",
                f"--output_csv_file={answers}",
            ]
        )
    )
    with open(answers, newline="", encoding="utf-8") as stream:
        evaluated = {row["path"]: row for row in csv.DictReader(stream)}
    assert list(evaluated) == noisy
    for row in table:
        assert row["predicted_label"] == evaluated[row["path"]]["predicted"]


def test_images_in_clean_are_found_and_only_they_are_learned_from_by_clean_only(photos, tmp_path):
    for name in NAMES:
        for number in range(6):
            photo(photos / "clean" / name / f"{number}.png", NAMES.index(name), 55 + 30 * number)
    folder = tmp_path / "run"
    train(*own(photos, "--method=clean_only", "--clean_examples_per_class=4"), f"--train_log_dir={folder}")
    kept = np.load(folder / "labels.npz", allow_pickle=False)
    assert kept["index"].tolist() == list(range(60))
    assert np.bincount(kept["clean_set_label"]).tolist() == [4, 4, 4]
    assert (kept["clean_set_index"] // 6).tolist() == kept["clean_set_label"].tolist()


def test_checked_images_may_be_moved_once_the_first_run_has_shown_them(photos, tmp_path):
    """Train, look at the suspects, move some to clean/, fine-tune: file names tell what the positions no longer do."""
    first, tuned = tmp_path / "first", tmp_path / "tuned"
    train(*own(photos), f"--train_log_dir={first}")
    for name in NAMES:
        for number in range(1, 4):
            moved = photos / "train" / name / f"{number}.png"
            place = photos / "clean" / NAMES[truth(f"train/{name}/{number}.png")] / f"{name}_{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            moved.rename(place)
    flags = own(photos, "--method=clean_only", "--clean_batch_size=6", f"--baseline_run={first}")
    assert train(*flags, f"--train_log_dir={tuned}")["steps"] == 12
    assert len(np.load(tuned / "labels.npz", allow_pickle=False)["given"]) == 60 - 9
    (photos / "train" / "blue" / "9.png").rename(photos / "train" / "red" / "99.png")  # a new file: nothing known
    train(*flags, f"--train_log_dir={tmp_path / 'with_new'}")
    table = (first / "samples.csv").read_text().splitlines()
    column = table[0].split(",").index("given_label")
    changed = [
        ",".join([*(c := row.split(","))[:column], str(2 - int(c[column])), *c[column + 1 :]]) for row in table[1:]
    ]
    (first / "samples.csv").write_text("\n".join([table[0], *changed, ""]))
    with pytest.raises(ValueError, match="other labels than this run, though with the same flags"):
        train(*flags, f"--train_log_dir={tmp_path / 'never'}")


def test_own_noisy_labels_of_a_known_data_set_and_checked_ones_of_some(tmp_path):
    """--labels_file and --clean_labels_file together: digits with everybody's label moved on by one."""
    from sklearn.datasets import load_digits

    from flags import configuration
    from flags.build import in_memory as build

    digits = configuration.parse(["train_cifar.py", "--dataset_name=digits", "--train_log_dir=t"])
    ids = build.load_data(digits.data).train.ids
    target = load_digits().target
    moved, right = tmp_path / "moved.csv", tmp_path / "right.csv"
    moved.write_text("index,label\n" + "".join(f"{i},{(target[i] + 1) % 10}\n" for i in ids))
    right.write_text("index,label\n" + "".join(f"{i},{target[i]}\n" for i in ids[:200]))
    config = configuration.parse(
        [
            "train_cifar.py",
            "--dataset_name=digits",
            "--train_log_dir=t",
            "--method=l2b",
            f"--labels_file={moved}",
            f"--clean_labels_file={right}",
        ]
    )
    loaded = build.set_apart(build.load_data(config.data), config.clean, 0)
    assert loaded.clean_set is not None
    np.testing.assert_array_equal(loaded.clean_set.true_labels, target[loaded.clean_set.ids])
    np.testing.assert_array_equal(loaded.labels.given, (target[loaded.train.ids] + 1) % 10)
    assert (len(loaded.clean_set), len(loaded.train)) == (200, len(ids) - 200)
    assert not set(loaded.clean_set.ids) & set(loaded.train.ids)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--clean_labels_file={tmp}/absent.csv"], "There is no file"),
        (["--clean_labels_file={tmp}/foreign.csv"], "names 'train/blue/99.png', which is none of the training images"),
        (["--clean_labels_file={tmp}/part.csv"], "None of the checked images (15) is of class 1 (green)"),
        (["--clean_labels_file={tmp}/part.csv", "--method=reed"], "does not use --clean_labels_file"),
        ([], "put checked images of a folder data set into clean/<class>/"),
    ],
)
def test_what_does_not_fit_gets_one_sentence_before_any_work(flags, sentence, photos, checked, tmp_path, capfd):
    import tensorflow as tf

    from flags import configuration
    from flags.commands import tasks

    tf.constant(0)
    file, _ = checked
    (tmp_path / "foreign.csv").write_text("path,label\ntrain/blue/99.png,blue\n")
    (tmp_path / "part.csv").write_text(file.read_text().replace(",green", ",blue"))
    arguments = own(photos, "--method=l2rw", f"--train_log_dir={tmp_path / 'run'}", *flags)
    capfd.readouterr()  # what TensorFlow has to say about the machine before its first operation

    def start() -> None:
        config = configuration.parse(["train_cifar.py", *(flag.format(tmp=tmp_path) for flag in arguments)])
        tasks.run_script("train_cifar.py", config)

    with pytest.raises((SystemExit, ValueError)) as stopped:
        start()
    error = capfd.readouterr().err or f"{stopped.value}\n"
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
