"""Pictures of curricula, predefined or learned (ICML fig. 2 and 4, the release's gallery), with the release's flags.

    python -m mentornet.learning.plots --model_dir=my_mentornet --loss_bound=5 --epoch_ranges=0,18,50,99

Into the folder (or ``--output``): ``epoch_<percent>.png``, the weight over (difference, loss), all of them as the
animation ``surface.gif``, and ``objective.png``, the loss against the objective. ``--compare`` adds ``compare.png``,
two surfaces side by side.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mentornet import files, quiet

if TYPE_CHECKING:
    from mentornet.curricula.base import Curriculum

EPOCHS = (0, 10, 18, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
LOSS_BOUND = 5.0
_GRID_POINTS = 41
_FRAME_MILLISECONDS = 500


def weights(curriculum: Curriculum, loss: np.ndarray, difference: np.ndarray, epoch: int) -> np.ndarray:
    """The curriculum's weights of samples with label 0, of the arrays' shape; histories repeat the loss T times.

    Args:
        curriculum: predefined or learned.
        loss: any shape.
        difference: loss minus moving percentile, the same shape.
        epoch: percent in 0..99.
    """
    import tensorflow as tf

    shape = loss.shape
    flat = [np.asarray(array, np.float32).ravel() for array in (loss, difference)]
    if curriculum.history > 1:
        flat = [np.repeat(array[:, np.newaxis], curriculum.history, axis=1) for array in flat]
    label = tf.zeros([loss.size], tf.int32)
    found = curriculum(tf.constant(flat[0]), tf.constant(flat[1]), label, tf.constant(epoch, tf.int32))
    return np.asarray(found.numpy().reshape(shape))


def draw_surface(axes: Any, curriculum: Curriculum, epoch: int, loss_bound: float = LOSS_BOUND) -> None:
    """The weight (z) over the difference to the moving percentile (x) and the loss (y), on matplotlib's 3D axes."""
    difference, loss = np.meshgrid(
        np.linspace(-loss_bound, loss_bound, _GRID_POINTS), np.linspace(0.0, loss_bound, _GRID_POINTS)
    )
    surface = weights(curriculum, loss, difference, epoch)
    axes.plot_surface(
        difference,
        loss,
        surface,
        cmap="viridis",
        vmin=0.0,
        vmax=1.0,
        rstride=1,
        cstride=1,
        linewidth=0,
        antialiased=False,
    )
    axes.set(xlim=(-loss_bound, loss_bound), ylim=(0, loss_bound), zlim=(0, 1))
    axes.set_xlabel("loss − moving percentile", fontsize=8)
    axes.set_ylabel("loss", fontsize=8)
    axes.set_zlabel("weight", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.view_init(elev=25, azim=-50)


def surface_image(curriculum: Curriculum, epoch: int, loss_bound: float = LOSS_BOUND, title: str = "") -> Image.Image:
    """One frame: the surface at one epoch percent, RGB."""
    figure = Figure(figsize=(4.2, 3.6), dpi=90)
    axes = figure.add_subplot(projection="3d")
    draw_surface(axes, curriculum, epoch, loss_bound)
    figure.subplots_adjust(left=0.0, right=0.9, bottom=0.05, top=0.95)
    figure.suptitle(f"{title or curriculum.name}: {epoch}% of training", fontsize=10)
    return _image(figure)


def draw_surfaces(
    folder: Path,
    curriculum: Curriculum,
    epochs: Sequence[int] = EPOCHS,
    loss_bound: float = LOSS_BOUND,
    title: str = "",
) -> None:
    """Writes ``epoch_<percent>.png`` for every percent and the animation ``surface.gif``."""
    frames = [surface_image(curriculum, epoch, loss_bound, title) for epoch in epochs]
    for epoch, frame in zip(epochs, frames, strict=True):
        save_png(frame, folder / f"epoch_{epoch}.png")
    save_animation(frames, folder / "surface.gif")


def save_animation(frames: Sequence[Image.Image], path: Path) -> None:
    """Writes a GIF that repeats, half a second a frame, all frames with one palette."""
    all_frames = Image.fromarray(np.concatenate([np.asarray(frame) for frame in frames]))
    palette = all_frames.quantize(colors=128)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    stream = io.BytesIO()
    small[0].save(
        stream, "GIF", save_all=True, append_images=small[1:], duration=_FRAME_MILLISECONDS, loop=0, optimize=True
    )
    files.write_bytes(path, stream.getvalue())


def draw_objective(
    path: Path, curriculum: Curriculum, epoch: int = 99, threshold: float = 1.0, title: str = ""
) -> None:
    """ICML fig. 2: the loss against the objective, beside Huber, log-sum and self-paced.

    For these rho is known; for the curriculum g_m(l) l is drawn, as in the paper.

    Args:
        path: the PNG to write.
        curriculum: predefined or learned.
        epoch: percent in 0..99.
        threshold: the moving percentile l_pt.
        title: the curve's name; "": the curriculum's.
    """
    import tensorflow as tf

    from mentornet import curricula

    loss = np.linspace(0.0, 5.0, 501).astype(np.float32)
    figure = Figure(figsize=(4.8, 3.6), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    for name, style in (("huber", "--"), ("log_sum", "-."), ("self_paced", ":")):
        rho = curricula.get(name).objective(tf.constant(loss), threshold)
        assert rho is not None
        axes.plot(loss, rho.numpy(), style, label=name, lw=1.5)
    product = weights(curriculum, loss, loss - threshold, epoch) * loss
    axes.plot(loss, product, color="black", lw=2, label=f"{title or curriculum.name} (weight × loss)")
    axes.set(xlabel="loss", ylabel="objective", title=f"moving percentile {threshold:g}, {epoch}% of training")
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save_png(_image(figure), path)


def draw_comparison(
    path: Path,
    pair: Sequence[Curriculum],
    epochs: Sequence[int],
    loss_bound: float = LOSS_BOUND,
    titles: Sequence[str] = ("", ""),
) -> None:
    """ICML fig. 4: two surfaces side by side, each at its own epoch percent."""
    figure = Figure(figsize=(8.4, 3.8), dpi=90)
    for place, (curriculum, epoch, title) in enumerate(zip(pair, epochs, titles, strict=True), start=1):
        axes = figure.add_subplot(1, 2, place, projection="3d")
        draw_surface(axes, curriculum, epoch, loss_bound)
        axes.set_title(f"({'ab'[place - 1]}) {title or curriculum.name}: {epoch}%", fontsize=10)
    figure.subplots_adjust(left=0.0, right=0.95, bottom=0.05, top=0.92, wspace=0.1)
    save_png(_image(figure), path)


def draw_learned(folder: str | Path, curve: Sequence[Sequence[float]]) -> None:
    """The pictures beside a freshly learned MentorNet: ``surface.gif``, ``objective.png`` and ``learning.png``.

    One that reads an activation, too, has no surface over the loss alone: it gets ``learning.png``.

    Args:
        folder: what ``learned.save`` wrote.
        curve: (step, held-out MSE) pairs.
    """
    from mentornet.curricula import learned

    curriculum = learned.load(folder)
    if not curriculum.activation_size:
        save_animation([surface_image(curriculum, epoch) for epoch in EPOCHS], Path(folder) / "surface.gif")
        draw_objective(Path(folder) / "objective.png", curriculum)
    step, error = np.asarray(curve, float).T
    figure = Figure(figsize=(4.8, 3.2), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    axes.semilogy(step, np.maximum(error, 1e-12), marker=".")
    axes.set(xlabel="step", ylabel="held-out MSE")
    axes.grid(alpha=0.3)
    save_png(_image(figure), Path(folder) / "learning.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 after one sentence about what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m mentornet.learning.plots",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model_dir", required=True, help="a learned MentorNet's folder, or the name of a curriculum")
    parser.add_argument(
        "--loss_bound", type=float, default=LOSS_BOUND, help="largest loss drawn (default: %(default)s)"
    )
    parser.add_argument(
        "--epoch_ranges", default=",".join(map(str, EPOCHS)), help="percents drawn (default: %(default)s)"
    )
    parser.add_argument("--output", help="folder of the pictures (default: --model_dir)")
    parser.add_argument("--compare", metavar="OTHER", help="another folder or name, drawn beside it")
    options = parser.parse_args(arguments)
    try:
        epochs = _epochs(options.epoch_ranges)
        if not options.loss_bound > 0:
            raise ValueError(f"--loss_bound={options.loss_bound:g} must be greater than 0")
        output = Path(options.output or options.model_dir)
        if not options.output and not output.is_dir():
            raise ValueError(f"--model_dir={options.model_dir} is not a folder: give --output for the pictures")
        quiet.start_tensorflow()
        _draw(options, output, epochs)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _draw(options: argparse.Namespace, output: Path, epochs: Sequence[int]) -> None:
    from mentornet import curricula

    curriculum = curricula.get(options.model_dir)
    other = curricula.get(options.compare) if options.compare else None
    with files.explained(output):
        output.mkdir(parents=True, exist_ok=True)
    draw_surfaces(output, curriculum, epochs, options.loss_bound)
    draw_objective(output / "objective.png", curriculum, epochs[-1])
    if other is not None:
        draw_comparison(output / "compare.png", (curriculum, other), (epochs[-1],) * 2, options.loss_bound)
    more = "" if other is None else ", compare.png"
    print(f"wrote {len(epochs)} surfaces, surface.gif, objective.png{more} to {output}")


def _epochs(text: str) -> list[int]:
    try:
        epochs = [int(cell) for cell in text.split(",")]
    except ValueError:
        raise ValueError(f"--epoch_ranges={text}: expected whole numbers separated by commas") from None
    if any(not 0 <= epoch <= 99 for epoch in epochs):
        raise ValueError(f"--epoch_ranges={text}: percents lie in 0..99")
    return epochs


def _image(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def save_png(image: Image.Image, path: Path) -> None:
    """Writes a PNG, all or nothing."""
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    files.write_bytes(path, stream.getvalue())


if __name__ == "__main__":
    sys.exit(main())
