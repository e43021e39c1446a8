"""Processes of the tests: how long they may take, and scripts that start at once.

Importing TensorFlow is most of the time a short script takes, and all of it on a loaded machine. So scripts are
forked from a server that has imported the libraries, and none of this project's modules; everything from ``__main__``
on, flags, signals and exit codes are those of ``python script.py``; only figures are drawn, but not rendered, which
took a third of a short run. TensorFlow may be forked as long as it was only imported. What has to be the command
itself, its silence on stderr or its pictures, is started with ``subprocess``, and so are processes that compile.
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
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
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


def _become(
    root: Path,
    arguments: list[str],
    environment: dict[str, str],
    streams: list[str],
    largest_file: int | None,
    in_session: Event | None,
) -> None:
    """Runs a script in this fresh process as ``python script.py`` would."""
    if in_session is not None:
        os.setsid()
        in_session.set()
    if largest_file is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    os.chdir(root)
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
    sys.path[:] = [str((root / arguments[0]).parent), *others]
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves without


def started(
    command: Sequence[str],
    output: str = os.devnull,
    errors: str = os.devnull,
    largest_file: int | None = None,
    environment: Mapping[str, str] | None = None,
    own_session: bool = False,
    root: Path = ROOT,
) -> BaseProcess:
    """Starts a script.

    Args:
        command: the interpreter, a script of this project, and its arguments.
        output: the file that standard output is appended to.
        errors: the same for standard error.
        largest_file: bytes beyond which the process can't write a file.
        environment: the script's; default: that of this process.
        own_session: the process leads a session by the time this returns, so that it is the id of its group, too.
        root: the checkout whose script is meant, and where it runs.
    """
    interpreter, *arguments = command
    assert interpreter == sys.executable
    of_script, in_session = dict(environment or os.environ), _forkserver.Event() if own_session else None
    process = _forkserver.Process(
        target=_become, args=(root, arguments, of_script, [output, errors], largest_file, in_session)
    )
    process.start()
    if in_session is not None:
        assert in_session.wait(PATIENCE)
    return process


def exit_code(process: BaseProcess) -> int:
    """The exit code, negative for a signal, once the process has ended; one that hangs is killed."""
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"a script ran for {PATIENCE} s")
    return process.exitcode


def run(command: Sequence[str], largest_file: int | None = None, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs a script to its end, like ``subprocess.run`` with ``capture_output`` and ``text``.

    Args:
        command: the interpreter, a script of this project, and its arguments.
        largest_file: bytes beyond which the process can't write a file.
        root: the checkout whose script is meant, and where it runs.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        code = exit_code(started(command, str(output), str(errors), largest_file, root=root))
        return subprocess.CompletedProcess(list(command), code, output.read_text("utf-8"), errors.read_text("utf-8"))


def kill_when(reached: Callable[[], bool], command: Sequence[str]) -> int:
    """Starts a script and ends it with SIGKILL as soon as a condition holds; the exit code, negative for a signal."""
    process = started(command)
    until = time.monotonic() + PATIENCE
    while process.is_alive() and not reached() and time.monotonic() < until:
        time.sleep(0.002)
    process.kill()
    return exit_code(process)
