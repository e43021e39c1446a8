"""The review page as a file: what is in it, what its command says, and pictures kept of a run."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import mentornet
from mentornet.files import RunFolderError
from mentornet.reports import review_command, review_page
from mentornet.runs import suspect_pictures
from mentornet.runs.samples import write_samples_csv
from tests.run_folders import make_run

HOSTILE = ["</script><script>alert(1)</script>", "<!--", "\u2028\"'&{{ 7 * 7 }}"]


class Parts(HTMLParser):
    """The tags of a page, and the text inside each script and style."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.inside, self.policy, self.place = [], {}, "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.place = f"{tag} {dict(attrs).get('id', '')}".strip()
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"]

    def handle_data(self, text):
        self.inside.setdefault(self.place, text)


def columns(count: int = 3) -> dict[str, np.ndarray]:
    return {
        "index": np.arange(count) + 10,
        "given": np.arange(count) % 3,
        "predicted": (np.arange(count) + 1) % 3,
        "rank": np.arange(count) + 1,
    }


def test_names_stay_data_and_the_policy_names_what_runs(tmp_path):
    made = mentornet.reports.review(
        columns(), np.zeros((20, 8, 8, 3), np.uint8), class_names=HOSTILE, output=tmp_path / "r.html", title=HOSTILE[0]
    )
    page = made.read_text(encoding="utf-8")
    parts = Parts(page)
    assert parts.tags.count("script") == 2
    assert parts.tags.count("style") == 1
    assert json.loads(parts.inside["script data"])["classes"] == HOSTILE
    for kind, place in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(parts.inside[place].encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}';" in parts.policy
    assert "default-src 'none'" in parts.policy
    assert "unsafe" not in parts.policy
    assert not re.search(r"https?://", page)


def test_the_page_of_a_run_has_its_worst_and_links_nothing_outside_its_data(tmp_path):
    photos = tmp_path / "photos"
    (photos / "train").mkdir(parents=True)
    Image.fromarray(np.full((300, 200, 3), 200, np.uint8)).save(photos / "train" / "a #1.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    workdir = make_run(tmp_path / "run", samples=False, dataset_name="folder", data_dir=str(photos))
    paths = ["train/a #1.png", "../secret.png", "train/gone.png", str(tmp_path / "secret.png")]
    write_samples_csv(
        workdir.samples_file,
        index=np.arange(4),
        given=np.zeros(4, int),
        predicted=np.ones(4, int),
        mean_weight=np.zeros(4),
        loss=np.arange(4.0),
        class_names=["=a", "b"],
        paths=paths,
    )
    stored = review_page.thumbnail(np.full((4, 4, 1), 7, np.uint8))
    suspect_pictures.save(workdir.path / "suspects.npz", np.array([2]), [stored], ["=a", "b", "never seen"])
    text = review_command.write_review(workdir.path, top=10)
    assert "2 have no picture" in text
    data = json.loads(Parts((workdir.path / "review.html").read_text("utf-8")).inside["script data"])
    assert data["classes"] == ["=a", "b", "never seen"]
    assert [row[0] for row in data["rows"]] == [3, 2, 1, 0]  # equal weights: the highest loss first
    assert [row[8] for row in data["rows"]] == paths[::-1]
    assert [row[9] for row in data["rows"]] == [None, None, None, "../photos/train/a%20%231.png"]
    assert [row[7] is None for row in data["rows"]] == [True, False, True, False]
    small, large = (Image.open(io.BytesIO(base64.b64decode(data["rows"][k][7].partition(",")[2]))) for k in (1, 3))
    assert (small.size, small.getpixel((0, 0))) == ((4, 4), (7, 7, 7))
    assert (large.format, large.size) == ("JPEG", (85, 128))


@pytest.mark.parametrize("bad", ["no run", "no samples", "masks", "damaged pictures", "top"])
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, capsys, bad):
    workdir = make_run(tmp_path / "run", samples=bad != "no samples", finished=bad != "no samples")
    if bad == "masks":
        np.savez(workdir.path / "masks.npz", given=np.zeros(1))
    if bad == "damaged pictures":
        np.savez(
            tmp_path / "run" / "suspects.npz", index=np.arange(3), ends=np.array([1, 9, 3]), bytes=np.zeros(3, np.uint8)
        )
    given = [str(tmp_path / "other" if bad == "no run" else workdir.path), *(["--top=0"] if bad == "top" else [])]
    if bad == "top":
        with pytest.raises(SystemExit):
            review_command.main(given)
    else:
        assert review_command.main(given) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    expected = {
        "no run": "There is no folder",
        "no samples": f"python -m mentornet.reports {workdir.path} makes it",
        "masks": "is a run on masks",
        "damaged pictures": "holds no pictures",
    }
    assert expected.get(bad, "one suspect at least") in said
    assert not (workdir.path / "review.html").exists()


def test_pictures_are_read_as_written_and_images_of_any_kind_are_taken(tmp_path):
    pictures = [b"one", b"", b"three"]
    suspect_pictures.save(tmp_path / "s.npz", np.array([5, 1, 9]), pictures, ["a"])
    assert suspect_pictures.load(tmp_path / "s.npz") == ({5: b"one", 1: b"", 9: b"three"}, ["a"])
    assert suspect_pictures.load(tmp_path / "none.npz") == ({}, None)
    floats = np.linspace(0, 1, 20 * 64, dtype=np.float32).reshape(20, 8, 8, 1)
    made = review_page.review(columns(), floats, output=tmp_path / "r.html")
    row = json.loads(Parts(made.read_text("utf-8")).inside["script data"])["rows"][0]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(row[7].partition(",")[2]))).convert("L"), float)
    np.testing.assert_allclose(shown, 255 * floats[10, ..., 0], atol=1)
    with pytest.raises(ValueError, match="no column 'rank'"):
        review_page.review({"index": [1], "given": [0], "predicted": [0]}, output=tmp_path / "x.html")
    with pytest.raises(RunFolderError, match="does not exist"):
        review_page.review(columns(), floats, output=tmp_path / "no" / "x.html")
