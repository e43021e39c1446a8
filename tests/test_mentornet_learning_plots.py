"""Pictures of curricula: what is drawn, the animation's frames, and the command's sentences."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mentornet import curricula
from mentornet.curricula import learned
from mentornet.learning import plots
from mentornet.network import NetworkConfig, build


def test_weights_keep_the_shape_and_repeat_histories():
    loss, difference = np.meshgrid(np.linspace(0, 4, 5), np.linspace(-1, 1, 3))
    found = plots.weights(curricula.get("spcl_linear"), loss, difference, 30)
    np.testing.assert_allclose(found, np.clip(1 - difference, 0, 1), atol=1e-6)
    # A history that repeats one loss has no variance.
    assert not plots.weights(curricula.get("prediction_variance"), loss, difference, 30).any()


def test_the_animation_has_a_frame_a_percent_in_its_colours(tmp_path):
    curriculum = curricula.get("mentornet_pd")
    plots.draw_surfaces(tmp_path, curriculum, (0, 50, 95), loss_bound=2.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch_0.png",
        "epoch_50.png",
        "epoch_95.png",
        "surface.gif",
    ]
    with Image.open(tmp_path / "surface.gif") as animation:
        assert animation.n_frames == 3
        assert animation.info["duration"] == 500
        assert animation.info["loop"] == 0
        for frame, epoch in enumerate((0, 50, 95)):
            animation.seek(frame)
            drawn = np.asarray(animation.convert("RGB"), int)
            still = np.asarray(Image.open(tmp_path / f"epoch_{epoch}.png"), int)
            assert drawn.shape == still.shape
            assert np.abs(drawn - still).mean() < 3  # of 255: the palette is the frames' own


def test_objectives_differ_by_curriculum_and_comparisons_show_two(tmp_path):
    plots.draw_objective(tmp_path / "a.png", curricula.get("self_paced"))
    plots.draw_objective(tmp_path / "b.png", curricula.get("focal_loss"))
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
    plots.draw_comparison(tmp_path / "c.png", (curricula.get("self_paced"), curricula.get("focal_loss")), (21, 75))
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.width > 1.8 * picture.height


def test_a_learned_folder_gets_its_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "EPOCHS", (0, 99))
    learned.save(build(NetworkConfig(fixed_label=0)), tmp_path, {"name": "mine"})
    plots.draw_learned(tmp_path, [[10, 0.1], [20, 0.0]])
    assert {path.name for path in tmp_path.iterdir()} >= {"surface.gif", "objective.png", "learning.png"}


def test_the_command_draws_with_the_releases_flags(tmp_path, capsys):
    folder = tmp_path / "mine"
    learned.save(build(NetworkConfig(fixed_label=0)), folder, {"name": "mine"})
    arguments = [f"--model_dir={folder}", "--loss_bound=5", "--epoch_ranges=0,99", "--compare=focal_loss"]
    assert plots.main(arguments) == 0
    assert {path.name for path in folder.glob("*.png")} == {
        "epoch_0.png",
        "epoch_99.png",
        "objective.png",
        "compare.png",
    }
    assert f"to {folder}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model_dir=absent"], "--model_dir=absent is not a folder: give --output"),
        (["--model_dir=magic", "--output=out"], "unknown curriculum 'magic'"),
        (["--model_dir=none", "--output=out", "--epoch_ranges=0,100"], "percents lie in 0..99"),
        (["--model_dir=none", "--output=out", "--epoch_ranges=a"], "expected whole numbers separated by commas"),
        (["--model_dir=none", "--output=out", "--loss_bound=0"], "must be greater than 0"),
        (["--model_dir=."], "is not a learned MentorNet: it has no card.json"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plots.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
