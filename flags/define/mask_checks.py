"""What a run on masks can't do: methods, modes and strategies that go by one label an image."""

from __future__ import annotations

from flags.define.distribution_flags import DistributionConfig
from flags.define.spade_flags import MethodConfig
from mentornet import methods


def able() -> tuple[str, ...]:
    """The methods that treat every pixel as a sample."""
    return tuple(name for name in methods.names() if vars(methods.get(name)).get("weighs_sites"))


def check(dataset_name: str, mode: str, method: MethodConfig, distribution: DistributionConfig) -> None:
    """Refuses what makes no sense for masks.

    Raises:
        ValueError: with one sentence.
    """
    if method.name not in able():
        raise ValueError(
            f"--method={method.name} goes by one label an image, but {dataset_name} has a class a pixel: use "
            f"--method={' or '.join(able())}"
        )
    if method.options.get("baseline_run"):
        raise ValueError(f"--baseline_run continues from a run on labels, not on {dataset_name}: leave it out")
    if mode not in ("train", "train_and_evaluate"):
        raise ValueError(
            f"--mode={mode} is for one label an image: a run on {dataset_name} has its figures in result.json and the "
            "masks of its test cases in predictions/"
        )
    if distribution.strategy == "parameter_server":
        raise ValueError(f"parameter_server does not train on masks: use another strategy for {dataset_name}")
