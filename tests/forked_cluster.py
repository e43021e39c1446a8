"""A cluster whose processes are forked: none of them imports TensorFlow, which takes most of their time.

One test of tests/test_train_imagenet.py starts its cluster as users do.
"""

from __future__ import annotations

import os

from scripts.local_cluster import LocalCluster
from tests import processes


class ForkedProcess:
    """A forked script, with what LocalCluster needs of ``subprocess.Popen``."""

    def __init__(self, command: list[str], environment: dict[str, str], log: str):
        self._process = processes.started(command, log, log, environment=environment, own_session=True)
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, or None as long as it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """As ``returncode``."""
        return self.returncode

    def wait(self) -> int:
        """The exit code, once it has ended."""
        return processes.exit_code(self._process)


class ForkedCluster(LocalCluster):
    """LocalCluster, but for how a process starts."""

    def start(self, name: str) -> None:
        environment = os.environ | {"TF_CONFIG": self._configs[name]}
        self.processes[name] = ForkedProcess(self._command, environment, str(self.log(name).resolve()))
