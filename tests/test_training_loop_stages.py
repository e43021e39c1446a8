"""Which batches a stage reads, where rows and checkpoints fall, and what asynchronous training refuses."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mentornet import methods
from mentornet.learning.updates import CurriculumUpdates, TrustedSamples
from mentornet.runs.workdir import Workdir
from mentornet.stages import Stage, Stream
from mentornet.training import run
from mentornet.training.checkpoints import Checkpoints
from mentornet.training.distribution.strategy import Distribution
from mentornet.training.inputs import RunSettings
from mentornet.training.loop import check_asynchronous
from mentornet.training.optimizers import MomentumSGD
from tests.script_runs import Stopped, stop_after
from tests.selection_oracles import peers
from tests.spade_oracles import linear_student
from tests.test_training_loop import (  # noqa: F401
    EXAMPLES,
    checkpoints_of,
    column,
    deterministic,
    inputs,
    memory_streams,
    no_pictures,
    tiny,
    toy,
    train,
)
from tests.toy_methods import Diary


def diary(stages: list[Stage], read: dict, size: int = 16, **own) -> Diary:
    return Diary(tiny(), stages=stages, read=read, size=size, num_examples=EXAMPLES, **({"max_steps": 14} | own))


def positions(streams: dict, start: int, count: int, stage: int | None, name: str = "index") -> np.ndarray:
    """What the data has for these steps, asked without an engine."""
    return np.stack([batch[name].numpy() for batch in memory_streams().dataset(streams, start, count, stage)])


def test_stages_of_so_many_steps_go_on_where_the_training_is(tmp_path):
    """Step t of the run has the same batch whatever stages lie before; the pass over the data isn't begun anew."""
    read = {"a": {"given": Stream()}, "b": {"given": Stream()}}
    method = diary([Stage("a", 0, 3), Stage("b", 1, 6), Stage("a", 2, 5)], read)
    train(method, tmp_path / "run", every=5)
    np.testing.assert_array_equal(method.positions, positions(read["a"], 0, 14, None))
    assert len(set(method.positions.numpy()[:4].ravel())) == EXAMPLES  # an epoch across the first two stages
    assert column(tmp_path / "run", "step") == [5, 10, 14]


def test_passes_have_an_order_of_their_own_counted_from_their_start(tmp_path):
    """Four steps each; the last stage of so many steps then takes the batches that the run would have there."""
    read = {"a": {"given": Stream()}}
    method = diary([Stage("a", 0), Stage("a", 1), Stage("a", 2, 6)], read)
    train(method, tmp_path / "run", every=100)
    expected = [positions(read["a"], 0, 4, 0), positions(read["a"], 0, 4, 1), positions(read["a"], 8, 6, None)]
    np.testing.assert_array_equal(method.positions, np.concatenate(expected))
    assert (expected[0] != expected[1]).any()
    assert all(len(set(part.ravel())) == EXAMPLES for part in expected[:2])


@pytest.mark.parametrize("stop", [2, 7, 11])
def test_a_stopped_pass_is_taken_up_where_it_was(stop, tmp_path, monkeypatch):
    read = {"a": {"given": Stream()}}
    stages = [Stage("a", 0), Stage("a", 1), Stage("a", 2, 6)]
    with monkeypatch.context() as patch:
        stop_after(stop, patch)
        with pytest.raises(Stopped):
            train(diary(stages, read), tmp_path / "run", every=1)
    method = diary(stages, read)
    train(method, tmp_path / "run", every=1)
    expected = [positions(read["a"], 0, 4, 0), positions(read["a"], 0, 4, 1), positions(read["a"], 8, 6, None)]
    np.testing.assert_array_equal(method.positions, np.concatenate(expected))
    assert column(tmp_path / "run", "step") == list(range(1, 15))


def test_the_first_stream_sets_the_length_of_a_pass(tmp_path):
    """16 of the samples, 8 a step: two steps, in which all of them come once."""
    chosen = np.arange(EXAMPLES) % 4 == 0
    read = {"a": {"given": Stream(chosen, 8), "clean": Stream(source="clean")}}
    method = diary([Stage("a", 0)], read, size=8, max_steps=2)
    train(method, tmp_path / "run")
    assert sorted(method.positions.numpy().ravel()) == np.flatnonzero(chosen).tolist()


@pytest.mark.parametrize(
    ("records", "every", "expected"),
    [
        ((None, None, None), 4, [4, 8, 12, 14]),
        ((True, True, True), 4, [3, 9, 14]),
        ((False, True, False), 4, [9, 14]),  # the end has a row in any case
        ((None, True, None), 2, [2, 9, 10, 12, 14]),
    ],
)
def test_rows_by_interval_and_by_stages(records, every, expected, tmp_path):
    """Statistics are added up from row to row, over stages: the mean of raw losses of the steps between."""
    read = {"a": {"given": Stream()}}
    lengths = (3, 6, 5)
    stages = [Stage("a", k, steps, record) for k, (steps, record) in enumerate(zip(lengths, records, strict=True))]
    train(diary(stages, read), tmp_path / "run", every=every)
    assert column(tmp_path / "run", "step") == expected
    train(diary([Stage("a", 0, 14)], read), tmp_path / "steps", every=1)
    each = column(tmp_path / "steps", "raw_loss")
    for start, end, found in zip([0, *expected], expected, column(tmp_path / "run", "raw_loss"), strict=False):
        assert found == pytest.approx(np.mean(each[start:end]), rel=1e-5)
    # All four batches of the test set are evaluated, however many steps run at a call where a row is due.
    for name in ("eval_loss", "eval_accuracy"):
        single = column(tmp_path / "steps", name)
        assert column(tmp_path / "run", name) == [single[step - 1] for step in expected]


def test_methods_that_look_save_no_more_than_they_need(tmp_path, monkeypatch):
    """Where a look follows, its checkpoint is the one of that step."""
    saved = []
    real = Checkpoints.save
    monkeypatch.setattr(Checkpoints, "save", lambda self: saved.append(int(self.method.step)) or real(self))
    method = toy()
    train(method, tmp_path / "run", keep_checkpoints=100)
    ends = column(tmp_path / "run", "step")
    assert saved.count(8) == 1  # a row; the look that follows it finds nothing
    assert saved.count(16) == 1  # a row, and the look that follows it
    assert saved[-1] == ends[-1]
    assert checkpoints_of(tmp_path / "run") == sorted(set(saved))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (toy, "ToyMix trains with 2 students"),
        (lambda: methods.get("co_teaching")(peers(), max_steps=9), "CoTeaching trains with 2 students"),
        (lambda: diary([Stage("a", 0, 7), Stage("a", 1, 7)], {}), "Diary trains with several stages"),
        (
            lambda: methods.get("l2b")(
                linear_student(), max_steps=9, num_examples=9, mixture_steps=3, clean_batch_size=2, lookahead="none"
            ),
            "L2B trains with several stages",
        ),
        (
            lambda: methods.Spade(
                linear_student(),
                max_steps=100,
                updates=CurriculumUpdates(TrustedSamples(np.arange(2), np.arange(2), np.arange(2))),
            ),
            "Spade trains with several stages",
        ),
    ],
)
def test_asynchronous_training_is_refused_in_one_sentence(make, what, tmp_path):
    place, method = Distribution("parameter_server", SimpleNamespace(num_replicas_in_sync=1)), make()
    settings = RunSettings(max_steps=method.max_steps, eval_every_steps=3)
    with pytest.raises(ValueError, match=rf"^{what}, which workers that don't wait for each other can't do") as error:
        run.train(method, MomentumSGD(0.1), inputs(), Workdir(tmp_path / "run"), settings, {}, place)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["standard", "spade", "l2rw", "small_loss"])
def test_one_student_and_one_stage_may_train_asynchronously(name):
    method = methods.get(name)(linear_student(), max_steps=9)
    check_asynchronous(method)
    assert method.peers == 1
    assert method.next_stage(1) is None
