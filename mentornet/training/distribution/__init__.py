"""Where the steps of a run are computed: strategies, clusters, and batches for replicas."""
