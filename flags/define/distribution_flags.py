"""Flags that say on which devices and machines a run trains. The processes of a cluster are named by TF_CONFIG."""

from __future__ import annotations

from dataclasses import dataclass

from absl import flags

from mentornet.training.distribution.strategy import STRATEGIES

_STRATEGY = flags.DEFINE_enum(
    "distribution_strategy",
    "one_device",
    STRATEGIES,
    "one_device; mirrored: all GPUs of this machine; multi_worker: all GPUs of the machines in TF_CONFIG; tpu; "
    "parameter_server: asynchronous workers, with parameter servers and a chief, in TF_CONFIG. All but the last share "
    "each batch and give the result of one device.",
)
_TPU = flags.DEFINE_string("tpu", None, "Name or address of the TPU; local (the default) on a TPU VM.")
_LOGICAL = flags.DEFINE_integer(
    "logical_cpus", 0, "Divide the CPU into so many devices, to try mirrored without GPUs; 0: don't.", lower_bound=0
)
_SYNCHRONIZED = flags.DEFINE_boolean(
    "synchronized_batch_norm",
    None,
    "Batch norm over the global batch rather than each device's part. Default: where devices share a batch.",
)


@dataclass(frozen=True)
class DistributionConfig:
    """Plain values of the distribution flags; ``synchronized_batch_norm`` None leaves it to the strategy."""

    strategy: str = "one_device"
    tpu: str | None = None
    logical_cpus: int = 0
    synchronized_batch_norm: bool | None = None


def distribution_config(mode: str, device_id: str | None) -> DistributionConfig:
    """Reads and checks the distribution flags.

    Args:
        mode: what the script does; only training is distributed.
        device_id: the one GPU chosen, if any.

    Raises:
        ValueError: flags that contradict each other.
    """
    strategy = _STRATEGY.value
    if _TPU.value is not None and strategy != "tpu":
        raise ValueError(f"--tpu is used by --distribution_strategy=tpu only, not by {strategy}")
    if _LOGICAL.value and strategy != "mirrored":
        raise ValueError(f"--logical_cpus is used by --distribution_strategy=mirrored only, not by {strategy}")
    if strategy != "one_device" and mode not in ("train", "train_and_evaluate"):
        raise ValueError(f"--mode={mode} runs in one process on one device: leave out --distribution_strategy")
    if strategy != "one_device" and device_id is not None:
        raise ValueError(
            f"--device_id chooses one GPU, but --distribution_strategy={strategy} uses all: limit them with the "
            "environment variable CUDA_VISIBLE_DEVICES"
        )
    return DistributionConfig(strategy, _TPU.value, _LOGICAL.value, _SYNCHRONIZED.value)
