"""``python -m mentornet.learning``: see ``mentornet.learning.command``."""

import sys

from mentornet.learning.command import main
from mentornet.quiet import ends_with_its_reader

with ends_with_its_reader():
    sys.exit(main())
