"""Which samples are probably labelled right, from their losses: a mixture of two Gaussians.

As in DivideMix (Li et al., ICLR 2020, section 3.1), and in L2B without a clean set: the losses of the student in
inference mode, scaled to [0, 1], are modelled by two components; a sample counts as clean when it belongs to the one
with the smaller mean with a probability above 1/2.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

THRESHOLD = 0.5
MARGIN = 1e-5


def scaled(losses: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Losses [n] moved and scaled to [0, 1]; all 0 where all are equal.

    Raises:
        ValueError: a loss that is not finite.
    """
    values = np.asarray(losses, np.float64)
    if not np.all(np.isfinite(values)):
        raise ValueError("the losses are not finite, so no clean samples can be told: lower the learning rate")
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread > 0 else np.zeros(len(values))


def clean_probability(losses: npt.ArrayLike, seed: int, iterations: int = 10) -> npt.NDArray[np.float64]:
    """Posterior of the component with the smaller mean loss.

    Args:
        losses: float [n], finite.
        seed: of the mixture's start.
        iterations: most steps of expectation and maximisation.

    Returns:
        float64 [n] in [0, 1]; all 1 where all losses are equal.

    Raises:
        ValueError: a loss that is not finite.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    values = scaled(losses)[:, np.newaxis]
    if values.max() == 0:
        return np.ones(len(values))
    # The settings of the DivideMix code.
    mixture = GaussianMixture(2, max_iter=iterations, tol=1e-2, reg_covar=5e-4, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so few steps are meant
        mixture.fit(values)
    posterior: npt.NDArray[np.float64] = mixture.predict_proba(values)[:, np.argmin(mixture.means_[:, 0])]
    return posterior


def labelled(clean: npt.ArrayLike, threshold: float) -> npt.NDArray[np.bool_]:
    """The samples whose given label is kept: a probability above ``threshold``, at least one of them and not all.

    A threshold outside the probabilities moves just inside, as in the code of C2D (Zheltonozhskii
    et al., WACV 2022). Where all probabilities are alike, the last sample alone is left out.

    Args:
        clean: float [n], n at least 2, see ``clean_probability``.
        threshold: in (0, 1).

    Returns:
        bool [n].
    """
    values = np.asarray(clean, np.float64)
    lowest, highest = values.min() + MARGIN, values.max() - MARGIN
    if lowest >= highest:
        return np.arange(len(values)) < len(values) - 1
    chosen: npt.NDArray[np.bool_] = values > min(max(threshold, lowest), highest)
    return chosen


def clean_samples(losses: npt.ArrayLike, at_least: int, seed: int) -> npt.NDArray[np.bool_]:
    """The samples taken for clean: posterior above 1/2, or the ``at_least`` smallest losses if these are more.

    Args:
        losses: float [n].
        at_least: how many are needed, at most n.
        seed: see ``clean_probability``.

    Returns:
        bool [n].
    """
    chosen = clean_probability(losses, seed) > THRESHOLD
    if chosen.sum() < at_least:
        chosen[np.argsort(losses, kind="stable")[:at_least]] = True
    return chosen
