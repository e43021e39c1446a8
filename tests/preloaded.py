"""What the server of tests/processes.py imports: the libraries, which its garbage collector then never looks at."""

from __future__ import annotations

import gc
import importlib

from tests.processes import LIBRARIES

gc.disable()
for library in LIBRARIES:
    importlib.import_module(library)
gc.freeze()
gc.enable()
