"""What the documents say about who can reach a cluster, held against TensorFlow and against the examples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.processes import PATIENCE
from tests.test_cluster_examples import EXAMPLES, jobs, manifest, sandbox, slurm

__all__ = ["sandbox"]

LISTENING = """
import socket
import tensorflow as tf

with socket.socket() as opened:
    opened.bind(("127.0.0.1", 0))
    port = opened.getsockname()[1]
server = tf.distribute.Server({"worker": [f"127.0.0.1:{port}"]}, job_name="worker", task_index=0)
for table in ("/proc/net/tcp", "/proc/net/tcp6"):
    for line in open(table).read().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        address, number = local.split(":")
        if state == "0A" and int(number, 16) == port:
            print(address)
"""


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux' list of sockets")
def test_servers_listen_on_all_addresses_as_the_page_says():
    """If TensorFlow learns to bind to one address, the warning and this test are to be changed."""
    done = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True, timeout=PATIENCE)
    addresses = done.stdout.split()
    assert addresses, done.stderr
    assert all(set(address) == {"0"} for address in addresses)


def test_the_page_begins_with_it():
    heading, first, *_ = (EXAMPLES / "README.md").read_text("utf-8").split("\n\n")
    assert heading.startswith("# ")
    for words in ("all* addresses", "no password", "runs any TensorFlow program"):
        assert words in first.replace("\n", " ")


def labels_of(peer: dict) -> dict:
    return peer["podSelector"]["matchLabels"]


def test_kubernetes_lets_only_the_jobs_pods_reach_the_port():
    policy = manifest()["NetworkPolicy", "mentornet"]["spec"]
    service = manifest()["Service", "mentornet"]["spec"]
    port = {"protocol": "TCP", "port": service["ports"][0]["port"]}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    own = policy["podSelector"]["matchLabels"]
    assert own == service["selector"]
    for spec in jobs().values():
        template = spec["template"]
        assert own.items() <= template["metadata"]["labels"].items()
        assert template["spec"]["automountServiceAccountToken"] is False
    (ingress,) = policy["ingress"]
    assert [labels_of(peer) for peer in ingress["from"]] == [own]
    assert ingress["ports"] == [port]
    peers, names = policy["egress"]
    assert [labels_of(peer) for peer in peers["to"]] == [own]
    assert peers["ports"] == [port]
    assert [labels_of(peer) for peer in names["to"]] == [{"k8s-app": "kube-dns"}]
    assert {(each["protocol"], each["port"]) for each in names["ports"]} == {("UDP", 53), ("TCP", 53)}
    text = (EXAMPLES / "kubernetes.yaml").read_text("utf-8")
    order = [document["kind"] for document in yaml.safe_load_all(text)]
    assert order.index("NetworkPolicy") < order.index("Job")  # in force before a port is open


def test_slurm_takes_the_private_names_of_its_nodes(sandbox):
    folder, environment, read = sandbox
    for suffix in ("", "-ib"):
        environment["PRIVATE_SUFFIX"] = suffix
        assert slurm((folder, environment, read), code=0)[0] == 0
        config, _ = read()[-1]
        assert f'"node4{suffix}:2' in config
