"""Draws the gallery of the MentorNets that come with the library: one row each, as in the release's README.

    python -m mentornet.learning.gallery --output=docs

Writes ``gallery.md`` and, into ``gallery/``, for each an animation of its weight surface, its surface late in training
and its curve of loss against objective (ICML fig. 2), and two surfaces side by side (ICML fig. 4).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mentornet import files, quiet

if TYPE_CHECKING:
    from mentornet.curricula.learned import LearnedCurriculum

# What is known of each by its formula; others are data-driven, and their cards say from what they were learned.
FORMULAS = {
    "baseline": "every sample counts fully",
    "self_paced": "v = 1 if l ≤ l_pt, else 0",
    "spcl_linear": "v = 1 up to l_pt, then falls to 0 at l_pt + 1",
    "hard_example_mining": "v = 1 if l ≥ l_pt, else 0",
    "focal_loss": "v = (1 − e^(−l))²",
    "mentornet_pd": "1 up to 18%, then self_paced, from 90% spcl_linear",
    "temporal_mixture": "self_paced up to 49%, hard_example_mining from 50%",
    "huber": "v = 1/2 up to l = 1, then 1 / (2 √l)",
    "log_sum": "v = 1 / (1 + l)",
}
COMPARED = ("mentornet_pd", 40, 95)
LATE = 99

HEAD = """# Gallery of the ready-made MentorNets

Each was learned by this project's own commands and comes with the library:
`mentornet.curricula.get("pretrained:<name>")`, or `--curriculum=pretrained:<name>` in a training. The surfaces show the
weight that a sample gets for its loss l and the difference of its loss to the moving percentile l_pt, while training
goes from 0% to 99%. The curves show the loss against the objective it becomes, weight × loss at l_pt = 1 and 99% of
training, beside the objectives of Huber, log-sum and self-paced (figure 2 of the ICML paper). The error is the mean
squared one on held-out samples. For Huber and log-sum, weight × loss is below the robust objective of the same name,
which adds the penalty G of the weight to it.

`python -m mentornet.learning.gallery --output=docs` draws this page anew, and
`python -m mentornet.learning.make_pretrained` learns the networks with a closed form anew. The data-driven ones were
learned from the losses of a small student on CIFAR-10 with 20%, 40% and 80% uniform noise (the card names it), by

```bash
python scripts/mentornet_dd.py --learn_only --noise_fraction=0.4 --data_dir=DATA --output=runs/mentornet_dd_0.4
python -m mentornet.learning.make_pretrained mentornet_dd_0.4 --from_run=runs/mentornet_dd_0.4
```

Their dump shows one time of the training, 18%, and one l_pt: they answer alike at all times, and what the surfaces
show away from one diagonal (loss minus difference = l_pt) is how the network goes on where it saw no sample. A
MentorNet that is learned anew while the student trains follows it instead: [what that changes](learning.md). They are
fed label 0 whatever the sample's label is, so they serve data sets with any number of classes. Percentiles between 40
and 90 do about equally well for one dump (`candidates` in the card).

| MentorNet | weight over loss and difference, 0% to 99% of training | at 99% | loss against objective |
|---|---|---|---|
"""


def row(name: str, card: dict[str, object]) -> str:
    """A line of the page's table."""
    held_out, source = card["held_out"], card["source"]
    assert isinstance(held_out, dict)
    assert isinstance(source, dict)
    if name in FORMULAS:
        about = f"{FORMULAS[name]}<br>error {held_out['mse']:.1e}"
    else:
        about = (
            f"data-driven, from {source['rows']:,} samples of which {source['wrong_labels']:.0%} are wrong, percentile "
            f"{card['percentile']}<br>tells right from wrong: {held_out['accuracy']:.1%} (always the more frequent "
            f"answer: {max(source['wrong_labels'], 1 - source['wrong_labels']):.1%})"
        )
    pictures = " | ".join(f"![{name}](gallery/{name}{suffix})" for suffix in (".gif", ".png", "_objective.png"))
    return f"| **{name}**<br>{about} | {pictures} |\n"


def draw(output: Path, names: Sequence[str]) -> None:
    """Draws the pictures of the named MentorNets and writes the page."""
    from mentornet.curricula import PRETRAINED, get
    from mentornet.learning import plots

    folder = output / "gallery"
    with files.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    page = HEAD
    for name in names:
        curriculum: LearnedCurriculum = get(PRETRAINED + name)  # type: ignore[assignment]
        frames = [plots.surface_image(curriculum, epoch, title=name) for epoch in plots.EPOCHS]
        plots.save_animation(frames, folder / f"{name}.gif")
        plots.save_png(frames[plots.EPOCHS.index(LATE)], folder / f"{name}.png")
        plots.draw_objective(folder / f"{name}_objective.png", curriculum, LATE, title=name)
        page += row(name, curriculum.card)
        print(f"drew {name}", flush=True)
    name, early, late = COMPARED
    if name in names:
        pair = (get(PRETRAINED + name),) * 2
        plots.draw_comparison(folder / "compare.png", pair, (early, late), titles=(name, name))
        page += (
            f"\nTwo surfaces side by side, as in figure 4 of the ICML paper (`python -m mentornet.learning.plots "
            f"--compare`): {name} at {early}% and {late}% of training.\n\n![{name} at two times](gallery/compare.png)\n"
        )
    files.write_text(output / "gallery.md", page)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 after one sentence about what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m mentornet.learning.gallery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--output", default="docs", help="folder of the page (default: %(default)s)")
    options = parser.parse_args(arguments)
    quiet.start_tensorflow()
    from mentornet.curricula import pretrained_names

    known = [name for name in FORMULAS if name in pretrained_names()]
    try:
        draw(Path(options.output), known + [name for name in pretrained_names() if name not in FORMULAS])
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
