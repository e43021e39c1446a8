"""--mode=evaluate of a run on masks: the figures of L2B's tables 5 and 6 from its newest checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flags.build import segmentation
from flags.settings import Config
from mentornet.training import evaluate
from mentornet.training.segmentation import PREDICTIONS, evaluate_checkpoint


def evaluate_run(config: Config, folder: Path, run_folder: Path) -> dict[str, Any]:
    """Evaluates the newest checkpoint on the test cases; writes evaluation.json and, if asked, a csv.

    With --eval_dir the predicted masks go there, too. Returns evaluation.json's content.

    Args:
        config: with the data and the student of the run, see ``trained_run.as_trained``.
        folder: with the checkpoints.
        run_folder: that of the run.

    Raises:
        ValueError, FileNotFoundError: data that cannot be read, another student, or --split_name=train.
    """
    if config.run.split == "train":
        raise ValueError(
            f"--split_name=train is for one label an image: of a run on {config.data.dataset_name} the test cases are "
            "evaluated, and samples.csv has the training slices"
        )
    loaded = segmentation.load_data(config.data)
    network = segmentation.student(config.student, loaded, config.run.seed)
    masks = segmentation.masks_of(loaded, config)
    elsewhere = Path(config.run.eval_dir) if config.run.eval_dir else None

    def once() -> dict[str, Any]:
        return evaluate_checkpoint(
            network,
            folder,
            masks,
            segmentation.task(loaded),
            elsewhere or run_folder,
            csv_file=config.run.output_csv_file,
            predictions=elsewhere and elsewhere / PREDICTIONS,
            facts={"split": "test", "dataset": config.data.dataset_name, "studentnet": config.student.name},
        )

    return evaluate.follow(once, config.run.eval_interval_secs, run_folder, _told)


def _told(result: dict[str, Any]) -> str:
    """The figures in words."""
    of_cases = ""
    if "dice" in result:
        unit = result["distance_unit"]
        of_cases = (
            f"Dice of cases {result['dice']:.4f} | Hausdorff {result['hausdorff']:.2f} {unit}, "
            f"95% {result['hausdorff_95']:.2f} {unit} | average surface distance "
            f"{result['average_surface_distance']:.2f} {unit} | "
        )
    cases = f"{len(result.get('cases', ()))} cases, "
    return f"{of_cases}Dice of slices {result['dice_slices']:.4f} | {cases}{result['slices']:,} slices"
