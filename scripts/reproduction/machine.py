"""Which processor this is, and when and from which commit a run was made."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def processor() -> str:
    """Its name and the number of cores this process may use."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    name = found[1].strip() if found else platform.processor() or platform.machine()
    return f"{name}, {cores()} cores"


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def origin(record: Mapping[str, Any]) -> tuple[str, str]:
    """Day and commit (with + if files were changed) of a run by its run.json; empty where unknown."""
    commit = (record.get("git_commit") or "")[:7] + ("+" if record.get("git_changed") else "")
    return (record.get("started") or "")[:10], commit
