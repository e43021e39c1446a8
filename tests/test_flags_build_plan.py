"""What a run says before it begins and when it takes long; runs that are interrupted tell of suspects, too."""

from __future__ import annotations

import io
import json
import subprocess
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from flags import configuration
from flags.build import plan
from flags.commands import suspects
from mentornet.learning import dump
from mentornet.reports import report, unfinished
from mentornet.runs.metrics_table import MetricsTable
from mentornet.runs.samples import read_samples_csv
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.progress import Heartbeat, ProgressLine
from tests.script_runs import Stopped, assert_same_training, stop_after
from tests.test_train_cifar_methods import train


def warnings(*flags: str, examples: int = 10_000) -> str:
    config = configuration.parse(["train_cifar.py", "--train_log_dir=t", "--dataset_name=digits", *flags])
    return "\n".join(plan.warnings(config.resolved(examples), examples))


def test_schedules_that_do_not_fit_are_warned_about():
    assert warnings("--curriculum=mentornet_pd", "--max_number_of_steps=2400") == ""
    cut = warnings("--curriculum=mentornet_pd", "--max_number_of_steps=300")  # 78 steps an epoch
    assert "3.8 epochs long, 3.1 of them after the burn-in" in cut
    assert "--max_number_of_steps=2340" in cut  # 30 epochs
    assert warnings("--method=standard", "--max_number_of_steps=300") == ""
    late = warnings("--method=standard", "--max_number_of_steps=300", "--learning_rate_boundaries=100,300,4000")
    assert "never changes at 300, 4,000, because the training has 300 steps" in late
    warm = warnings("--method=co_teaching_plus", "--warmup_epochs=8", "--num_epochs=6", "--keep_schedule=constant:0.7")
    assert "--warmup_epochs=8 fills all 6 epochs" in warm
    assert "never decides" in warnings("--curriculum=mentornet_pd", "--burn_in_epoch=100")
    counted = warnings("--curriculum=mentornet_pd", "--num_epochs=1")
    assert "is 1 epoch long" in counted
    assert "try --num_epochs=30" in counted  # not the flag that would be refused beside it
    assert warnings("--method=simclr", "--max_number_of_steps=300") == ""
    unwarmed = ("--num_epochs=15", "--warmup_epochs=0")
    assert "--warmup_epochs=0: the labels are divided before anything" in warnings("--method=dividemix", *unwarmed)
    assert "--warmup_epochs=0" not in warnings("--method=co_teaching_plus", *unwarmed, "--keep_schedule=constant:0.7")
    after = warnings("--method=standard", "--num_epochs=5", "--num_epochs_per_decay=8")
    assert "first lowered after 8 epochs, but the training has 5" in after


def test_silence_is_broken_and_lines_count_as_signs_of_life():
    stream = io.StringIO()
    heart = Heartbeat(stream, every_seconds=0.2)
    heart.doing("compiling")
    time.sleep(0.5)
    heart.stop()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "compiling"
    assert 2 <= len(lines) <= 4
    assert lines[1].startswith("compiling: still at it, for 0:00:0")
    silent = io.StringIO()
    Heartbeat(silent, shows=False).doing("anything")
    assert silent.getvalue() == ""
    line = io.StringIO()
    ProgressLine(10, line, judged_by_given=True).show(5, 0.5, None, 0.25)
    assert line.getvalue() == "step 5/10 (50%) | loss 0.500 | agreement with given labels 0.250\n"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """150 digits in class folders, every fifth in the next one, and nothing else."""
    root, digits = tmp_path_factory.mktemp("photos"), load_digits()
    for number in range(150):
        label = (digits.target[number] + (number % 5 == 0)) % 10
        file = root / str(label) / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray((digits.images[number] * 15.9).astype(np.uint8)).save(file)
    return root


FOLDER = ["--dataset_name=folder", "--image_size=8", "--studentnet=s2e_mlp", "--batch_size=256", "--learning_rate=0.01"]
AUTO = ["--curriculum=mentornet_pd", "--loss_p_percentile=auto", "--augmentation=none", "--num_epochs=12"]


def test_a_folder_alone_trains_is_interrupted_and_tells_its_suspects(photos, tmp_path, monkeypatch, capsys):
    """Batches shrink, the percentile is estimated, reports makes suspects, and the run ends as if nothing happened."""
    flags = [*FOLDER, *AUTO, f"--data_dir={photos}"]
    whole = train(*flags, f"--train_log_dir={tmp_path / 'whole'}")
    said = capsys.readouterr().out
    assert "a tenth of every class, are held out" in said
    assert "fewer than a batch of 256: batches have 128" in said
    assert "wrong labels: unknown" in said
    assert "agreement with given labels" in said
    assert f"python -m mentornet.reports.review {tmp_path / 'whole'}" in said
    assert whole["judged_by"] == "given labels"
    estimate = json.loads((tmp_path / "whole" / "estimate.json").read_text())
    assert f"--loss_p_percentile={estimate['percentile']:g}" in said

    folder = tmp_path / "cut"
    with monkeypatch.context() as patch:
        stop_after(50, patch)  # of the plain training that estimates: its last step
        with pytest.raises(Stopped):
            train(*flags, f"--train_log_dir={folder}")
    with monkeypatch.context() as patch:
        stop_after(6, patch)
        with pytest.raises(Stopped):
            train(*flags, f"--train_log_dir={folder}")
    assert not (folder / "samples.csv").exists()
    (folder / "flags.txt").write_text("\n".join(flags))  # flags that are parsed in a test are not written
    capsys.readouterr()

    def here(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        """In this process, which still holds the folder."""
        suspects.write(configuration.parse(command[1:]))
        return subprocess.CompletedProcess(command, 0, capsys.readouterr().out, "")

    with monkeypatch.context() as patch:
        patch.setattr(unfinished.subprocess, "run", here)
        assert report.main([str(folder)]) == 0
    told = capsys.readouterr().out
    assert "is not finished" in told
    assert "of step 6; the run can go on" in told
    table = read_samples_csv(folder / "samples.csv")
    assert len(table["index"]) == whole["train_examples"]
    assert (folder / "suspects.png").exists()
    assert unfinished.make_suspects(folder) is None  # nothing new since
    assert not (folder / "result.json").exists()
    train(*flags, f"--train_log_dir={folder}")
    assert_same_training(folder, tmp_path / "whole")


def test_a_step_is_told_once_and_a_run_without_labels_has_no_suspects(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ProgressLine, "due", lambda _: True)
    flags = ["--dataset_name=digits", "--train_examples=100", "--studentnet=s2e_mlp", "--batch_size=25"]
    flags += ["--max_number_of_steps=4", "--eval_every_steps=2", "--steps_per_execution=1", "--show_progress"]
    train(*flags, "--method=simclr", f"--train_log_dir={tmp_path / 'run'}")
    said = capsys.readouterr().out
    told = [line.split(" (")[0] for line in said.splitlines() if line.startswith("step ")]
    assert told == ["step 1/4", "step 2/4", "step 3/4", "step 4/4"]
    assert "warning: the training is" not in said
    assert "review" not in said
    assert "suspects" not in said
    assert not {"samples.csv", "suspects.png"} & {file.name for file in (tmp_path / "run").iterdir()}
    losses = MetricsTable(tmp_path / "run" / "metrics.csv").read()["contrastive_loss"]
    rows = [line for line in said.splitlines() if line.startswith(("step 2/", "step 4/"))]
    assert all(f"contrastive loss {loss:.3f}" in row for loss, row in zip(losses, rows, strict=True))


def test_dumps_are_kept_while_training_and_survive_an_interruption(tmp_path, monkeypatch):
    flags = [
        *("--dataset_name=digits", "--train_examples=100", "--noise_type=uniform", "--noise_fraction=0.4"),
        *("--studentnet=s2e_mlp", "--batch_size=25", "--learning_rate=0.01", "--noshow_progress"),
        *("--max_number_of_steps=20", "--eval_every_steps=4", "--keep_dumps_at=18,50"),
    ]
    with monkeypatch.context() as patch:
        stop_after(8, patch, Checkpoints)
        with pytest.raises(Stopped):
            train(*flags, f"--train_log_dir={tmp_path / 'cut'}")
    train(*flags, f"--train_log_dir={tmp_path / 'cut'}")
    train(*flags, f"--train_log_dir={tmp_path / 'whole'}")
    for percent, epoch in ((18, 15), (50, 55)):  # of the first rows at or behind them, steps 4 and 12
        files = [tmp_path / name / "dumps" / f"losses_{percent}.csv" for name in ("cut", "whole")]
        assert files[0].read_bytes() == files[1].read_bytes()
        read = dump.read(files[0])
        assert set(read.epoch) == {epoch}
        assert len(read.loss) == 100
    train(*[flag for flag in flags if "dumps" not in flag], f"--train_log_dir={tmp_path / 'without'}")
    assert_same_training(tmp_path / "whole", tmp_path / "without")


def test_columns_are_grouped_for_tensorboard():
    from mentornet.runs.metrics_table import METRIC_COLUMNS
    from mentornet.training import tags

    groups = {name: tags.tag(name).split("/")[0] for name in METRIC_COLUMNS if name != "step"}
    assert set(groups.values()) == {"accuracy", "loss", "weights", "schedule"}
    assert all(tags.description(name) for name in groups)
