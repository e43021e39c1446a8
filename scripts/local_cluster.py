"""A cluster on one machine: starts chief, workers and parameter servers as processes and restarts those that die.

    make cluster-demo     # or: python scripts/local_cluster.py --output=runs/cluster_demo
    python scripts/local_cluster.py --strategy=multi_worker --workers=2 --output=runs/two --kill=worker:1@200
    python scripts/local_cluster.py --workers=4 --output=runs/mine -- train_cifar.py --dataset_name=digits ...

Without a command behind `--` it trains on handwritten digits with 40% wrong labels. It does here what Kubernetes does
on a real cluster (BUILD.md): the same command everywhere, another TF_CONFIG for each process, and a process that was
killed or lost a peer is started again. The chief's output is shown, that of the others is in <output>_logs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
RESTART = 75  # mentornet.training.distribution.serving.PEER_LOST; importing that would import TensorFlow here
DIGITS = [
    "train_cifar.py", "--dataset_name=digits", "--noise_type=uniform", "--noise_fraction=0.4", "--studentnet=small_cnn",
    "--curriculum=mentornet_pd", "--loss_p_percentile=0.6", "--batch_size=32", "--learning_rate=0.02",
    "--max_number_of_steps=1000", "--eval_every_steps=100",
]  # fmt: skip


def free_ports(count: int) -> list[int]:
    """Ports of localhost nobody listens on right now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("localhost", 0))
        return [opened.getsockname()[1] for opened in sockets]


class LocalCluster:
    """The processes of one job, supervised.

    Args:
        command: what every process runs.
        tasks: number of processes by type, such as {"chief": 1, "worker": 2, "ps": 1}; the first one is the chief.
        logs: folder for the output of all but the chief.
        show_chief: whether the chief writes to this process' output, rather than to a log.
    """

    def __init__(self, command: Sequence[str], tasks: Mapping[str, int], logs: Path, show_chief: bool = True):
        ports = iter(free_ports(sum(tasks.values())))
        cluster = {kind: [f"localhost:{next(ports)}" for _ in range(count)] for kind, count in tasks.items()}
        self._configs = {
            f"{kind}:{index}": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})
            for kind, addresses in cluster.items()
            for index in range(len(addresses))
        }
        self.chief = next(iter(self._configs))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.restarts = dict.fromkeys(self._configs, 0)
        self.logs = logs
        self._command, self._show_chief = list(command), show_chief

    def __enter__(self) -> LocalCluster:
        self.logs.mkdir(parents=True, exist_ok=True)
        for name in self._configs:
            self.start(name)
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self, name: str) -> None:
        """Starts one process, in a session of its own so that it can be ended with all it started."""
        environment = os.environ | {"TF_CONFIG": self._configs[name]}
        output: IO[bytes] | None = None
        if name != self.chief or not self._show_chief:
            output = open(self.log(name), "ab")  # noqa: SIM115
        try:
            self.processes[name] = subprocess.Popen(
                self._command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        finally:
            if output is not None:
                output.close()

    def log(self, name: str) -> Path:
        """The file with a process' output."""
        return self.logs / f"{name.replace(':', '_')}.log"

    def kill(self, name: str) -> None:
        """Ends a process as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def supervise(self, most_restarts: int = 10) -> int | None:
        """Looks after the processes once.

        Returns:
            None while the job runs; 0 once the chief has finished; the exit code of a process that made a mistake.
        """
        for name, process in self.processes.items():
            code = process.poll()
            if code is None or (code == 0 and name != self.chief):
                continue
            if code == 0:
                return 0
            if (code == RESTART or code < 0) and self.restarts[name] < most_restarts:
                self.restarts[name] += 1
                self.start(name)
            else:
                return code if code > 0 else 1
        return None

    def stop(self, grace: float = 5.0) -> None:
        """Ends what still runs: given ``grace`` seconds to end by itself, then without asking."""
        until = time.monotonic() + grace
        while time.monotonic() < until and any(process.poll() is None for process in self.processes.values()):
            time.sleep(0.1)
        for name in self.processes:
            self.kill(name)


def reached(run: Path) -> int:
    """The last step in a run's metrics.csv, 0 before its first row."""
    with contextlib.suppress(OSError, ValueError):
        return int((run / "metrics.csv").read_text("ascii").splitlines()[-1].split(",")[0])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", choices=["parameter_server", "multi_worker"], default="parameter_server")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ps", type=int, default=1, help="parameter servers (of parameter_server)")
    parser.add_argument("--output", type=Path, default=Path("runs/cluster_demo"), help="the run folder")
    parser.add_argument("--kill", metavar="TASK:INDEX@STEP", help="kill a process once the run has reached a step")
    parser.add_argument("command", nargs="*", help="script and flags, behind --")
    chosen = parser.parse_args()
    tasks = {"worker": chosen.workers}
    if chosen.strategy == "parameter_server":
        tasks = {"chief": 1, **tasks, "ps": chosen.ps}
    victim, _, step = (chosen.kill or "").partition("@")
    names = [f"{kind}:{index}" for kind, count in tasks.items() for index in range(count)]
    if min(tasks.values()) < 1 or (chosen.kill and (victim not in names or not step.isdecimal())):
        parser.error(f"there are {', '.join(names)}; --kill is written like worker:0@200")
    output = chosen.output.resolve()
    flags = [f"--distribution_strategy={chosen.strategy}", f"--train_log_dir={output}"]
    command = [sys.executable, *(chosen.command or DIGITS), *flags]
    with LocalCluster(command, tasks, output.with_name(f"{output.name}_logs")) as cluster:
        print(
            f"started {', '.join(names)}; logs of all but {cluster.chief} in {cluster.log(names[-1]).parent}",
            flush=True,
        )
        while (code := cluster.supervise()) is None:
            if victim and reached(output) >= int(step):
                print(f"killing {victim}", flush=True)
                cluster.kill(victim)
                victim = ""
            time.sleep(0.2)
    restarted = {name: count for name, count in cluster.restarts.items() if count}
    print(f"restarted: {restarted or 'nothing'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
