"""Prepares PROMISE12 for --dataset_name=promise12: slices of 144 x 144 in 8 bit, and who trains and who tests.

    python scripts/prepare_promise12.py --data_dir=PROMISE12 --output_dir=PREPARED

PROMISE12 holds the challenge's training data as published, CaseNN.mhd with .raw and CaseNN_segmentation.mhd with .raw,
in one folder or several. What is prepared stays when the command is stopped, and it goes on from there. Needs the
package SimpleITK.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.segmentation import promise12

_NAME = "prepare_promise12.py"


def counts(text: str) -> tuple[int, ...]:
    """Reads "37,3,10"."""
    return tuple(int(number) for number in text.split(","))


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True, type=Path, help="the published files")
    parser.add_argument("--output_dir", required=True, type=Path, help="gets CaseNN.npz and split.csv")
    parser.add_argument("--image_size", type=int, default=144, help="side of the slices (144)")
    parser.add_argument(
        "--split",
        type=counts,
        help="training, clean and test cases, divided at random with the seed (37,3,10, the numbers of L2B)",
    )
    parser.add_argument("--seed", type=int, help="of that division (0)")
    parser.add_argument("--split_file", type=Path, help="a csv instead, with lines such as Case07,train (clean, test)")
    chosen = parser.parse_args()
    if chosen.split_file and (chosen.split is not None or chosen.seed is not None):
        parser.error("--split_file says which case is where, so --split and --seed have no meaning beside it")
    if not 16 <= chosen.image_size <= 2048:
        parser.error(f"--image_size must be 16 to 2048, not {chosen.image_size}")
    try:
        names = list(promise12.find_cases(chosen.data_dir))
        split = (
            promise12.read_split(chosen.split_file, names)
            if chosen.split_file
            else promise12.seeded_split(names, chosen.split or promise12.SPLIT, seed=chosen.seed or 0)
        )
        for line in promise12.prepare(chosen.data_dir, chosen.output_dir, image_size=chosen.image_size, split=split):
            print(line, flush=True)
    except KeyboardInterrupt:
        sys.exit(f"{_NAME}: stopped; the same command goes on")
    except (OSError, ValueError, ModuleNotFoundError) as error:
        sys.exit(f"{_NAME}: {error}")
    print(f"Train with: python train_cifar.py --dataset_name=promise12 --data_dir={chosen.output_dir} ...")


if __name__ == "__main__":
    main()
