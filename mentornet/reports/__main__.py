"""``python -m mentornet.reports RUN [RUN ...]``: see ``mentornet.reports.report``."""

import sys

from mentornet.reports.report import main

sys.exit(main())
