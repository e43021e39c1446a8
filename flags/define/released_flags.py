"""Flags of the original release that this project has no use for: each is accepted or answered with a sentence."""

from __future__ import annotations

from absl import flags

_MASTER = flags.DEFINE_string("master", None, "Replaced by TF_CONFIG.")
_PS_TASKS = flags.DEFINE_integer("ps_tasks", None, "Replaced by TF_CONFIG.")
_TASK = flags.DEFINE_integer("task", None, "Replaced by TF_CONFIG.")


def check() -> None:
    """Refuses the release's cluster flags.

    Raises:
        ValueError: one of them was given.
    """
    given = [f"--{holder.name}" for holder in (_MASTER, _PS_TASKS, _TASK) if holder.present]
    if given:
        raise ValueError(f"{', '.join(given)}: clusters are described by the TF_CONFIG environment variable instead")
