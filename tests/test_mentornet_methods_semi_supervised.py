"""Two networks that take turns: stages, divisions, streams and settings of DivideMix."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tf_keras as keras

from mentornet import methods
from mentornet.options import RunFacts
from mentornet.stages import Stage
from tests.test_mentornet_methods_dividemix import SIZE, N, divide_mix


class Training:
    """Networks' losses as told; positions 0 to 4 are labelled right."""

    def __init__(self, losses: dict[str, np.ndarray]):
        self._losses, self.asked, self.positions = losses, [], []
        self.given = np.zeros(N, np.int32)

    def outputs(self, network: keras.Model, positions: np.ndarray | None = None):
        self.asked.append(network.name)
        self.positions.append(positions)
        losses = self._losses[network.name]
        return SimpleNamespace(loss=losses if positions is None else losses[positions])

    def tells_clean(self, scores: np.ndarray, positions: np.ndarray | None = None) -> float:
        return float(scores[:5].mean() - scores[5:].mean())


LOW_FIRST = np.array([0.1, 0.2, 0.1, 0.15, 0.1, 3.0, 3.1, 2.9])
LOW_LAST = LOW_FIRST[::-1].copy()


def test_each_network_trains_on_the_other_ones_division():
    for a, b in ((LOW_FIRST, LOW_LAST), (LOW_LAST, LOW_FIRST)):
        method = divide_mix()
        assert method.look(Stage(("warm-up", 0), 0, epoch=0), None) is False
        assert method.look(Stage(("mix", 1), 5, epoch=2), None) is False
        assert method.look(Stage(("mix", 0), 4, epoch=2), Training({"a": a, "bb": b})) is True
        for turn, losses in ((0, b), (1, a)):
            streams = method.streams(Stage(("mix", turn), 4 + turn, epoch=2))
            assert list(streams) == ["labelled", "unlabelled"]  # the first one's pass is the epoch
            np.testing.assert_array_equal(streams["labelled"].positions, losses < 1)
            np.testing.assert_array_equal(streams["unlabelled"].positions, losses > 1)
            assert all(stream.views == ("weak", "weak") and stream.size == SIZE for stream in streams.values())
            assert (streams["labelled"].values["clean"][losses < 1] > 0.99).all()
        shares = [method.report()[f"labelled_share_peer_{k}"] for k in (1, 2)]
        assert shares == [5 / 8, 5 / 8]
        told = [method.report()[f"posterior_auc_peer_{k}"] for k in (1, 2)]
        assert (told[1] > told[0]) == (a is LOW_FIRST)


def test_stages_take_turns_and_end():
    method = divide_mix(num_epochs=4)
    stages = [method.next_stage(done) for done in range(9)]
    kinds = [("warm-up", 0), ("warm-up", 1)] * 2 + [("mix", 0), ("mix", 1)] * 2
    assert [stage.kind for stage in stages[:8]] == kinds
    assert [stage.epoch for stage in stages[:8]] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [stage.record for stage in stages[:8]] == [False, True] * 4
    assert stages[8] is None
    assert method.total_stages == 8
    given = method.streams(stages[0])["given"]
    assert (given.size, given.positions) == (2 * SIZE, None)


def test_losses_are_averaged_over_the_last_epochs_from_the_warm_up_on():
    method = divide_mix(loss_history=3)
    rng = np.random.default_rng(0)
    table = rng.random((5, N)).astype(np.float32)
    for looks, losses in enumerate(table):
        found = [method._averaged(k, losses * (k + 1), looks) for k in (0, 1)]
        expected = table[max(0, looks - 2) : looks + 1].mean(axis=0)
        for k in (0, 1):
            np.testing.assert_allclose(found[k], expected * (k + 1), rtol=1e-6)


def test_every_sample_has_the_mean_of_its_last_probabilities_whether_it_was_drawn_or_not():
    method = divide_mix(num_epochs=4)
    for epoch in (2, 3):
        method.look(Stage(("mix", 0), 2 * epoch, epoch=epoch), Training({"a": LOW_FIRST, "bb": LOW_LAST}))
    np.testing.assert_array_equal(method.weight_visits, 2.0)  # of the last epoch, by both networks
    np.testing.assert_allclose(method.weight_totals, method.clean.numpy().sum(axis=0))


def test_of_balanced_epochs_each_network_sees_a_draw_of_its_own_and_the_other_one_trains_on_it_alone():
    """Clothing1M in the released code: as many of each given class, the division over these, the rest left out."""
    given = np.array([0, 0, 0, 0, 0, 1, 1, 2])
    method, training = divide_mix(drawn_examples=6), Training({"a": LOW_FIRST, "bb": LOW_LAST})
    training.given = given
    seen = {0: [], 1: []}
    for epoch in (2, 3, 4, 5):
        training.positions = []
        method.look(Stage(("mix", 0), 2 * epoch, epoch=epoch), training)
        for turn, losses, drawn in zip((1, 0), (LOW_FIRST, LOW_LAST), training.positions, strict=True):
            assert np.bincount(given[drawn]).tolist() == [2, 2, 1]  # 6 / 3 each, of a small class all
            seen[turn].append(drawn)
            streams = method.streams(Stage(("mix", turn), 2 * epoch + turn, epoch=epoch))
            labelled, unlabelled = streams["labelled"], streams["unlabelled"]
            assert (labelled.balanced, unlabelled.balanced) == (False, False)
            np.testing.assert_array_equal(np.flatnonzero(labelled.positions | unlabelled.positions), drawn)
            assert not (labelled.positions & unlabelled.positions).any()
            np.testing.assert_array_equal(losses[labelled.positions] < losses[unlabelled.positions].min(), True)
            share = labelled.positions.sum() / len(drawn)
            assert method.report()[f"labelled_share_peer_{turn + 1}"] == pytest.approx(share)
    assert any(not np.array_equal(one, other) for one, other in zip(seen[0], seen[1], strict=True))
    assert any(not np.array_equal(seen[0][0], other) for other in seen[0])
    counts = np.bincount(np.concatenate(seen[0] + seen[1]), minlength=N)
    np.testing.assert_array_equal(method.weight_visits, counts)
    with pytest.raises(ValueError, match="looks at other samples in each"):
        divide_mix(drawn_examples=6, loss_history=2)


def test_what_follows_from_the_data():
    def prepared(**data):
        facts = {"num_epochs": 9, "batch_size": 128, "noise_type": "uniform", "noise_fraction": 0.2}
        facts |= {"clean_source": "none", "clean_batch_size": 7, "given": np.zeros(1000), "balanced_epochs": False}
        facts |= {"most_batches": None}
        return methods.DivideMix.prepared({"lambda_u": 0.0}, SimpleNamespace(**facts | data))

    made = {"lambda_u": 0.0, "num_epochs": 9, "batch_size": 64, "entropy_penalty": False, "loss_history": 1}
    assert prepared() == made
    assert prepared(noise_fraction=0.9)["loss_history"] == 5
    assert prepared(noise_fraction=None)["loss_history"] == 1
    assert prepared(clean_source="labelled") == made | {"clean_source": "labelled", "clean_batch_size": 7}
    assert prepared(noise_type="asymmetric")["entropy_penalty"] is True
    assert prepared(balanced_epochs=True, most_batches=10) == made | {"drawn_examples": 640}
    assert prepared(balanced_epochs=True, noise_fraction=0.9) == made | {"drawn_examples": 960}
    with pytest.raises(ValueError, match="use an even number"):
        prepared(batch_size=33)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="leave no epoch to the division, as --num_epochs=10"):
        methods.DivideMix.check_options({}, RunFacts(None, num_epochs=10))
    with pytest.raises(ValueError, match="must leave some of the 2 epochs"):
        divide_mix(num_epochs=2)
    with pytest.raises(ValueError, match="counts in epochs"):
        divide_mix(max_steps=100)


def test_only_the_first_network_takes_l2bs_step_and_its_clean_samples():
    for source in ("set", "labelled"):
        method = divide_mix(meta="l2b", clean_source=source, clean_batch_size=2)
        method.look(Stage(("mix", 0), 4, epoch=2), Training({"a": LOW_FIRST, "bb": LOW_LAST}))
        first, second = (method.streams(Stage(("mix", turn), 4 + turn, epoch=2)) for turn in (0, 1))
        assert "clean" not in second
        assert "clean" not in method.streams(Stage(("warm-up", 0), 0, epoch=0))
        if source == "set":
            assert (first["clean"].source, first["clean"].positions) == ("clean", None)
        else:
            assert (first["clean"].source, first["clean"].size) == ("training", 2)
            np.testing.assert_array_equal(first["clean"].positions, first["labelled"].positions)
