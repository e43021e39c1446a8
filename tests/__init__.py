"""Tests; a package, so that an installed one called `tests` cannot take its name."""
