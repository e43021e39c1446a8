"""Keeps TensorFlow's start-up notes about the machine off the terminal of a command."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator


def start_tensorflow() -> None:
    """Imports TensorFlow without its notes; call it before anything else that imports it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a value the user has set stays
    with _held_back_stderr(), _ended_by_ctrl_c():
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()
    tensorflow.get_logger().setLevel(logging.ERROR)


@contextlib.contextmanager
def ends_with_its_reader() -> Iterator[None]:
    """Ends the process without a traceback, with the shell's code of SIGPIPE, once nobody reads what it prints.

    So does ``command | head`` with most programs; a training goes on from its last checkpoint when it is started again.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would try to write what is left at the exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + 13) from None


@contextlib.contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Ctrl-C ends the process at once, instead of with a traceback from somewhere in an import."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, or somebody else's
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Holds back what native code writes to file descriptor 2, and shows it after all if an exception passes.

    TensorFlow's libraries log before their logging is set up, which no environment variable silences.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
