"""The run folder and its files. Nothing here imports TensorFlow or knows a method."""
