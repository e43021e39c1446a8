"""Processes of the tests: how long they may take, and scripts that start at once.

Importing TensorFlow is most of the time a short script takes, and all of it on a loaded machine. So scripts are
forked from a server that has imported the libraries, and none of this project's modules; everything from ``__main__``
on, flags, signals and exit codes are those of ``python script.py``. TensorFlow may be forked as long as it was only
imported. What has to be the command itself, its silence on stderr for one, is started with ``subprocess``.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 1800  # seconds until a process counts as hung; a shared machine can be twenty times slower than a free one
LIBRARIES = ["tensorflow", "tf_keras", "sklearn.datasets", "sklearn.mixture", "matplotlib.backends.backend_agg"]

_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload(LIBRARIES)


class Script:
    """A running script, with what the tests need of ``subprocess.Popen``: pid, poll, wait, kill and returncode.

    Args:
        command: the interpreter, a script of this project or -m and a module, and its arguments.
        environment: the script's environment; None means this process' one.
        output: the file that standard output is appended to; None drops it.
        errors: the same for standard error; None means ``output``.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        output: Path | None = None,
        errors: Path | None = None,
    ):
        interpreter, *arguments = command
        assert interpreter == sys.executable
        streams = [str(file or os.devnull) for file in (output, errors or output)]
        environment = dict(os.environ if environment is None else environment)
        self._process = _forkserver.Process(target=_become, args=(arguments, environment, streams))
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        with contextlib.suppress(ProcessLookupError):
            while os.getpgid(self.pid) != self.pid:  # so that its session can be ended from now on
                time.sleep(0.001)

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, or None as long as it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        """The exit code, once it has ended."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("a forked script", timeout)
        return self.returncode

    def kill(self) -> None:
        """Sends SIGKILL."""
        self._process.kill()


def _become(arguments: list[str], environment: dict[str, str], streams: list[str]) -> None:
    """Runs a script in this fresh process, which leads a session of its own, as ``python script.py`` would."""
    os.setsid()
    os.chdir(ROOT)
    for descriptor, file in enumerate(streams, start=1):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            sys.path.insert(0, str(ROOT))
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, str((ROOT / arguments[0]).parent))
            runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves without


def run(command: Sequence[str], timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Runs a script to its end, like ``subprocess.run`` with ``capture_output`` and ``text``."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        script = Script(command, output=output, errors=errors)
        try:
            code = script.wait(timeout)
        finally:
            script.kill()
        return subprocess.CompletedProcess(list(command), code, output.read_text("utf-8"), errors.read_text("utf-8"))


def kill_when(reached: Callable[[], bool], command: Sequence[str]) -> int:
    """Starts a script and ends it with SIGKILL as soon as a condition holds; the exit code."""
    script = Script(command)
    until = time.monotonic() + PATIENCE
    while script.poll() is None and time.monotonic() < until:
        if reached():
            break
        time.sleep(0.002)
    script.kill()
    return script.wait()
