"""Fine-tuning from the command line: a dump, its activations and learned MentorNets become a curriculum."""

from __future__ import annotations

import json

import numpy as np
import pytest

from flags import configuration
from flags.commands import tasks
from mentornet import curricula
from mentornet.curricula import learned
from mentornet.curricula.experts import SparseMixture
from mentornet.learning import command as learning
from mentornet.learning import dump
from mentornet.network import NetworkConfig, build
from tests import script_runs

EXPERTS = "pretrained:self_paced,pretrained:hard_example_mining"
SMALL = ("--max_step_train=200", "--no_jit_compile", "--no_pictures")


@pytest.fixture
def dumped(tmp_path):
    """A dump whose losses say nothing about the labels, and activations whose first number tells all."""
    rng = np.random.default_rng(0)
    rows = 400
    right = rng.random(rows) < 0.5
    noisy = rng.integers(0, 2, rows)
    columns = (np.arange(rows), np.full(rows, 20), noisy, np.where(right, noisy, 1 - noisy), rng.exponential(1.0, rows))
    text = "".join(",".join(map(str, row)) + "\n" for row in zip(*columns, strict=True))
    (tmp_path / "dump.csv").write_text(text)
    activation = np.column_stack([np.where(right, 3.0, -3.0), rng.normal(size=rows)])
    # Where the labels are right, the gate has to prefer the expert that is for large weights at this loss.
    dump.write_activations(tmp_path / "dump.npz", columns[0], activation)
    return tmp_path


def command(folder, *arguments):
    return learning.main(
        [f"--input_csv_filename={folder / 'dump.csv'}", f"--train_dir={folder / 'mixture'}", *arguments]
    )


def test_the_command_writes_a_curriculum(dumped, capsys):
    given = ("--known_share=0.5", f"--activations={dumped / 'dump.npz'}", "--learning_rate=0.1")
    assert command(dumped, f"--experts={EXPERTS}", "--percentiles=50,75", *given, *SMALL) == 0
    shown = capsys.readouterr().out
    assert "network 2: step 200/200" in shown
    assert "held-out cross-entropy of the experts alone: pretrained:self_paced" in shown
    card = json.loads((dumped / "mixture" / "card.json").read_text())
    assert card["architecture"] == "mixture"
    assert (card["network"]["top"], card["network"]["activation_size"]) == (2, 2)
    assert [len(card["network"]["experts"]), card["settings"]["steps"], card["settings"]["learning_rate"]] == [
        2,
        200,
        0.1,
    ]
    assert [candidate["percentile"] for candidate in card["candidates"]] == [50, 75]
    best = min(card["candidates"], key=lambda candidate: candidate["cross_entropy"])
    assert (card["percentile"], card["held_out"]["cross_entropy"]) == (best["percentile"], best["cross_entropy"])
    assert (card["source"]["rows"], card["held_out_rows"]) == (200, 40)
    assert [expert["name"] for expert in card["experts"]] == EXPERTS.split(",")
    # The losses tell nothing, so an expert alone is no better than a coin (0.69); the activation tells all.
    assert card["held_out"]["cross_entropy"] < 0.4 < 0.6 < min(expert["cross_entropy"] for expert in card["experts"])
    assert curricula.get(str(dumped / "mixture")).activation_size == 2
    assert command(dumped, f"--experts={EXPERTS}", *SMALL) == 2
    assert "already holds a card.json" in capsys.readouterr().err


def test_without_activations_the_pictures_are_drawn_too(dumped):
    assert command(dumped, f"--experts={EXPERTS}", "--known_share=0.4", "--top=1", *SMALL[:2]) == 0
    found = {path.name for path in (dumped / "mixture").iterdir()}
    assert found == {"card.json", "mentornet.weights.h5", "surface.gif", "objective.png", "learning.png"}
    curriculum = curricula.get(str(dumped / "mixture"))
    assert (curriculum.activation_size, curriculum.network.top, curriculum.card["percentile"]) == (0, 1, 75)


BAD = {
    ("--experts=self_paced",): "--experts: 'self_paced' is a formula, a mixture is made of single learned MentorNets",
    ("--experts=pretrained:magic",): "no MentorNet 'pretrained:magic': use one of",
    ("--experts=absent/folder",): "no learned MentorNet at 'absent/folder'",
    (f"--experts={EXPERTS}", "--top=3"): "top=3: a mixture of 2 experts keeps 1 to 2",
    (f"--experts={EXPERTS}", "--known_share=1.5"): "share=1.5 of the samples must lie in (0, 1]",
    (f"--experts={EXPERTS}", "--known_share=0.05"): "20 rows give",
    (f"--experts={EXPERTS}", "--starts=2"): "--starts is for learning one MentorNet from the start",
    (f"--experts={EXPERTS}", "--network=paper"): "--network is for learning one MentorNet from the start",
    (f"--experts={EXPERTS}", "--outdir=data"): "--outdir is for learning one MentorNet from the start",
    (f"--experts={EXPERTS}", "--explicit"): "--explicit needs a curriculum whose G is known",
    (f"--experts={EXPERTS}", "--percentiles=101"): "percentile 101 must lie in 0..100",
    (f"--experts={EXPERTS}", "--fixed_label=7"): "fixed_label=7 has no row",
    (f"--experts={EXPERTS}", "--activations=absent.npz"): "Cannot read absent.npz: there is no such file",
    ("--top=1",): "--top is only used with --experts",
    ("--activations=dump.npz",): "--activations is only used with --experts",
    ("--known_share=0.2",): "--known_share is only used with --experts",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_is_one_sentence(arguments, dumped, capsys, monkeypatch):
    monkeypatch.chdir(dumped)
    assert command(dumped, *arguments, *SMALL) == 2
    error = capsys.readouterr().err
    assert BAD[arguments] in error
    assert error.count("\n") == 1
    assert not (dumped / "mixture").exists()


def test_experts_need_a_dump_and_are_single_mentornets(dumped, capsys):
    assert learning.main(["--vstar_fn=none", f"--experts={EXPERTS}", "--train_dir=y"]) == 2
    assert "--experts is only used with --input_csv_filename" in capsys.readouterr().err
    learned.save(SparseMixture([build(NetworkConfig(fixed_label=0))], 1), dumped / "one", {})
    assert command(dumped, f"--experts={dumped / 'one'}", *SMALL) == 2
    assert "one' is a mixture, a mixture is made of single learned MentorNets" in capsys.readouterr().err


@pytest.mark.slow
def test_from_a_student_to_a_student(tmp_path, capsys):
    """The whole chain on the digits: train, dump with activations, fine-tune, train with the mixture."""
    student = ("--dataset_name=digits", "--studentnet=s2e_mlp")
    noise = ("--noise_type=uniform", "--noise_fraction=0.4", "--batch_size=64")
    first, second, mixture = tmp_path / "first", tmp_path / "second", tmp_path / "mixture"

    def script(*flags):
        done = script_runs.here("train_cifar.py", *student, *flags)
        assert done.returncode == 0, done.stderr

    script(*noise, "--max_number_of_steps=60", f"--train_log_dir={first}")
    files = (f"--output_csv_file={tmp_path / 'd.csv'}", f"--activations_file={tmp_path / 'd.npz'}")
    dump_flags = ("--mode=dump_losses", "--split_name=train", f"--checkpoint_dir={first}", *files)
    tasks.dump_losses(configuration.parse(["train_cifar.py", *student, *dump_flags]))
    assert "256 activations of each written to" in capsys.readouterr().out
    dumped = (f"--input_csv_filename={tmp_path / 'd.csv'}", f"--activations={tmp_path / 'd.npz'}", "--percentiles=60")
    steps = ("--max_step_train=200", "--no_jit_compile")
    assert learning.main([*dumped, f"--experts={EXPERTS}", f"--train_dir={mixture}", *steps]) == 0
    assert {path.name for path in mixture.iterdir()} == {"card.json", "mentornet.weights.h5", "learning.png"}
    script(
        *(*noise, f"--curriculum={mixture}", "--burn_in_epoch=20", "--max_number_of_steps=60"),
        *("--eval_every_steps=30", f"--train_log_dir={second}"),
    )
    result = json.loads((second / "result.json").read_text())
    assert result["weights_auc"] > 0.6
    assert '"loss_percentile": "0.6,100"' in (second / "flags.txt").read_text()  # the mixture's own
    wider = ("--dataset_name=digits", "--studentnet=resnet8", f"--train_log_dir={tmp_path / 'x'}")
    with pytest.raises(ValueError, match="an activation of 256 values, but the student 'resnet8' has 64 before"):
        tasks.train(configuration.parse(["train_cifar.py", *noise, *wider, f"--curriculum={mixture}"]))
    assert not (tmp_path / "x").exists()
