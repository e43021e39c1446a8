"""A cluster on this machine whose processes are forked: no import of TensorFlow in each of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.local_cluster import LocalCluster
from tests.processes import Script


class ForkedCluster(LocalCluster):
    """LocalCluster, but for how a process starts."""

    def launch(self, environment: Mapping[str, str], log: Path | None) -> Any:
        return Script(self.command, environment, log)
