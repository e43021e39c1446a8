"""When a run lets its method choose clean samples: steps, rows, statistics over parts of an interval, interruption."""

from __future__ import annotations

import numpy as np
import pytest

from mentornet.methods import l2b
from tests.script_runs import Stopped, assert_same_training, rows
from tests.test_train_cifar_methods import DATA, train

# 100 samples in batches of 25: an epoch has 4 steps.
MIXTURE = ["--method=l2b", "--clean_source=mixture", "--train_examples=100", "--batch_size=25", "--clean_batch_size=8"]
LENGTH = ["--max_number_of_steps=20", "--learning_rate=0.02", "--dropout_keep_probability=0.8", "--noshow_progress"]
FLAGS = [*DATA, *MIXTURE, *LENGTH, "--studentnet=s2e_mlp"]


@pytest.fixture
def fits(monkeypatch) -> list[int]:
    """The steps before which a mixture was fitted, read off its seed, which is the run's plus the step."""
    found: list[int] = []
    real = l2b.clean_samples

    def noted(losses: np.ndarray, at_least: int, seed: int) -> np.ndarray:
        found.append(seed)
        return real(losses, at_least, seed)

    monkeypatch.setattr(l2b, "clean_samples", noted)
    return found


def test_an_interval_of_many_epochs_has_a_choice_in_each_and_one_row(fits, tmp_path, monkeypatch):
    """Every sample is always chosen, so that runs with rows every 4 and every 16 steps do the same steps."""
    noted = l2b.clean_samples

    def everything(losses: np.ndarray, at_least: int, seed: int) -> np.ndarray:
        return noted(losses, at_least, seed) | True

    monkeypatch.setattr(l2b, "clean_samples", everything)
    found = {}
    for every in (4, 16):
        folder = tmp_path / str(every)
        train(*FLAGS, f"--eval_every_steps={every}", "--warmup_steps=4", f"--train_log_dir={folder}")
        assert fits == [4, 8, 12, 16]
        del fits[:]
        found[every] = rows(folder)
    assert [row["step"] for row in found[4]] == ["4", "8", "12", "16", "20"]
    assert [row["step"] for row in found[16]] == ["16", "20"]
    for name in ("raw_loss", "train_accuracy", "weight_sum", "data_utilisation", "pseudo_weight_sum"):
        parts = [float(row[name]) for row in found[4][:4]]
        assert float(found[16][0][name]) == pytest.approx(np.mean(parts), rel=1e-5), name
    for row, same in ((found[16][0], found[4][3]), (found[16][1], found[4][4])):
        assert row["eval_accuracy"] == same["eval_accuracy"]
        assert row["eval_loss"] == same["eval_loss"]


@pytest.mark.slow
def test_a_run_stopped_while_it_chooses_ends_like_an_uninterrupted_one(fits, tmp_path, monkeypatch):
    """Stopped twice: the fit at 6 follows a checkpoint of the same step, that at 14 one of step 12."""
    flags = [*FLAGS, "--warmup_steps=2", "--eval_every_steps=6"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(*flags, f"--train_log_dir={whole}")
    assert fits == [2, 6, 10, 14, 18]
    assert [row["step"] for row in rows(whole)] == ["6", "12", "18", "20"]
    noted = l2b.clean_samples
    for at in (6, 14):

        def stopping(losses: np.ndarray, at_least: int, seed: int, at: int = at) -> np.ndarray:
            if seed == at:
                raise Stopped
            return noted(losses, at_least, seed)

        with monkeypatch.context() as patch:
            patch.setattr(l2b, "clean_samples", stopping)
            with pytest.raises(Stopped):
                train(*flags, f"--train_log_dir={stopped}")
    del fits[:]
    train(*flags, f"--train_log_dir={stopped}")
    assert fits == [14, 18]
    assert_same_training(stopped, whole)
