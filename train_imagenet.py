"""Trains a student on ImageNet, WebVision or another large set of images: flags -> data + student + method -> folder.

    python train_imagenet.py --dataset_name=webvision_mini --data_dir=WEBVISION --ilsvrc_dir=IMAGENET
        --curriculum=mentornet_pd --train_log_dir=runs/webvision_mini

Images are read from the disk as they are needed. ``--help`` lists the flags; README.md shows the uses.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from flags import quiet

quiet.start_tensorflow(sys.argv)

from absl import app, flags  # noqa: E402

from flags.build import imagenet  # noqa: E402
from flags.commands import tasks  # noqa: E402
from flags.define import imagenet_flags  # noqa: E402


def main(argv: Sequence[str]) -> None:
    """Runs what the parsed flags ask for; mistakes end with one sentence and exit code 1."""
    tasks.run_script(argv[0], imagenet_flags.config(), imagenet)


if __name__ == "__main__":
    for module in imagenet_flags.MODULES:
        flags.adopt_module_key_flags(module)
    with quiet.ends_with_its_reader():
        app.run(main, flags_parser=imagenet_flags.parse_command_line)
