"""The command ``python -m mentornet.learning``: what it writes, the release's flags, bad input."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from mentornet import curricula
from mentornet.learning import command as learning
from mentornet.learning import grid, learning_set
from tests.loss_dumps import make_dump


def _command(*arguments):
    return learning.main([*arguments])


SMALL = ("--max_step_train=2e1", "--no_jit_compile", "--no_pictures")


def test_the_command_learns_from_a_formula(tmp_path, capsys):
    folder = tmp_path / "mine"
    given = ("--vstar_fn=vstar_focal_loss", "--vstar_gamma=3", "--sample_size=200", "--seed=4", f"--train_dir={folder}")
    assert _command(*given, *SMALL) == 0
    shown = capsys.readouterr()
    assert "step 20/20" in shown.out
    assert f"learned {folder}: held-out MSE" in shown.out
    card = json.loads((folder / "card.json").read_text())
    assert card["source"]["curriculum"] == "focal_loss:gamma=3"
    assert card["source"]["rows"] == 200
    assert card["settings"]["steps"] == 20
    assert card["seed"] == 4
    assert card["command"].startswith("python -m mentornet.learning --vstar_fn=vstar_focal_loss --vstar_gamma=3")
    assert set(card["versions"]) >= {"tensorflow", "tf_keras", "numpy", "mentornet"}
    # What is stored is the network that the card's error belongs to.
    samples = grid.learning_set(curricula.get("focal_loss:gamma=3"), 200, 4)
    curriculum = curricula.get(str(folder))
    loss, difference = (getattr(samples, name)[samples.held_out, 0] for name in ("loss", "difference"))
    epoch = samples.epoch[samples.held_out]
    weight = curriculum(loss, difference, tf.zeros(len(loss), tf.int32), tf.constant(epoch)).numpy()
    error = np.mean((weight - (1 - np.exp(-loss)) ** 3) ** 2)
    assert card["held_out"]["mse"] == pytest.approx(error, rel=1e-4)
    assert _command(*given, *SMALL) == 2
    assert "already holds a card.json; choose another folder or remove it" in capsys.readouterr().err


def test_the_releases_two_steps(tmp_path, capsys):
    data, model = tmp_path / "data", tmp_path / "model"
    assert _command(f"--outdir={data}", "--vstar_fn=vstar_mentornet_pd", "--vstar_gamma=1", "--sample_size=300") == 0
    assert learning_set.load(data).source["curriculum"] == "mentornet_pd:gamma=1"
    learn_it = (f"--train_dir={model}", f"--data_path={data}", "--max_step_train=2e1", "--learning_rate=0.1")
    assert _command(*learn_it, "--network=release", *SMALL[1:]) == 0
    card = json.loads((model / "card.json").read_text())
    assert card["network"]["lstm_units"] == 1
    assert card["source"]["rows"] == 300


def _write(path, dump):
    columns = (dump.sample, dump.epoch, dump.noisy, dump.clean, dump.loss)
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in zip(*columns, strict=True)))


def test_the_releases_two_steps_from_a_dump(tmp_path):
    _write(tmp_path / "nl_0.4.csv", make_dump())
    csv = f"--input_csv_filename={tmp_path / 'nl_0.4.csv'}"
    data = tmp_path / "data"
    assert _command("--vstar_fn=data_driven", csv, f"--outdir={data}", "--percentiles=50,90") == 0
    assert sorted(path.name for path in data.iterdir()) == ["nl_0.4_percentile_50", "nl_0.4_percentile_90"]
    assert learning_set.load(data / "nl_0.4_percentile_90").source["percentile"] == 90
    assert _command(f"--data_path={data}", f"--train_dir={tmp_path / 'best'}", *SMALL) == 0
    assert _command(csv, f"--train_dir={tmp_path / 'direct'}", "--percentiles=50,90", *SMALL) == 0
    best, direct = (json.loads((tmp_path / name / "card.json").read_text()) for name in ("best", "direct"))
    assert best["candidates"] == direct["candidates"]
    assert direct["settings"]["objective"] == "cross_entropy"
    assert direct["network"]["label_rows"] == 3


BAD = {
    (): "give one of --vstar_fn, --input_csv_filename or --data_path",
    ("--vstar_fn=none", "--data_path=x", "--train_dir=y"): "give one of --vstar_fn",
    ("--vstar_fn=none",): "give --train_dir to learn a MentorNet, or --outdir",
    ("--data_path=x", "--outdir=y"): "give one of them",
    ("--vstar_fn=data_driven", "--train_dir=y"): "needs --input_csv_filename",
    ("--vstar_fn=none", "--input_csv_filename=x", "--train_dir=y"): "contradict each other",
    ("--vstar_fn=none", "--outdir=y", "--learning_rate=0.1"): "--learning_rate is only used with --train_dir",
    ("--vstar_fn=none", "--outdir=y", "--fixed_label=0"): "--fixed_label is only used with --train_dir",
    ("--vstar_fn=none", "--outdir=y", "--explicit"): "--explicit is only used with --train_dir",
    ("--input_csv_filename=x", "--train_dir=y", "--sample_size=9"): "--sample_size is only used with --vstar_fn",
    ("--vstar_fn=none", "--train_dir=y", "--percentiles=5"): "--percentiles is only used with --input_csv_filename",
    ("--input_csv_filename=x", "--train_dir=y", "--explicit"): "--explicit needs a curriculum whose G is known",
    ("--input_csv_filename=absent.csv", "--train_dir=y"): "Cannot read absent.csv: there is no such file",
    ("--data_path=absent", "--train_dir=y"): "no learning set in 'absent'",
    ("--vstar_fn=vstar_magic", "--train_dir=y"): "unknown curriculum 'magic'",
    ("--vstar_fn=self_paced", "--vstar_gamma=2", "--train_dir=y"): "'gamma=2' is not one of its parameters",
    ("--vstar_fn=focal_loss", "--explicit", "--train_dir=y", "--sample_size=99"): "no G is known for 'focal_loss'",
    ("--vstar_fn=none", "--sample_size=30", "--train_dir=y"): "30 rows give",
    ("--vstar_fn=none", "--sample_size=99", "--fixed_label=7", "--train_dir=y"): "fixed_label=7 has no row",
    ("--vstar_fn=prediction_variance", "--history=3", "--train_dir=y"): "reads 10 past losses, the samples have 3",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_is_one_sentence(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _command(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert BAD[arguments] in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "argument", ["--max_step_train=3.5", "--mini_batch_size=0", "--vstar_gamma=a", "--no_such_flag=1"]
)
def test_wrong_values_are_refused_by_the_parser(argument, capsys):
    with pytest.raises(SystemExit) as exit_:
        _command("--vstar_fn=none", "--train_dir=y", argument)
    assert exit_.value.code == 2


def test_a_bad_dump_is_one_sentence(capsys, tmp_path):
    _write(tmp_path / "d.csv", replace(make_dump(), loss=np.full(200, np.nan)))
    assert _command(f"--input_csv_filename={tmp_path / 'd.csv'}", f"--train_dir={tmp_path / 'y'}") == 2
    assert "d.csv: sample 0 has a loss that is not a finite number (nan), and 199 more rows" in capsys.readouterr().err
