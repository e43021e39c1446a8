"""Methods that turn a batch into an update of the student, one file a paper."""
