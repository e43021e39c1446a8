"""Where the steps of a run are computed: one factory for every `tf.distribute` strategy a run can use.

- one_device: the first GPU, or the CPU.
- mirrored: all GPUs of this machine, synchronously.
- multi_worker: the processes TF_CONFIG names, synchronously, each with all GPUs of its machine.
- tpu: the cores of a TPU, synchronously.
- parameter_server: asynchronously; workers compute gradients, parameter servers keep the weights, and the chief hands
  out the steps (ICML sec. 5: 50 workers, momentum 0.9).

Synchronous replicas share the global batch and do together what one device does with all of it. An asynchronous step is
one worker's batch.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mentornet.training.distribution import cluster as clusters
from mentornet.training.distribution.cluster import Cluster, ClusterError

STRATEGIES = ("one_device", "mirrored", "multi_worker", "tpu", "parameter_server")


@dataclass(frozen=True)
class Distribution:
    """One strategy, and this process' part in it.

    Attributes:
        kind: one of ``STRATEGIES``.
        strategy: TensorFlow's strategy; None in a process that only serves.
        cluster: the processes of the job; None if there is only this one.
    """

    kind: str = "one_device"
    strategy: Any = None
    cluster: Cluster | None = None

    @property
    def serves(self) -> bool:
        """Whether this process only waits for what the chief asks of it (ps and workers of parameter_server)."""
        return self.kind == "parameter_server" and self.cluster is not None and self.cluster.task != "chief"

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def asynchronous(self) -> bool:
        """Whether steps overlap, so that a gradient can be older than the weights it is applied to."""
        return self.kind == "parameter_server"

    @property
    def cooperating(self) -> bool:
        """Whether other processes run the same program in step with this one."""
        return self.kind == "multi_worker"

    @property
    def replicas(self) -> int:
        """Replicas that share a global batch."""
        return 1 if self.strategy is None else int(self.strategy.num_replicas_in_sync)

    @property
    def input_shard(self) -> tuple[int, int]:
        """(i, k): this process reads the i-th of k equal parts of every global batch."""
        return (self.cluster.position, self.cluster.trainers) if self.cooperating and self.cluster else (0, 1)

    def describe(self) -> dict[str, Any]:
        """What result.json says of it: the strategy, its replicas (of one step) and its workers."""
        workers = len(self.cluster.addresses["worker"]) if self.cluster and self.asynchronous else self.input_shard[1]
        return {"strategy": self.kind, "replicas": self.replicas, "workers": workers}

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where student, method and optimiser are created."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def check(self, *, batch_size: int, jit_compile: bool = False, loss_scaling: bool = False) -> None:
        """Refuses settings this strategy can't honour.

        Args:
            batch_size: samples in a global batch (in one worker's batch if asynchronous).
            jit_compile: the step is compiled as one XLA program.
            loss_scaling: the optimiser scales the loss (float16).

        Raises:
            ValueError: with one sentence.
        """
        if self.serves:
            return
        if batch_size % self.replicas:
            raise ValueError(
                f"a batch of {batch_size} samples cannot be shared equally by {self.replicas} replicas: use a multiple "
                f"of {self.replicas}"
            )
        check_settings(self.kind, self.replicas > 1, jit_compile=jit_compile, loss_scaling=loss_scaling)

    def from_chief(self, value: int) -> int:
        """The chief's value in every cooperating process; all of them have to call this at the same point."""
        if not self.cooperating:
            return value
        first = value if self.is_chief else 0

        def contribution(context: tf.distribute.ValueContext) -> tf.Tensor:
            own_first = context.replica_id_in_sync_group * self.input_shard[1] == self.input_shard[0] * self.replicas
            return tf.constant(first if own_first else 0, tf.int64)

        values = self.strategy.experimental_distribute_values_from_function(contribution)
        return int(self.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))

    def part(self) -> None:
        """Waits until all cooperating processes are done, so that none ends while another still needs it."""
        # The last one may find the others gone already, which does not matter any more.
        with contextlib.suppress(tf.errors.OpError):
            self.from_chief(0)

    def agree(self, value: int, what: str) -> None:
        """Makes sure that all cooperating processes have the same value.

        Raises:
            ClusterError: this one has another than the chief.
        """
        expected = self.from_chief(value)
        if value != expected:
            assert self.cluster is not None
            raise ClusterError(
                f"{self.cluster.name} has {what} {value:,} and the chief {expected:,}: all processes need the same run "
                "folder, so put it on storage they share"
            )


def check_settings(kind: str, several: bool | None = None, *, jit_compile: bool, loss_scaling: bool) -> None:
    """Refuses what a strategy can't honour; ``create`` may wait for other processes, so this can be asked before it.

    Args:
        kind: one of ``STRATEGIES``.
        several: whether there are several replicas; None: not known yet.
        jit_compile: the step is compiled as one XLA program.
        loss_scaling: the optimiser scales the loss (float16).

    Raises:
        ValueError: with one sentence.
    """
    asynchronous = kind == "parameter_server"
    if jit_compile and (several or asynchronous) and kind != "tpu":
        raise ValueError(
            f"jit_compile makes one XLA program of the step, but under {kind} it spans several devices: leave "
            "it out, or set TF_XLA_FLAGS=--tf_xla_auto_jit=2, which compiles the parts between communication"
        )
    if loss_scaling and asynchronous:
        raise ValueError(
            "float16 scales the loss in step with all workers, which asynchronous ones are not: use bfloat16 or no "
            "mixed precision"
        )


def create(
    kind: str = "one_device",
    *,
    environment: Mapping[str, str] | None = None,
    tpu: str | None = None,
    devices: list[str] | None = None,
) -> Distribution:
    """Makes the strategy. Call it before any TensorFlow operation.

    Args:
        kind: one of ``STRATEGIES``.
        environment: where TF_CONFIG is looked up; default: os.environ.
        tpu: name or address of the TPU, "local" on a TPU VM.
        devices: of mirrored, such as ["CPU:0", "CPU:1"]; default: all GPUs, or all logical CPU devices.

    Raises:
        ValueError: an unknown strategy, a missing or wrong TF_CONFIG, no such TPU, or settings of another strategy.
    """
    if kind not in STRATEGIES:
        raise ValueError(f"distribution strategy {kind!r}: use one of {', '.join(STRATEGIES)}")
    if tpu is not None and kind != "tpu":
        raise ValueError(f"a TPU ({tpu!r}) is given, but the distribution strategy is {kind}: use tpu, or leave it out")
    config = (os.environ if environment is None else environment).get(clusters.VARIABLE)
    if kind in ("multi_worker", "parameter_server"):
        cluster = clusters.parse(config, kind)
        if kind == "multi_worker" or cluster.task == "chief":
            count = sum(len(listed) for listed in cluster.addresses.values())
            print(f"{cluster.name} at {cluster.address} waits until all {count} processes are up", flush=True)
        return _multi_worker(cluster) if kind == "multi_worker" else _parameter_server(cluster)
    if clusters.describes_several(config):
        raise ClusterError(
            f"{clusters.VARIABLE} describes a cluster, but {kind} runs in one process: use multi_worker or "
            "parameter_server, or unset it"
        )
    if kind == "tpu":
        return Distribution(kind, _tpu_strategy(tpu))
    if kind == "mirrored":
        return Distribution(kind, tf.distribute.MirroredStrategy(devices or _local_devices()))
    return Distribution()


def _local_devices() -> list[str]:
    """All GPUs of this process, or its logical CPU devices if there is none."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [f"{device.device_type}:{number}" for number, device in enumerate(found)]


def _resolver(cluster: Cluster) -> tf.distribute.cluster_resolver.ClusterResolver:
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({kind: list(listed) for kind, listed in cluster.addresses.items()}),
        task_type=cluster.task,
        task_id=cluster.index,
        rpc_layer="grpc",
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
    )


def _multi_worker(cluster: Cluster) -> Distribution:
    return Distribution("multi_worker", tf.distribute.MultiWorkerMirroredStrategy(_resolver(cluster)), cluster)


def _parameter_server(cluster: Cluster) -> Distribution:
    # Without this a call to a process that has just died waits for its return instead of failing.
    os.environ.setdefault("GRPC_FAIL_FAST", "use_caller")
    if cluster.task != "chief":
        return Distribution("parameter_server", None, cluster)
    return Distribution(
        "parameter_server", tf.distribute.experimental.ParameterServerStrategy(_resolver(cluster)), cluster
    )


def _tpu_strategy(tpu: str | None) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu or "local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ValueError, OSError, ImportError) as error:
        reason = " ".join(str(error).split()).split(". ")[0][:200].strip("( ") or type(error).__name__
        raise ValueError(f"TPU {tpu or 'local'!r} can't be used ({reason}): see the TPU section of BUILD.md") from None
