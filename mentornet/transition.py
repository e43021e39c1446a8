"""Transition matrices T[i, j] = P(given label j | true class i): checks, estimates and their errors, in NumPy.

Patrini et al., CVPR 2017, section 3.2 (estimate); L2RW, section 4.2, and Goldberger and Ben-Reuven, ICLR 2017
(confusion matrix of a trained baseline as the start of a noise layer); Xia et al., NeurIPS 2019, and Yao et al.,
NeurIPS 2020 (estimation error). Nothing here imports TensorFlow.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_TOLERANCE = 1e-4


def checked(matrix: npt.ArrayLike, num_classes: int) -> npt.NDArray[np.float64]:
    """Returns the matrix as float64 [C, C].

    Raises:
        ValueError: not C x C numbers, a negative or non-finite entry, or a row whose sum is not 1.
    """
    values = np.asarray(matrix, np.float64)
    if values.shape != (num_classes, num_classes):
        size = " x ".join(map(str, values.shape))
        raise ValueError(
            f"the transition matrix is {size}, but {num_classes} classes need {num_classes} x {num_classes}"
        )
    if not np.all(np.isfinite(values)) or values.min() < 0:
        raise ValueError(
            "the transition matrix must hold probabilities, but has entries that are negative or not finite"
        )
    sums = values.sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1.0)))
    if abs(sums[worst] - 1.0) > _TOLERANCE:
        raise ValueError(f"row {worst} of the transition matrix sums to {sums[worst]:g}; every row has to sum to 1")
    return values / sums[:, np.newaxis]


def check_labels(matrix: npt.NDArray[np.float64], given: npt.ArrayLike) -> None:
    """Makes sure that a matrix [C, C] allows every label that occurs among the given ones, int [n].

    Raises:
        ValueError: no class is ever given one of them, so that its samples would have an infinite loss.
    """
    occurring = np.unique(np.asarray(given))
    impossible = occurring[matrix[:, occurring].max(axis=0) == 0]
    if impossible.size:
        raise ValueError(
            f"column {impossible[0]} of the transition matrix is 0, so no sample could be given label {impossible[0]}, "
            "but training samples have it: give a matrix that fits these labels"
        )


def estimated(probabilities: npt.ArrayLike, outlier_share: float = 0.03) -> npt.NDArray[np.float64]:
    """T from the predicted distributions of a student trained on the noisy labels.

    Row i is the prediction for the input that looks most like class i. The inputs with the highest ``outlier_share`` of
    p_i are passed over (Patrini et al. do so except on CIFAR-100), and with them all that look as much like class i as
    the least of them: many probabilities of exactly 1 must not make the row that of the identity. Where that leaves no
    input, the largest p_i counts. Rows are independent of each other: the released code blanks the outliers in place
    and may read them in later rows.

    Args:
        probabilities: [n, C], rows that sum to 1.
        outlier_share: in [0, 1).

    Returns:
        float64 [C, C], row-stochastic.

    Raises:
        ValueError: a share outside [0, 1), or no predictions.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or not len(p):
        raise ValueError(f"a transition matrix is estimated from predictions [n, C], not from shape {p.shape}")
    if not 0.0 <= outlier_share < 1.0:
        raise ValueError(f"outlier_share={outlier_share:g} must lie in [0, 1)")
    considered = p
    if outlier_share:
        considered = np.where(p < np.quantile(p, 1.0 - outlier_share, axis=0, method="higher"), p, -1.0)
        considered = np.where(considered.max(axis=0) < 0, p, considered)
    rows = p[np.argmax(considered, axis=0)]
    return rows / rows.sum(axis=1, keepdims=True)


def confusion(rows: npt.ArrayLike, columns: npt.ArrayLike, num_classes: int) -> npt.NDArray[np.float64]:
    """P(column | row) from pairs of labels: true classes (or predictions) against given labels.

    Args:
        rows: int [n].
        columns: int [n].
        num_classes: C.

    Returns:
        float64 [C, C], row-stochastic; a class that never occurs in ``rows`` gets the identity's row.
    """
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (np.asarray(rows), np.asarray(columns)), 1.0)
    absent = counts.sum(axis=1) == 0
    counts[absent] = np.eye(num_classes)[absent]
    return counts / counts.sum(axis=1, keepdims=True)


def errors(matrix: npt.ArrayLike, true: npt.ArrayLike, given: npt.ArrayLike) -> dict[str, float]:
    """How far an estimate is from T as counted in labels of which the true ones are known.

    Args:
        matrix: float [C, C], the estimate.
        true: int [n], at least one.
        given: int [n].

    Returns:
        transition_l1_error: ||estimate - T||_1 / ||T||_1 with all entries added up, in [0, 2]; it is twice the mean
            total variation distance of the rows.
        transition_mean_absolute_error: mean |estimate - T| of an entry.
        Both over the rows of the classes that occur among the true labels, because the others have no T.
    """
    estimate = np.asarray(matrix, np.float64)
    occurring = np.unique(np.asarray(true))
    exact = confusion(true, given, len(estimate))[occurring]
    differences = np.abs(estimate[occurring] - exact)
    return {
        "transition_l1_error": float(differences.sum() / exact.sum()),
        "transition_mean_absolute_error": float(differences.mean()),
    }


def smoothed(matrix: npt.ArrayLike, smoothing: float) -> npt.NDArray[np.float64]:
    """(1 - s) matrix + s / C, so that no entry is 0 and its logarithm exists.

    Raises:
        ValueError: s outside (0, 1).
    """
    if not 0.0 < smoothing < 1.0:
        raise ValueError(f"smoothing={smoothing:g} must lie in (0, 1)")
    values = np.asarray(matrix, np.float64)
    return (1.0 - smoothing) * values + smoothing / len(values)
