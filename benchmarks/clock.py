"""How long each step of a training takes."""

from __future__ import annotations

import time
from typing import Any

import tf_keras as keras


class StepClock(keras.callbacks.Callback):
    """The seconds of every call of the training step, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._begun = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._begun)
