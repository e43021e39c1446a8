"""``python -m mentornet.reports RUN [RUN ...]``: see ``mentornet.reports.report``."""

import sys

from mentornet.quiet import ends_with_its_reader
from mentornet.reports.report import main

with ends_with_its_reader():
    sys.exit(main())
