"""Stands in for train_cifar.py in tests of the search: a training that takes no time and whose accuracy is a formula.

Accuracy is 1 - mean (R(t) - t/T)^2 with a schedule, else 1 - (x - 0.3)^2 of --x. Every epoch, or --every epochs, of ten
steps writes a row of metrics.csv; a folder with rows is continued; every start leaves a line "pid parent rows" in
starts.txt.
"""

import json
import os
import sys
import time
from pathlib import Path


def accuracy(rates):
    return 1 - sum((rate - t / len(rates)) ** 2 for t, rate in enumerate(rates)) / len(rates)


def main(arguments):
    flags = dict(argument[2:].partition("=")[::2] for argument in arguments)
    run = Path(flags["train_log_dir"])
    run.mkdir(parents=True, exist_ok=True)
    table = run / "metrics.csv"
    if not table.exists():
        names = "eval_validation_accuracy,eval_accuracy,train_accuracy"
        table.write_text(f"step,seconds,{names},weights_auc,data_utilisation\n")
    epochs, every = int(flags["epochs"]), int(flags.get("every", 1))
    (run / "new.json").write_text(json.dumps({"identity": {"max_steps": 10 * epochs}}))
    (run / "new.json").replace(run / "run.json")  # whole for whoever reads it meanwhile
    done = table.read_text().count("\n") - 1
    with open(run / "starts.txt", "a") as starts:
        starts.write(f"{os.getpid()} {os.getppid()} {done}\n")
    if "keep_schedule" in flags:
        value = accuracy([float(line) for line in Path(flags["keep_schedule"][5:]).read_text().split()])
    else:
        value = 1 - (float(flags["x"]) - 0.3) ** 2
    if "broken" in flags and Path(flags["broken"]).exists():
        print("Traceback ...\n  somewhere\nfake_training.py: the data is not there", file=sys.stderr)
        return 1
    for epoch in range((done + 1) * every, epochs + 1, every):
        time.sleep(float(flags.get("pause", 0)))
        reached = value * epoch / epochs
        with open(table, "a") as rows:
            rows.write(f"{10 * epoch},{epoch * 0.5},{reached!r},{reached / 2!r},{reached!r},,\n")
    (run / "result.json").write_text(json.dumps({"seconds": 1.0}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
