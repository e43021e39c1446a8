"""The demo's sheet: its curves are those of the dumps, whatever moments were asked for."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mentornet.files import RunFolderError
from mentornet.reports import story
from mentornet.runs import suspect_pictures
from mentornet.runs.run_data import RunData
from tests.run_folders import make_run


def dumped(path, memorised, **settings):
    """A run of 2,000 steps with 4 wrong labels of 10, of which so many are known by heart after each fifth."""
    workdir = make_run(path, **settings)
    (path / "dumps").mkdir()
    for asked, real, count in zip((3, 10, 50), (19, 19, 59), memorised, strict=True):
        lines = ["id,epoch_percent,noisy_label,clean_label,loss"]
        for number in range(10):
            loss = 0.25 if number >= 4 else 0.6 if number < count else 4.0  # log 2 is 0.69
            lines.append(f"{number},{real},{int(number < 4)},0,{loss}")
        (path / "dumps" / f"losses_{asked}.csv").write_text("\n".join(lines) + "\n")
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, format="png")
    suspect_pictures.save(path / suspect_pictures.NAME, np.arange(300), [buffer.getvalue()] * 300, list("abcdefghij"))
    return RunData.load(workdir.path)


def test_the_sheet_shows_what_is_in_the_dumps(tmp_path, monkeypatch):
    plain = dumped(tmp_path / "plain", (1, 1, 4), method="standard", curriculum=None, burn_in_epoch=None)
    runs = plain, dumped(tmp_path / "pd", (1, 1, 0))
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k))[1])
    story.draw(tmp_path / "sheet.png", *runs)
    with Image.open(tmp_path / "sheet.png") as picture:
        picture.verify()
    panels = drawn[0].subfigs[0].axes
    curves = {line.get_label(): line for line in panels[1].lines}
    np.testing.assert_allclose(curves["plain"].get_ydata(), [0.25, 0.25, 1.0])
    np.testing.assert_allclose(curves["MentorNet PD"].get_ydata(), [0.25, 0.25, 0.0])
    np.testing.assert_allclose(curves["plain"].get_xdata(), [400, 400, 1200])
    assert curves["end of burn-in"].get_xdata()[0] == pytest.approx(0.18 * 2000)
    losses = {line.get_label(): line.get_ydata() for line in panels[2].lines}
    np.testing.assert_allclose(losses["MentorNet PD, wrong labels"], [3.15, 3.15, 4.0])
    captions = [axes.get_xlabel() for axes in drawn[0].subfigs[1].axes]
    assert len(captions) == 12
    table = runs[1].samples
    first = int(np.argmin(table["suspect_rank"]))
    names = "abcdefghij"
    assert captions[0] == f"given {names[table['given_label'][first]]}\nis {names[table['clean_label'][first]]}"


def test_runs_without_dumps_are_refused(tmp_path):
    run = RunData.load(make_run(tmp_path / "run").path)
    with pytest.raises(RunFolderError, match="has no dumps of its losses: train it with --keep_dumps_at"):
        story.draw(tmp_path / "sheet.png", run, run)
