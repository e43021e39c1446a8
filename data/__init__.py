"""Data sets, label noise and input pipelines; nothing here knows about training.

noise        synthetic label noise (NumPy, seeded)
human_noise  CIFAR-N, labels given by people
labels       the labels a run trains on, kept apart from the clean ones
datasets     load(name) for every data set the scripts know
pipeline     deterministic, resumable batches

The modules are imported by name (`from data import noise`), so that the NumPy ones stay free of TensorFlow.
"""
