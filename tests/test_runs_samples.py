"""Suspects: ranks against a plain sort, AUC against scikit-learn, samples.csv read by csv, the sheet by its pixels."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from mentornet.files import RunFolderError
from mentornet.reports import suspects
from mentornet.reports.suspects import suspect_sheet
from mentornet.runs.samples import (
    rank_suspects,
    read_samples_csv,
    telling,
    top_suspects,
    weights_auc,
    write_samples_csv,
)

ORANGE = (0xD5, 0x5E, 0x00)


class TestRank:
    def test_by_hand(self):
        weight = np.array([0.5, 0.0, np.nan, 0.0, 1.0, np.nan])
        loss = np.array([1.0, 2.0, 9.0, 3.0, 0.1, 9.5])
        # The two that were not visited stand at the others' mean weight of 0.375, the larger loss first.
        assert rank_suspects(weight, loss).tolist() == [5, 2, 4, 1, 6, 3]
        assert top_suspects(weight, loss, 3).tolist() == [3, 1, 5]
        assert top_suspects(weight, loss, 48).tolist() == [3, 1, 5, 2, 0, 4]

    def test_equal_weights_say_nothing(self):
        differing = np.array([0.5, np.nan, 1.0])
        np.testing.assert_array_equal(telling(differing), differing)
        for equal in ([1.0, np.nan, 1.0], [np.nan] * 3):
            assert np.isnan(telling(np.array(equal))).all()

    def test_equal_weights_leave_the_losses_whoever_was_visited(self):
        weight, loss = np.array([1.0, np.nan, 1.0, np.nan]), np.array([0.1, 3.0, 2.0, 0.5])
        assert top_suspects(weight, loss, 48).tolist() == [1, 2, 3, 0]

    def test_against_a_plain_sort(self):
        rng = np.random.default_rng(0)
        weight, loss = rng.integers(0, 5, 500) / 4, rng.integers(0, 50, 500) / 10
        order = sorted(range(500), key=lambda k: (weight[k], -loss[k], k))
        assert np.argsort(rank_suspects(weight, loss)).tolist() == order

    def test_unknown_loss_counts_as_lowest(self):
        assert rank_suspects(np.zeros(3), np.array([np.nan, 0.0, 5.0])).tolist() == [3, 2, 1]

    def test_nothing_visited_leaves_the_losses(self):
        assert top_suspects(np.full(3, np.nan), np.array([1.0, 3.0, 2.0]), 2).tolist() == [1, 2]

    def test_lengths_must_agree(self):
        with pytest.raises(ValueError, match="one value a sample"):
            rank_suspects(np.zeros(3), np.zeros(4))


class TestAuc:
    @pytest.mark.parametrize("levels", [2, 7, 10**9])
    def test_against_scikit_learn(self, levels):
        rng = np.random.default_rng(levels)
        for _ in range(20):
            clean = rng.random(200) < 0.7
            weight = rng.integers(0, levels, 200) / levels + 0.2 * clean
            assert weights_auc(weight, clean) == pytest.approx(roc_auc_score(clean, weight), abs=1e-12)

    def test_not_visited_samples_are_left_out(self):
        weight = np.array([0.1, np.nan, 0.9, 0.4, np.nan])
        clean = np.array([False, True, True, True, False])
        assert weights_auc(weight, clean) == 1.0

    def test_ends_and_constants(self):
        clean = np.array([True, True, False])
        assert weights_auc(np.array([1.0, 1.0, 0.0]), clean) == 1.0
        assert weights_auc(np.array([0.0, 0.0, 1.0]), clean) == 0.0
        assert weights_auc(np.ones(3), clean) == 0.5
        assert np.isnan(weights_auc(np.ones(3), np.ones(3, bool)))
        assert np.isnan(weights_auc(np.full(3, np.nan), clean))
        assert np.isnan(weights_auc(np.empty(0), np.empty(0, bool)))


class TestCsv:
    def columns(self, **more):
        return {
            "index": np.array([10, 20, 30], np.int64),
            "given": np.array([0, 1, 1], np.int32),
            "predicted": np.array([0, 0, 1], np.int32),
            "mean_weight": np.array([0.75, 0.1, np.nan]),
            "loss": np.array([0.25, 1 / 3, 7.0], np.float64),
            **more,
        }

    def test_whole_file(self, tmp_path):
        write_samples_csv(
            tmp_path / "s.csv", **self.columns(class_names=["a, b", 'say "é"'], clean=np.array([0, 0, 1]))
        )
        with open(tmp_path / "s.csv", newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream))
        assert rows == [
            [
                "index",
                "given_label",
                "predicted_label",
                "mean_weight",
                "loss",
                "suspect_rank",
                "given_name",
                "predicted_name",
                "clean_label",
            ],
            ["20", "1", "0", "0.1", "0.3333333333333333", "1", 'say "é"', "a, b", "0"],
            ["30", "1", "1", "", "7.0", "2", 'say "é"', 'say "é"', "1"],
            ["10", "0", "0", "0.75", "0.25", "3", "a, b", "a, b", "0"],
        ]

    def test_files_come_last_and_are_read_back(self, tmp_path):
        paths = ["train/a/1.jpg", 'train/b/with, comma "é".jpg', "train/b/3.jpg"]
        write_samples_csv(tmp_path / "s.csv", **self.columns(clean=np.array([0, 0, 1]), paths=paths))
        with open(tmp_path / "s.csv", newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream))
        assert rows[0][-2:] == ["clean_label", "path"]
        assert [row[-1] for row in rows[1:]] == [paths[1], paths[2], paths[0]]
        assert read_samples_csv(tmp_path / "s.csv")["path"].tolist() == [paths[1], paths[2], paths[0]]
        with pytest.raises(ValueError, match="one value a sample"):
            write_samples_csv(tmp_path / "s.csv", **self.columns(paths=paths[:2]))

    def test_read_back(self, tmp_path):
        write_samples_csv(tmp_path / "s.csv", **self.columns())
        read = read_samples_csv(tmp_path / "s.csv")
        assert "clean_label" not in read
        assert read["index"].tolist() == [20, 30, 10]
        np.testing.assert_array_equal(read["mean_weight"], [0.1, np.nan, 0.75])

    def test_a_loss_of_nothing_has_no_sign(self, tmp_path):
        write_samples_csv(tmp_path / "s.csv", **{**self.columns(), "loss": np.array([-0.0, 0.5, 1.0], np.float32)})
        assert (tmp_path / "s.csv").read_text().splitlines()[-1] == "10,0,0,0.75,0.0,3"

    def test_mistakes(self, tmp_path):
        with pytest.raises(ValueError, match="one value a sample"):
            write_samples_csv(tmp_path / "s.csv", **self.columns(clean=np.zeros(2, np.int64)))
        with pytest.raises(ValueError, match="from 0 to 1, but 1 class names"):
            write_samples_csv(tmp_path / "s.csv", **self.columns(class_names=["a"]))
        assert not (tmp_path / "s.csv").exists()

    @pytest.mark.parametrize("text", ["", "index,loss\n1,2\n", "index,loss\n1\n", "index\nx\n"])
    def test_other_files_are_refused(self, tmp_path, text):
        (tmp_path / "s.csv").write_text(text)
        with pytest.raises(RunFolderError, match="not a table of samples"):
            read_samples_csv(tmp_path / "s.csv")


class TestSheet:
    def draw(self, path, images, **more):
        count = len(images)
        facts = {
            "given": np.arange(count) % 2,
            "predicted": np.zeros(count, int),
            "mean_weight": np.linspace(0, 1, count),
            **more,
        }
        suspect_sheet(path, images, **facts)
        with Image.open(path) as sheet:
            assert sheet.format == "PNG"
            return np.asarray(sheet.convert("RGB"))

    def test_wrong_ones_are_framed(self, tmp_path):
        images = np.zeros((3, 8, 8, 1), np.uint8)
        sheet = self.draw(tmp_path / "s.png", images, given=np.array([0, 1, 1]), clean=np.array([0, 0, 1]), columns=3)
        # The frame of the second picture is the only long horizontal orange line.
        lines = np.flatnonzero((sheet == ORANGE).all(-1).sum(axis=1) > 100)
        assert lines.size == 10  # 5 pixels above and 5 below
        columns = np.flatnonzero((sheet[lines[0]] == ORANGE).all(-1))
        assert sheet.shape[1] / 3 - 10 < columns.min() < columns.max() < 2 * sheet.shape[1] / 3 + 10

    def test_the_figure_is_what_ranks(self, tmp_path, monkeypatch):
        written = []
        monkeypatch.setattr(suspects, "_write", lambda draw, place, text, *more: written.append(text))
        images, facts = np.zeros((2, 8, 8, 1), np.uint8), {"loss": np.array([2.5, 1.0])}
        for probability, weight, note, figure in (
            ([0.0002, np.nan], [0.1, 0.2], "lowest mean probability of the given label", "#1  probability 0.368"),
            (None, [0.1, 0.2], "lowest mean weight", "#0  weight 0.100"),
            (None, [np.nan, np.nan], "highest loss", "#0  loss 2.500"),
        ):
            written.clear()
            more = {} if probability is None else {"mean_probability": np.array(probability)}
            self.draw(tmp_path / "s.png", images, index=np.arange(2), mean_weight=np.array(weight), **facts, **more)
            assert written[1].startswith(note)
            assert figure in written

    def test_nothing_is_framed_without_clean_labels(self, tmp_path):
        sheet = self.draw(tmp_path / "s.png", np.zeros((3, 8, 8, 1), np.uint8))
        assert not (sheet == ORANGE).all(-1).any()

    def test_small_pictures_are_enlarged_sharply(self, tmp_path):
        image = np.zeros((1, 8, 8, 3), np.uint8)
        image[0, 2, 5] = (10, 250, 20)
        sheet = self.draw(tmp_path / "s.png", image)
        green = (sheet == (10, 250, 20)).all(-1)
        assert green.sum() == 20 * 20  # one pixel of an 8x8 picture in a tile of 160
        rows, columns = np.nonzero(green)
        assert np.ptp(rows) == np.ptp(columns) == 19

    @pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28), (32, 32, 3), (64, 48, 4), (224, 224, 3), (300, 20, 3)])
    def test_every_size(self, tmp_path, shape):
        images = [np.full(shape, 90, np.uint8)] * 9
        sheet = self.draw(tmp_path / "s.png", images, class_names=["a" * 200, "b"], index=np.arange(9), title="t" * 500)
        side = 160 if max(shape[:2]) <= 64 else 192
        assert sheet.shape[1] == 8 * (side + 10 + 14) + 14
        assert sheet.shape[0] > 2 * side
        assert (sheet == 90).all(-1).sum() >= 9 * (side * min(shape[:2]) // max(shape[:2]) - 60) * (side - 60)

    def test_names_of_files_get_a_line_of_their_own(self, tmp_path):
        images = np.zeros((2, 8, 8, 1), np.uint8)
        without = self.draw(tmp_path / "s.png", images)
        line = {}
        for name in ("train/a/one.jpg", "train/b/one.jpg", "other\n lines.jpg", "n" * 300):
            sheet = self.draw(tmp_path / "s.png", images, paths=[name, "x.jpg"])
            added = sheet.shape[0] - without.shape[0]
            assert added == 17
            line[name] = sheet[-added - 20 :, : sheet.shape[1] // 8]
            assert (line[name] < 200).any()
        np.testing.assert_array_equal(line["train/a/one.jpg"], line["train/b/one.jpg"])
        assert (line["train/a/one.jpg"] != line["other\n lines.jpg"]).any()

    def test_no_pictures_and_no_weights(self, tmp_path):
        assert self.draw(tmp_path / "s.png", []).shape[0] > 100
        self.draw(tmp_path / "s.png", np.zeros((2, 8, 8, 1), np.uint8), mean_weight=np.full(2, np.nan))

    def test_mistakes(self, tmp_path):
        with pytest.raises(ValueError, match="must be uint8"):
            self.draw(tmp_path / "s.png", np.zeros((2, 8, 8, 3)))
        with pytest.raises(ValueError, match="must be uint8"):
            self.draw(tmp_path / "s.png", np.zeros((2, 8, 8, 2), np.uint8))
        with pytest.raises(ValueError, match="2 images need as many values of 'clean'"):
            self.draw(tmp_path / "s.png", np.zeros((2, 8, 8, 3), np.uint8), clean=np.zeros(3))
        with pytest.raises(ValueError, match="class names are given"):
            self.draw(tmp_path / "s.png", np.zeros((2, 8, 8, 3), np.uint8), class_names=["a"])
        assert list(tmp_path.iterdir()) == []
