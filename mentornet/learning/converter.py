"""Turns a MentorNet checkpoint of the original TensorFlow 1 release into a folder that this library reads.

    python -m mentornet.learning.converter --checkpoint=mentornet_models/models/mentornet_pd --output=my_mentornet

The release's network (``mentornet_nn``) has one LSTM unit a direction and passes on the cell states, not the outputs;
it concatenates label, epoch, states in this order; and it adds the last layer's bias to that layer's weights instead of
to its output. Here the bias goes into the kernel for good, so the numbers stay what they were.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mentornet import quiet

if TYPE_CHECKING:
    from mentornet.network import MentorNetwork

_SCOPE = "mentornet/"
_LSTM = "bidirectional_rnn/{}/basic_lstm_cell/{}"
# Name in the release's graph under "mentornet/", and the number of its axes.
_VARIABLES = {
    "label_embedding": 2,
    "epoch_embedding": 2,
    _LSTM.format("fw", "kernel"): 2,
    _LSTM.format("fw", "bias"): 1,
    _LSTM.format("bw", "kernel"): 2,
    _LSTM.format("bw", "bias"): 1,
    "Variable": 2,  # fc1: kernel
    "Variable_1": 1,  # fc1: bias
    "Variable_2": 2,  # fc2: kernel
    "Variable_3": 1,  # fc2: the bias that is added to the kernel
}


def find_checkpoint(path: str | Path) -> str:
    """The prefix of a checkpoint: the path itself, or the newest one in the folder.

    The release's ``checkpoint`` files name folders of their authors' machines and are therefore not used.

    Raises:
        FileNotFoundError: there is none.
    """
    path = Path(path)
    if path.is_dir():
        found = [file.with_suffix("") for file in path.glob("*.index")]
        if not found:
            raise FileNotFoundError(f"no TensorFlow checkpoint in {str(path)!r}: it has no *.index file")
        return str(max(found, key=_step))
    prefix = re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", str(path))
    if not Path(f"{prefix}.index").is_file():
        raise FileNotFoundError(f"no TensorFlow checkpoint at {prefix!r}: {prefix}.index does not exist")
    return prefix


def read_variables(prefix: str) -> dict[str, np.ndarray]:
    """The variables of the release's MentorNet by their names under "mentornet/"; all others are left out.

    Raises:
        ValueError: the checkpoint is damaged, or not of a MentorNet of the release.
    """
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(prefix)
        names = set(reader.get_variable_to_shape_map())
        missing = [_SCOPE + name for name in _VARIABLES if _SCOPE + name not in names]
        if missing:
            raise ValueError(f"{prefix!r} is not a MentorNet of the release: it has no variable {', '.join(missing)}")
        return {name: reader.get_tensor(_SCOPE + name) for name in _VARIABLES}
    except (tf.errors.OpError, IndexError) as error:  # the reader's answer to a short file is an IndexError
        raise ValueError(f"{prefix!r} cannot be read: {str(error).splitlines()[0]}") from None


def convert(variables: Mapping[str, np.ndarray]) -> MentorNetwork:
    """The network of this library with the numbers of a release's MentorNet.

    Args:
        variables: float arrays by name as ``read_variables`` gives them.

    Raises:
        ValueError: their shapes do not fit together.
    """
    from mentornet.features import EPOCH_ROWS
    from mentornet.network import NetworkConfig, build

    values = {name: np.asarray(variables[name], np.float32) for name in _VARIABLES}
    _refuse(values, [name for name, axes in _VARIABLES.items() if values[name].ndim != axes])
    units, hidden = values[_LSTM.format("fw", "bias")].size // 4, values["Variable_1"].size
    label_rows, label_size = values["label_embedding"].shape
    epoch_size = values["epoch_embedding"].shape[1]
    shapes = {
        "epoch_embedding": (EPOCH_ROWS, epoch_size),
        _LSTM.format("fw", "kernel"): (2 + units, 4 * units),
        _LSTM.format("bw", "kernel"): (2 + units, 4 * units),
        _LSTM.format("bw", "bias"): (4 * units,),
        "Variable": (label_size + epoch_size + 2 * units, hidden),
        "Variable_2": (hidden, 1),
        "Variable_3": (1,),
    }
    _refuse(values, [name for name, shape in shapes.items() if values[name].shape != shape])
    network = build(
        NetworkConfig(
            lstm_units=units,
            label_rows=label_rows,
            label_size=label_size,
            epoch_size=epoch_size,
            hidden_units=hidden,
            unit_forget_bias=False,
            train_epoch_embedding=False,
            cell_state=True,
            fixed_label=0,
        )
    )
    for layer, direction in ((network.lstm.forward_layer, "fw"), (network.lstm.backward_layer, "bw")):
        kernel = _keras_gates(values[_LSTM.format(direction, "kernel")])
        layer.set_weights([kernel[:2], kernel[2:], _keras_gates(values[_LSTM.format(direction, "bias")])])
    network.label_embedding.set_weights([values["label_embedding"]])
    network.epoch_embedding.set_weights([values["epoch_embedding"]])
    # The states come first here, last in the release.
    first = label_size + epoch_size
    kernel = np.concatenate([values["Variable"][first:], values["Variable"][:first]])
    network.fc1.set_weights([kernel, values["Variable_1"]])
    network.fc2.set_weights([values["Variable_2"] + values["Variable_3"], np.zeros(1, np.float32)])
    return network


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 after one sentence about what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m mentornet.learning.converter",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--checkpoint", required=True, help="the release's checkpoint: its prefix or its folder")
    parser.add_argument("--output", required=True, help="write the MentorNet there")
    options = parser.parse_args(arguments)
    try:
        prefix = find_checkpoint(options.checkpoint)
        if (Path(options.output) / "card.json").exists():
            raise ValueError(f"{options.output!r} already holds a card.json; choose another folder or remove it")
        quiet.start_tensorflow()
        from mentornet.curricula import learned

        source = {"kind": "converted", "checkpoint": Path(prefix).name}
        card = {"name": Path(options.output).name, "source": source}
        learned.save(convert(read_variables(prefix)), options.output, card)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"converted {prefix} to {options.output}")
    return 0


def _refuse(values: Mapping[str, np.ndarray], wrong: Sequence[str]) -> None:
    if wrong:
        found = ", ".join(f"{_SCOPE}{name} {values[name].shape}" for name in wrong)
        raise ValueError(f"these variables do not have the shapes of a release's MentorNet: {found}")


def _keras_gates(values: np.ndarray) -> np.ndarray:
    """Reorders the gates on the last axis: input, candidate, forget, output -> input, forget, candidate, output."""
    gate_i, candidate, forget, output = np.split(values, 4, axis=-1)
    return np.concatenate([gate_i, forget, candidate, output], axis=-1)


def _step(prefix: Path) -> int:
    """The step in a checkpoint's name, -1 without one."""
    number = re.search(r"-(\d+)$", prefix.name)
    return int(number[1]) if number else -1


if __name__ == "__main__":
    sys.exit(main())
