"""Keeps TensorFlow's start-up messages off the terminal of a script unless --tensorflow_logs asks for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mentornet import quiet

ends_with_its_reader = quiet.ends_with_its_reader


def start_tensorflow(argv: Sequence[str]) -> None:
    """Imports TensorFlow without its notes about the machine; call it before anything else that imports it.

    Args:
        argv: the raw command line; with --tensorflow_logs in it nothing is hidden.
    """
    if any(token.lstrip("-").split("=")[0] == "tensorflow_logs" for token in argv):
        return
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    quiet.start_tensorflow()
