"""Which samples are probably labelled right, from their losses: a mixture of two Gaussians (L2B, no clean set).

As in DivideMix (Li et al., ICLR 2020, section 3.1): the losses of the student in inference mode, scaled to [0, 1], are
modelled by two components; a sample counts as clean when it belongs to the one with the smaller mean with a probability
above 1/2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

THRESHOLD = 0.5


def clean_probability(losses: npt.ArrayLike, seed: int) -> npt.NDArray[np.float64]:
    """Posterior of the component with the smaller mean loss.

    Args:
        losses: float [n], finite.
        seed: of the mixture's start.

    Returns:
        float64 [n] in [0, 1]; all 1 where all losses are equal.

    Raises:
        ValueError: a loss that is not finite.
    """
    from sklearn.mixture import GaussianMixture

    values = np.asarray(losses, np.float64)
    if not np.all(np.isfinite(values)):
        raise ValueError("the losses are not finite, so no clean samples can be told: lower the learning rate")
    spread = values.max() - values.min()
    if spread == 0:
        return np.ones(len(values))
    scaled = ((values - values.min()) / spread)[:, np.newaxis]
    # The settings of the DivideMix code.
    mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=seed).fit(scaled)
    posterior: npt.NDArray[np.float64] = mixture.predict_proba(scaled)[:, np.argmin(mixture.means_[:, 0])]
    return posterior


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
