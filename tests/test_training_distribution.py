"""The strategy factory's refusals, roles and checks, as far as they need neither devices nor other processes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import tensorflow as tf

from flags import configuration
from mentornet.training.distribution import cluster, serving, strategy
from mentornet.training.distribution.strategy import Distribution

TWO = json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}})
ASYNCHRONOUS = {"chief": ["a:1"], "worker": ["b:1", "b:2"], "ps": ["c:1"]}


def test_one_device_is_the_default_and_changes_nothing():
    place = strategy.create(environment={})
    assert (place.kind, place.strategy, place.replicas, place.input_shard) == ("one_device", None, 1, (0, 1))
    assert place.is_chief
    assert not place.serves
    assert place.from_chief(7) == 7
    place.check(batch_size=7, jit_compile=True, loss_scaling=True)
    with place.scope():
        assert not tf.distribute.has_strategy()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"kind": "horovod"}, "'horovod': use one of one_device, mirrored"),
        ({"kind": "multi_worker"}, "multi_worker needs the environment variable TF_CONFIG"),
        ({"kind": "parameter_server"}, "parameter_server needs the environment variable TF_CONFIG"),
        ({"kind": "mirrored", "tpu": "pod-1"}, "a TPU ('pod-1') is given, but the distribution strategy is mirrored"),
        ({"kind": "one_device", "environment": {"TF_CONFIG": TWO}}, "describes a cluster, but one_device runs in one"),
        ({"kind": "mirrored", "environment": {"TF_CONFIG": TWO}}, "describes a cluster, but mirrored runs in one"),
    ],
)
def test_wrong_settings_get_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=r".") as raised:
        strategy.create(**({"environment": {}} | arguments))
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["worker", "ps"])
def test_workers_and_parameter_servers_only_serve(kind):
    config = json.dumps({"cluster": ASYNCHRONOUS, "task": {"type": kind, "index": 0}})
    place = strategy.create("parameter_server", environment={"TF_CONFIG": config})
    assert place.serves
    assert not place.is_chief
    assert place.strategy is None


def several(kind: str, replicas: int) -> Distribution:
    """A distribution of so many replicas, without the devices."""
    return Distribution(kind, SimpleNamespace(num_replicas_in_sync=replicas))


def test_batches_have_to_be_divisible():
    several("mirrored", 3).check(batch_size=96)
    with pytest.raises(ValueError, match="100 samples cannot be shared equally by 3 replicas: use a multiple of 3"):
        several("mirrored", 3).check(batch_size=100)


def test_one_xla_program_needs_one_device():
    several("mirrored", 1).check(batch_size=8, jit_compile=True)
    several("tpu", 8).check(batch_size=8, jit_compile=True)
    for kind, replicas in (("mirrored", 2), ("multi_worker", 2), ("parameter_server", 1)):
        with pytest.raises(ValueError, match=f"under {kind} it spans several devices"):
            several(kind, replicas).check(batch_size=8, jit_compile=True)


def test_asynchronous_workers_cannot_scale_the_loss():
    with pytest.raises(ValueError, match="use bfloat16"):
        several("parameter_server", 1).check(batch_size=8, loss_scaling=True)


def test_a_tpu_that_is_not_there_is_said_so():
    with pytest.raises(ValueError, match="TPU 'no-such-tpu' can't be used"):
        strategy.create("tpu", environment={}, tpu="no-such-tpu")


def test_result_json_names_the_workers():
    parsed = cluster.Cluster({kind: tuple(hosts) for kind, hosts in ASYNCHRONOUS.items()}, "chief", 0)
    place = Distribution("parameter_server", SimpleNamespace(num_replicas_in_sync=1), parsed)
    assert place.describe() == {"strategy": "parameter_server", "replicas": 1, "workers": 2}


def test_lost_peers_are_told_from_mistakes():
    assert serving.is_peer_lost(tf.errors.UnavailableError(None, None, "Connection reset by peer"))
    assert serving.is_peer_lost(tf.errors.InvalidArgumentError(None, None, "Unable to find a context_id matching 7"))
    assert not serving.is_peer_lost(tf.errors.InvalidArgumentError(None, None, "Incompatible shapes"))
    assert not serving.is_peer_lost(ValueError("no such file"))
    assert "start this one again" in str(serving.peer_lost(tf.errors.AbortedError(None, None, "gone")))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--tpu=local"], "--tpu is used by --distribution_strategy=tpu only"),
        (["--logical_cpus=2"], "--logical_cpus is used by --distribution_strategy=mirrored only"),
        (["--distribution_strategy=mirrored", "--device_id=1"], "--device_id chooses one GPU"),
        (["--distribution_strategy=mirrored", "--mode=evaluate"], "--mode=evaluate runs in one process"),
        (["--task=1"], "TF_CONFIG"),
    ],
)
def test_flags_that_contradict_each_other(flags, sentence):
    with pytest.raises(ValueError, match=r".") as raised:
        configuration.parse(["train_cifar.py", "--train_log_dir=x", *flags])
    assert sentence in str(raised.value)


def test_a_run_can_move_between_synchronous_strategies_but_not_to_asynchronous_training():
    def identity(*flags: str) -> dict:
        return configuration.parse(["train_cifar.py", "--train_log_dir=x", *flags]).identity()

    alone = identity()
    assert identity("--distribution_strategy=mirrored", "--logical_cpus=2") == alone
    assert identity("--distribution_strategy=multi_worker") == alone
    assert identity("--distribution_strategy=parameter_server") == alone | {"asynchronous": True}


@pytest.mark.parametrize(
    ("setting", "message"), [("jit_compile", "spans several devices"), ("loss_scaling", "use bfloat16")]
)
def test_settings_are_refused_before_anybody_is_waited_for(setting, message):
    settings = {"jit_compile": False, "loss_scaling": False, setting: True}
    with pytest.raises(ValueError, match=message):
        strategy.check_settings("parameter_server", **settings)
    strategy.check_settings("one_device", **settings)
