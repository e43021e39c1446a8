"""Pre-trains a student without labels, for --method=c2d to start from: SimCLR on the training images.

    python scripts/pretrain_simclr.py --dataset_name=cifar10 --data_dir=DATA --studentnet=resnet18_cifar
        --batch_size=512 --num_epochs=500 --train_log_dir=runs/simclr_cifar10
    python train_cifar.py --method=c2d --pretrained_run=runs/simclr_cifar10 --studentnet=resnet18_cifar ...

The flags are those of train_cifar.py, with --method=simclr set, a cosine for the learning rate, and no noise. What is
called accuracy is that of a linear probe: the dense layer learns the given labels from features that don't. A run that
was killed continues when the same command is started again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flags import quiet

quiet.start_tensorflow(sys.argv)

from absl import app, flags  # noqa: E402

from flags import configuration  # noqa: E402
from flags.commands import tasks  # noqa: E402

DEFAULTS = {"method": "simclr", "learning_rate_schedule": "cosine"}


def main(argv: Sequence[str]) -> None:
    """Pre-trains; mistakes end with one sentence and exit code 1."""
    tasks.run_script(argv[0], config())


def config() -> configuration.Config:
    """The configuration of the parsed flags.

    Raises:
        ValueError: values out of range or flags that contradict each other, another method among them.
    """
    found = configuration.config()
    if found.method.name != DEFAULTS["method"]:
        raise ValueError(f"--method={found.method.name}: this script pre-trains; use train_cifar.py for other methods")
    return found


def parse_command_line(argv: Sequence[str]) -> list[str]:
    """absl's ``flags_parser`` of this script."""
    return configuration.parse_command_line(argv, config)


if __name__ == "__main__":
    for module in configuration.MODULES:
        flags.adopt_module_key_flags(module)
    for name, value in DEFAULTS.items():
        flags.FLAGS.set_default(name, value)
    with quiet.ends_with_its_reader():
        app.run(main, flags_parser=parse_command_line)
