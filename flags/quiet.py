"""Keeps TensorFlow's start-up messages off the terminal unless --tensorflow_logs asks for them."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence


def start_tensorflow(argv: Sequence[str]) -> None:
    """Imports TensorFlow without its notes about the machine; call it before anything else that imports it.

    Args:
        argv: the raw command line; with --tensorflow_logs in it nothing is hidden.
    """
    if any(token.lstrip("-").split("=")[0] == "tensorflow_logs" for token in argv):
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a value the user has set stays
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _held_back_stderr():
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()
    tensorflow.get_logger().setLevel(logging.ERROR)


@contextlib.contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Holds back what native code writes to file descriptor 2, and shows it after all if an exception passes.

    TensorFlow's libraries log through absl before it is initialised, which no environment variable silences.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
