"""The start of a script: one line of its own, and none of TensorFlow's unless --tensorflow_logs asks for them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from mentornet import quiet

ends_with_its_reader = quiet.ends_with_its_reader
ASKS_FOR_HELP = ("--help", "-help", "-h", "-?", "--helpshort", "-helpshort")
_SILENT = ("--noshow_progress", "-noshow_progress")


def start_tensorflow(argv: Sequence[str]) -> None:
    """Imports TensorFlow without its notes about the machine; call it before anything else that imports it.

    That takes some seconds, of which a person at a terminal is told.

    Args:
        argv: the raw command line; with --tensorflow_logs in it nothing is hidden.
    """
    if argv and sys.stderr.isatty() and not {*argv} & {*ASKS_FOR_HELP, *_SILENT}:
        name = os.path.basename(argv[0])
        print(f"{name}: starting TensorFlow, which takes some seconds", file=sys.stderr, flush=True)
    if any(token.lstrip("-").split("=")[0] == "tensorflow_logs" for token in argv):
        return
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    quiet.start_tensorflow()
