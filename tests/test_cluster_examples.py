"""The cluster examples of the documents: every TF_CONFIG, script and manifest is parsed, and run with stand-ins."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from flags import configuration
from mentornet.training.distribution import cluster
from tests.processes import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs" / "clusters"
BUILD = (ROOT / "BUILD.md").read_text("utf-8")
# Stands in for python: prints which process it is and what it was asked to do, instead of training.
RECORDER = '#!/bin/bash\nprintf "%s\\0" "$TF_CONFIG" "$@" > "$RECORDS/$(date +%N)_$$"\nexit ${PRETENDED_CODE:-0}\n'


def stand_in(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(script)
    file.chmod(0o755)


@pytest.fixture
def sandbox(tmp_path):
    """A folder with stand-ins on its PATH, and what they recorded: (folder, environment, read)."""
    records = tmp_path / "records"
    records.mkdir()
    for name in ("bin/python", ".venv/bin/python"):
        stand_in(tmp_path, name, RECORDER)
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "RECORDS": str(records)}

    def read() -> list[tuple[str, list[str]]]:
        texts = [file.read_text().split("\0")[:-1] for file in sorted(records.iterdir())]
        return [(config, arguments) for config, *arguments in texts]

    return tmp_path, environment, read


def parse_flags(arguments: list[str], monkeypatch) -> configuration.Config:
    if arguments[0] != "train_cifar.py":
        pytest.importorskip("flags.imagenet_flags")
    monkeypatch.chdir(ROOT)
    return configuration.parse(arguments)


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.s*")), ids=lambda path: path.name)
def test_shell_scripts_are_valid(script):
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_clusters_by_hand():
    configs = re.findall(r"^export TF_CONFIG='([^']*)'\n\S*python [^\n]*--distribution_strategy=(\w+)", BUILD, re.M)
    roles = [(cluster.parse(text, strategy), strategy) for text, strategy in configs]
    assert [(role.name, strategy) for role, strategy in roles] == [
        ("worker 0", "multi_worker"),
        ("worker 1", "multi_worker"),
        ("worker 1", "parameter_server"),
    ]
    assert roles[0][0].addresses == roles[1][0].addresses


def slurm(sandbox, code: int) -> tuple[int, list[tuple[str, list[str]]]]:
    folder, environment, read = sandbox
    stand_in(
        folder, "bin/scontrol", '#!/bin/bash\n[ "$*" = "show hostnames node[1-4]" ] && printf "node%s\\n" 1 2 3 4\n'
    )
    # One task a node, as the head of the script asks for; the highest exit code is srun's.
    tasks = 'worst=0\nfor i in 0 1 2 3; do SLURM_PROCID=$i "$@" || worst=$?; done\nexit $worst\n'
    stand_in(folder, "bin/srun", f'#!/bin/bash\n[ "$1" = --kill-on-bad-exit=1 ] && shift || exit 9\n{tasks}')
    environment |= {"SLURM_JOB_ID": "4711", "SLURM_JOB_NODELIST": "node[1-4]", "PRETENDED_CODE": str(code)}
    done = subprocess.run(["bash", str(EXAMPLES / "slurm.sbatch")], cwd=folder, env=environment, timeout=PATIENCE)
    return done.returncode, read()


def test_slurm_starts_one_worker_a_node(sandbox, monkeypatch):
    code, records = slurm(sandbox, code=0)
    roles = [cluster.parse(config, "multi_worker") for config, _ in records]
    assert code == 0
    assert sorted(role.address for role in roles) == [f"node{n}:24711" for n in (1, 2, 3, 4)]
    assert sorted(role.position for role in roles) == [0, 1, 2, 3]
    config = parse_flags(records[0][1], monkeypatch)
    assert config.distribution.strategy == "multi_worker"
    head = (EXAMPLES / "slurm.sbatch").read_text()
    gpus = int(re.search(r"--nodes=(\d+)", head)[1]) * int(re.search(r"--gpus-per-node=(\d+)", head)[1])
    assert config.data.batch_size % gpus == 0


def test_slurm_starts_again_after_a_lost_peer_but_not_after_a_mistake(sandbox):
    assert slurm(sandbox, code=2) == (2, sandbox[2]())
    assert len(sandbox[2]()) == 4
    code, records = slurm(sandbox, code=75)
    assert code == 1
    assert len(records) == 4 + 20 * 4


def manifest() -> dict[tuple[str, str], dict]:
    documents = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text("utf-8"))
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def jobs() -> dict[str, dict]:
    """The specification of each job, by its role."""
    found = {name: document["spec"] for (kind, name), document in manifest().items() if kind == "Job"}
    return {spec["template"]["spec"]["containers"][0]["env"][0]["value"]: spec for spec in found.values()}


def test_kubernetes_has_every_role_with_restarts():
    assert jobs().keys() == {"chief", "worker", "ps"}
    service = manifest()["Service", "mentornet"]["spec"]
    for spec in jobs().values():
        pod, template = spec["template"]["spec"], spec["template"]
        assert (spec["completionMode"], spec["parallelism"]) == ("Indexed", spec["completions"])
        assert spec["backoffLimit"] >= 100
        (rule,) = spec["podFailurePolicy"]["rules"]
        assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [1, 2])
        assert pod["restartPolicy"] == "Never"  # what podFailurePolicy demands
        assert pod["subdomain"] == "mentornet"
        assert service["selector"].items() <= template["metadata"]["labels"].items()
        container = pod["containers"][0]
        assert rule["onExitCodes"]["containerName"] == container["name"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert container["ports"][0]["containerPort"] == service["ports"][0]["port"] == 2222
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True


def test_kubernetes_pods_find_each_other(sandbox, monkeypatch):
    folder, environment, read = sandbox
    start = folder / "start.sh"
    start.write_text(manifest()["ConfigMap", "mentornet"]["data"]["start.sh"])
    pods = {(role, index) for role, spec in jobs().items() for index in (0, spec["completions"] - 1)}
    for role, index in pods:
        own = environment | {"ROLE": role, "JOB_COMPLETION_INDEX": str(index)}
        subprocess.run(["bash", str(start)], cwd=folder, env=own, check=True, timeout=PATIENCE)
    records = read()
    assert len(records) == len(pods)
    assert len({json.dumps(json.loads(config)["cluster"]) for config, _ in records}) == 1
    for config, _ in records:
        role = cluster.parse(config, "parameter_server")
        assert role.address == f"mentornet-{role.task}-{role.index}.mentornet:2222"
        assert len(role.addresses[role.task]) == jobs()[role.task]["completions"]
        assert (role.task, role.index) in pods
    assert parse_flags(records[0][1], monkeypatch).distribution.strategy == "parameter_server"


def test_tpu_vm_installs_and_trains(sandbox, monkeypatch):
    folder, environment, _ = sandbox
    stand_in(folder, "bin/gcloud", '#!/bin/bash\nprintf "%s\\0" "$@" >> "$RECORDS/gcloud"\n')
    stand_in(folder, "bin/git", "#!/bin/bash\necho https://example.com/mentornet.git\n")
    run = ["bash", str(EXAMPLES / "tpu_vm.sh")]
    refused = subprocess.run(run, cwd=folder, env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "LIBTPU" in refused.stderr
    subprocess.run(run, cwd=folder, env=environment | {"LIBTPU": "https://example.com/x"}, check=True, timeout=PATIENCE)
    words = (folder / "records" / "gcloud").read_text().split("\0")
    remote = [word.removeprefix("--command=") for word in words if word.startswith("--command=")]
    for line in remote:
        subprocess.run(["bash", "-n", "-c", line], check=True)
    training = shlex.split(remote[-1].split("&&")[-1])[1:]
    config = parse_flags(training, monkeypatch)
    assert (config.distribution.strategy, config.distribution.tpu) == ("tpu", "local")
