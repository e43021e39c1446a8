"""``python -m mentornet``: the version, where the documentation is, and what else can be started."""

from __future__ import annotations

import site
import sys
from pathlib import Path

import mentornet
from mentornet.quiet import ends_with_its_reader

_COMMANDS = (
    ("mentornet.reports RUN [RUN ...]", "draws the curves of runs and compares them"),
    ("mentornet.reports.review RUN", "makes a page to review suspect labels on"),
    ("mentornet.learning", "learns a MentorNet from a formula or from losses"),
)


def documentation() -> Path | None:
    """The folder with README.md and docs/: the checkout, or where an installation has put it; None if it is nowhere."""
    beside = Path(__file__).resolve().parents[1]
    installed = [Path(base, "share", "doc", "mentornet") for base in (beside, sys.prefix, site.getuserbase())]
    return next((folder for folder in [beside, *installed] if (folder / "docs" / "keras.md").is_file()), None)


def main() -> None:
    """Prints it."""
    print(f"mentornet {mentornet.__version__}")
    print(f"documentation: {documentation() or 'not installed'}")
    for command, does in _COMMANDS:
        print(f"python -m {command:<34}{does}")


if __name__ == "__main__":
    with ends_with_its_reader():
        main()
