"""Puts a searched schedule among those that come with the package: --keep_schedule=searched:NAME.

    python scripts/search_ship.py runs/search_mnist mnist_sym50 --runs runs/mnist_with_it

R.csv and card.json of the search folder go to mentornet/search/schedules/NAME. ``--runs`` names finished trainings
with the schedule, whose accuracies on the test images the card then tells.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mentornet import quiet  # noqa: E402

quiet.start_tensorflow()

from mentornet import files, reading  # noqa: E402
from mentornet.files import RunFolderError  # noqa: E402
from mentornet.methods.keep_schedule import SCHEDULE_FILE, SHIPPED, KeepSchedule  # noqa: E402

CARD = "card.json"
FIGURES = ("accuracy_last", "accuracy_mean_last_10", "accuracy_best")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("search", type=Path, help="a search folder")
    parser.add_argument("name", help="letters, digits and _")
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="run folders of trainings with the schedule")
    parser.add_argument("--output", type=Path, default=SHIPPED, help="where schedules are kept")
    chosen = parser.parse_args(arguments)
    if not chosen.name.replace("_", "").isalnum():
        parser.error(f"{chosen.name!r}: a name has letters, digits and _ only")
    try:
        KeepSchedule(f"file:{chosen.search / SCHEDULE_FILE}")
        card = reading.read_json(chosen.search / CARD)
        results = [reading.read_json(run / "result.json") for run in chosen.runs]
    except (OSError, ValueError, RunFolderError) as error:
        parser.error(" ".join(str(error).split()))
    if results:
        kept = (*FIGURES, *(f"{name}_peer_mean" for name in FIGURES), "train_examples", "seed")
        card["retrained"] = [{name: result[name] for name in kept if name in result} for result in results]
        card["test"] = {"seeds": len(results)} | {
            name: statistics.fmean(result[name] for result in results) for name in FIGURES
        }
    folder = chosen.output / chosen.name
    folder.mkdir(parents=True, exist_ok=True)
    files.write_text(folder / SCHEDULE_FILE, (chosen.search / SCHEDULE_FILE).read_text(encoding="utf-8"))
    files.write_json(folder / CARD, card)
    print(f"--keep_schedule=searched:{chosen.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
