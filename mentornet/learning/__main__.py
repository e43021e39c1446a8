"""``python -m mentornet.learning``: see ``mentornet.learning.command``."""

import sys

from mentornet.learning.command import main

sys.exit(main())
