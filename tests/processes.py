"""Processes of the tests: how long they may take, and scripts that start at once.

Importing TensorFlow is most of the time a short script takes, and all of it on a loaded machine. So scripts are
forked from a server that has imported the libraries, and none of this project's modules; everything from ``__main__``
on, flags, signals and exit codes are those of ``python script.py``; only figures are drawn, but not rendered, which
took a third of a short run. TensorFlow may be forked as long as it was only imported. What has to be the command
itself, its silence on stderr or its pictures, is started with ``subprocess``, and so are the processes of clusters and
those that compile.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 1800  # seconds until a process counts as hung; a shared machine can be twenty times slower than a free one
LIBRARIES = ["tensorflow", "tf_keras", "sklearn.datasets", "sklearn.mixture", "matplotlib.backends.backend_agg"]

_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload(["tests.preloaded", *LIBRARIES])


def save_unrendered(figure: Any, file: Any, **options: Any) -> None:
    """In the place of matplotlib's ``Figure.savefig``: a picture of one pixel, whatever the figure shows."""
    from PIL import Image

    Image.new("L", (1, 1)).save(file, format=options.get("format", "png"))


def _become(arguments: list[str], environment: dict[str, str], streams: list[str], largest_file: int | None) -> None:
    """Runs a script in this fresh process as ``python script.py`` would."""
    if largest_file is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    os.chdir(ROOT)
    for descriptor, file in enumerate(streams, start=1):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    from matplotlib.figure import Figure

    Figure.savefig = save_unrendered  # type: ignore[method-assign]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = arguments
    others = [entry for entry in sys.path if entry not in ("", str(ROOT))]  # pytest has put the root there
    sys.path[:] = [str((ROOT / arguments[0]).parent), *others]
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves without


def _started(
    command: Sequence[str], output: str = os.devnull, errors: str = os.devnull, largest_file: int | None = None
) -> BaseProcess:
    interpreter, *arguments = command
    assert interpreter == sys.executable
    process = _forkserver.Process(target=_become, args=(arguments, dict(os.environ), [output, errors], largest_file))
    process.start()
    return process


def _exit_code(process: BaseProcess) -> int:
    """The exit code, negative for a signal, once the process has ended; one that hangs is killed."""
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"a script ran for {PATIENCE} s")
    return process.exitcode


def run(command: Sequence[str], largest_file: int | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a script to its end, like ``subprocess.run`` with ``capture_output`` and ``text``.

    Args:
        command: the interpreter, a script of this project, and its arguments.
        largest_file: bytes beyond which the process can't write a file.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        code = _exit_code(_started(command, str(output), str(errors), largest_file))
        return subprocess.CompletedProcess(list(command), code, output.read_text("utf-8"), errors.read_text("utf-8"))


def kill_when(reached: Callable[[], bool], command: Sequence[str]) -> int:
    """Starts a script and ends it with SIGKILL as soon as a condition holds; the exit code, negative for a signal."""
    process = _started(command)
    until = time.monotonic() + PATIENCE
    while process.is_alive() and not reached() and time.monotonic() < until:
        time.sleep(0.002)
    process.kill()
    return _exit_code(process)
