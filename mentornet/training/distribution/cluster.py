"""Who is who in a cluster: the environment variable TF_CONFIG, read and checked.

    {"cluster": {"chief": ["10.0.0.1:2222"], "worker": ["10.0.0.2:2222", "10.0.0.3:2222"], "ps": ["10.0.0.4:2222"]},
     "task": {"type": "worker", "index": 0}}

Every process gets the same "cluster" and its own "task". Nothing here imports TensorFlow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VARIABLE = "TF_CONFIG"

_EXAMPLES = {
    "multi_worker": '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}',
    "parameter_server": '{"cluster": {"chief": ["host0:2222"], "worker": ["host1:2222", "host2:2222"], '
    '"ps": ["host3:2222"]}, "task": {"type": "worker", "index": 0}}',
}
_ALLOWED_TASKS = {"multi_worker": ("chief", "worker"), "parameter_server": ("chief", "worker", "ps")}


class ClusterError(ValueError):
    """A cluster that can't be used as described; the text is one sentence for the user."""


@dataclass(frozen=True)
class Cluster:
    """The processes of a job, and which of them this is.

    Attributes:
        addresses: "host:port" of every process, by task type.
        task: type of this process, "chief", "worker" or "ps".
        index: its position among those of its type.
    """

    addresses: Mapping[str, tuple[str, ...]]
    task: str
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this is the one process that writes: the chief, or worker 0 where no chief is named."""
        return self.task == "chief" or (self.task == "worker" and self.index == 0 and "chief" not in self.addresses)

    @property
    def trainers(self) -> int:
        """Number of processes that train together synchronously: chief and workers."""
        return len(self.addresses.get("chief", ())) + len(self.addresses.get("worker", ()))

    @property
    def position(self) -> int:
        """Place of this process among the trainers; the chief comes first."""
        return self.index + (len(self.addresses.get("chief", ())) if self.task == "worker" else 0)

    @property
    def name(self) -> str:
        """How messages call this process, such as "worker 1"."""
        return f"{self.task} {self.index}"

    @property
    def address(self) -> str:
        """host:port of this process."""
        return self.addresses[self.task][self.index]


def describes_several(text: str | None) -> bool:
    """Whether a TF_CONFIG names more than one process (False for one that can't be read)."""
    try:
        addresses = json.loads(text or "{}")["cluster"]
        return sum(len(listed) for listed in addresses.values()) > 1
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def parse(text: str | None, strategy: str) -> Cluster:
    """Reads a TF_CONFIG for a strategy.

    Args:
        text: the variable's content, None if it is not set.
        strategy: "multi_worker" or "parameter_server".

    Raises:
        ClusterError: (a ValueError) missing, no JSON, incomplete, or a cluster this strategy can't use.
    """
    if not text or not text.strip():
        raise ClusterError(
            f"{strategy} needs the environment variable {VARIABLE}, which names the processes, such as "
            f"{_EXAMPLES[strategy]}; BUILD.md has complete examples"
        )
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ClusterError(f"{VARIABLE} is not valid JSON ({error}): write it like {_EXAMPLES[strategy]}") from None
    cluster, task = (content.get(key) if isinstance(content, dict) else None for key in ("cluster", "task"))
    for key, part in (("cluster", cluster), ("task", task)):
        if not isinstance(part, dict) or not part:
            raise ClusterError(f"{VARIABLE} has no {key!r} or an empty one: write it like {_EXAMPLES[strategy]}")
    assert isinstance(cluster, dict)
    assert isinstance(task, dict)
    addresses = _addresses(cluster, strategy)
    _check_counts(addresses, strategy)
    return _own_task(addresses, task)


def _addresses(cluster: Mapping[str, Any], strategy: str) -> dict[str, tuple[str, ...]]:
    allowed = _ALLOWED_TASKS[strategy]
    addresses = {}
    for kind, listed in cluster.items():
        if kind == "ps" and kind not in allowed:
            raise ClusterError(
                f"{VARIABLE} has parameter servers (ps), which {strategy} does not use: leave them out, or train "
                "asynchronously with parameter_server"
            )
        if kind not in allowed:
            raise ClusterError(f"{VARIABLE} has tasks of type {kind!r}; {strategy} knows {', '.join(allowed)}")
        if not isinstance(listed, list) or not listed:
            raise ClusterError(f"{VARIABLE}: the {kind} tasks must be a list of addresses, not {json.dumps(listed)}")
        for address in listed:
            host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise ClusterError(f"{VARIABLE}: {json.dumps(address)} is not an address of the form host:port")
        addresses[kind] = tuple(listed)
    flat = [address for listed in addresses.values() for address in listed]
    twice = sorted({address for address in flat if flat.count(address) > 1})
    if twice:
        raise ClusterError(f"{VARIABLE}: the address {twice[0]} belongs to more than one process")
    return addresses


def _check_counts(addresses: Mapping[str, tuple[str, ...]], strategy: str) -> None:
    chiefs = len(addresses.get("chief", ()))
    if chiefs > 1:
        raise ClusterError(f"{VARIABLE} has {chiefs} chiefs; there is one at most")
    if strategy == "parameter_server":
        for kind in _ALLOWED_TASKS[strategy]:
            if kind not in addresses:
                raise ClusterError(
                    f"{VARIABLE} has no {kind} task: parameter_server needs a chief, workers and parameter servers (ps)"
                )
    elif "chief" not in addresses and "worker" not in addresses:
        raise ClusterError(f"{VARIABLE} names no workers: {strategy} needs at least one")


def _own_task(addresses: Mapping[str, tuple[str, ...]], task: Mapping[str, Any]) -> Cluster:
    kind, index = task.get("type"), task.get("index")
    if not isinstance(kind, str) or kind not in addresses:
        raise ClusterError(
            f"{VARIABLE}: this process is of type {json.dumps(kind)}, but the cluster has {', '.join(addresses)}"
        )
    if isinstance(index, str) and index.isdecimal():
        index = int(index)  # shell scripts and operators write numbers as strings
    count = len(addresses[kind])
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
        raise ClusterError(
            f"{VARIABLE}: this process is {kind} {json.dumps(index)}, but the cluster has {count}, counted from 0"
        )
    return Cluster(addresses, kind, index)
