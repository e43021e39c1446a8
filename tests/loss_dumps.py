"""Makes loss dumps with known content, for the tests of what learns from them."""

from __future__ import annotations

import numpy as np

from mentornet.learning.dump import LossDump


def make_dump(rows: int = 200, wrong: float = 0.4, seed: int = 0) -> LossDump:
    """Right labels have small losses, wrong ones large losses, with some overlap; three classes, all at 18%."""
    rng = np.random.default_rng(seed)
    clean = rng.integers(0, 3, rows)
    is_wrong = rng.uniform(size=rows) < wrong
    noisy = np.where(is_wrong, (clean + 1) % 3, clean)
    loss = rng.exponential(np.where(is_wrong, 4.0, 0.5))
    return LossDump(np.arange(rows), np.full(rows, 18), noisy, clean, loss)
