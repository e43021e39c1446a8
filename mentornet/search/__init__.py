"""Search for R(t), how much of each batch to trust in epoch t: S2E (Yao et al., ICML 2020) and its comparators.

``spaces.get(name)`` is a search space with its distribution p_theta; ``newton`` moves theta; ``asng`` does so with
shared weights; ``fit`` approximates a given schedule within a space; ``sampler`` runs the search on Optuna (an
optional extra, imported only there). Everything else is NumPy and SciPy; nothing here starts TensorFlow.
"""
