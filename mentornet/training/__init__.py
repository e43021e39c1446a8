"""Running a training from the first step to the last, and everything a run leaves behind in its folder."""
