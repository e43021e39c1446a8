"""Trains a student on images whose labels are partly wrong: flags -> data + student + method -> run folder.

    python train_cifar.py --dataset_name=digits --noise_type=uniform --noise_fraction=0.4 --curriculum=mentornet_pd
        --studentnet=small_cnn --max_number_of_steps=2000 --train_log_dir=runs/digits_pd

``--help`` lists the flags; README.md shows the uses.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from flags import quiet

quiet.start_tensorflow(sys.argv)

from absl import app, flags  # noqa: E402

from flags import configuration  # noqa: E402
from flags.commands import tasks  # noqa: E402


def main(argv: Sequence[str]) -> None:
    """Runs what the parsed flags ask for; mistakes end with one sentence and exit code 1."""
    tasks.run_script(argv[0], configuration.config())


if __name__ == "__main__":
    for module in configuration.MODULES:
        flags.adopt_module_key_flags(module)
    with quiet.ends_with_its_reader():
        app.run(main, flags_parser=configuration.parse_command_line)
