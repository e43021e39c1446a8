"""What short runs of the training scripts produced once, recorded to prove that a changed engine does the same."""
