"""``python -m mentornet.reports.review RUN``: see ``mentornet.reports.review_command``.

From Python, ``mentornet.reports.review`` is the function of ``mentornet.reports.review_page``.
"""

import sys

from mentornet import quiet
from mentornet.reports.review_command import main

if __name__ == "__main__":
    with quiet.ends_with_its_reader():
        sys.exit(main())
