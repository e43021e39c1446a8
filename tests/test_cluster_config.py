"""TF_CONFIG: roles read as written, and one clear sentence for everything wrong or missing."""

from __future__ import annotations

import json

import pytest

from mentornet.training.distribution import cluster

HOSTS = {"chief": ["a:1"], "worker": ["b:2", "b:3"], "ps": ["c:4", "c:5"]}


def config(addresses=HOSTS, kind="worker", index=0) -> str:
    return json.dumps({"cluster": addresses, "task": {"type": kind, "index": index}})


def test_roles_of_an_asynchronous_cluster():
    found = {name: cluster.parse(config(kind=name), "parameter_server") for name in HOSTS}
    assert [found[name].is_chief for name in HOSTS] == [True, False, False]
    assert found["worker"].address == "b:2"
    assert cluster.parse(config(kind="ps", index=1), "parameter_server").address == "c:5"
    assert cluster.parse(config(kind="ps", index="1"), "parameter_server").name == "ps 1"


def test_positions_of_a_synchronous_cluster():
    addresses = {"worker": ["b:2", "b:3"], "chief": ["a:1"]}
    roles = [("chief", 0), ("worker", 0), ("worker", 1)]
    found = [cluster.parse(config(addresses, *role), "multi_worker") for role in roles]
    assert [process.position for process in found] == [0, 1, 2]
    assert [process.is_chief for process in found] == [True, False, False]
    assert {process.trainers for process in found} == {3}


def test_worker_0_is_chief_where_none_is_named():
    found = [cluster.parse(config({"worker": ["b:2", "b:3"]}, index=index), "multi_worker") for index in range(2)]
    assert [process.is_chief for process in found] == [True, False]
    assert [process.position for process in found] == [0, 1]


WRONG = [
    (None, "multi_worker", "needs the environment variable TF_CONFIG"),
    ("  ", "parameter_server", "needs the environment variable TF_CONFIG"),
    ("{'cluster': 1}", "multi_worker", "not valid JSON"),
    ("[]", "multi_worker", "has no 'cluster'"),
    (json.dumps({"task": {"type": "worker", "index": 0}}), "multi_worker", "has no 'cluster'"),
    (json.dumps({"cluster": {"worker": ["a:1"]}}), "multi_worker", "has no 'task'"),
    (config(), "multi_worker", "parameter servers (ps), which multi_worker does not use"),
    (config({"evaluator": ["a:1"], "worker": ["b:1"]}), "multi_worker", "tasks of type 'evaluator'"),
    (config({"worker": "a:1"}), "multi_worker", "must be a list of addresses"),
    (config({"worker": []}), "multi_worker", "must be a list of addresses"),
    (config({"worker": ["a"]}), "multi_worker", '"a" is not an address'),
    (config({"worker": ["a:0"]}), "multi_worker", '"a:0" is not an address'),
    (config({"worker": ["a:70000"]}), "multi_worker", '"a:70000" is not an address'),
    (config({"worker": [7]}), "multi_worker", "7 is not an address"),
    (config({"worker": ["a:1", "a:1"]}), "multi_worker", "a:1 belongs to more than one process"),
    (config({**HOSTS, "chief": ["a:1", "a:2"]}), "parameter_server", "2 chiefs"),
    (config({"chief": ["a:1"], "worker": ["b:1"]}), "parameter_server", "has no ps task"),
    (config({"worker": ["a:1"], "ps": ["b:1"]}), "parameter_server", "has no chief task"),
    (config({"chief": ["a:1"], "ps": ["b:1"]}, "chief"), "parameter_server", "has no worker task"),
    (config(kind="master"), "parameter_server", 'of type "master", but the cluster has chief, worker, ps'),
    (config(index=2), "parameter_server", "worker 2, but the cluster has 2"),
    (config(index=-1), "parameter_server", "worker -1, but the cluster has 2"),
    (config(index=None), "parameter_server", "worker null, but the cluster has 2"),
    (config(index=True), "parameter_server", "worker true, but the cluster has 2"),
]


@pytest.mark.parametrize(("text", "strategy", "sentence"), WRONG)
def test_what_is_wrong_is_said_in_one_line(text, strategy, sentence):
    with pytest.raises(cluster.ClusterError) as raised:
        cluster.parse(text, strategy)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "several"),
    [(None, False), ("not JSON", False), ("[1]", False), (config({"worker": ["a:1"]}), False), (config(), True)],
)
def test_clusters_of_several_processes_are_recognised(text, several):
    assert cluster.describes_several(text) is several


@pytest.mark.parametrize("strategy", ["multi_worker", "parameter_server"])
def test_the_example_a_message_shows_is_one_that_works(strategy):
    with pytest.raises(cluster.ClusterError) as refused:
        cluster.parse(None, strategy)
    text = str(refused.value)
    shown = text[text.index("{") : text.rindex("}") + 1]
    assert cluster.parse(shown, strategy).name == "worker 0"
