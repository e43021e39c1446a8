"""The worked example of CONTRIBUTING.md: a method is one file and one line, and everything else follows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.processes import ROOT

PARTS = ("mentornet", "student_nets", "data", "flags", "train_cifar.py")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the project with the example's file and its line in the registry."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text[text.index("## A method from nothing") :]
    module, line = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[:2]
    folder = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    (folder / "mentornet/methods/trimmed.py").write_text(module, encoding="utf-8")
    registry = folder / "mentornet/methods/__init__.py"
    before = registry.read_text(encoding="utf-8")
    after = before.replace("_METHODS = {\n", "_METHODS = {\n" + line)
    assert after.count("\n") == before.count("\n") + 1
    registry.write_text(after, encoding="utf-8")
    return folder


def run(checkout: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "train_cifar.py", *flags]
    return processes.run(command, root=checkout)


DATA = ("--dataset_name=digits", "--noise_type=uniform", "--noise_fraction=0.4", "--studentnet=small_cnn")


@pytest.mark.slow
def test_the_example_trains_and_leaves_out_wrong_labels(checkout, tmp_path):
    """Of 40% that are left out most are wrong ones: kept labels are right more often than all of them."""
    folder = tmp_path / "run"
    flags = ("--method=trimmed", "--trimmed_share=0.4", "--max_number_of_steps=150", f"--train_log_dir={folder}")
    done = run(checkout, *DATA, *flags)
    assert done.returncode == 0, done.stderr
    result = json.loads((folder / "result.json").read_text())
    assert result["method"] == "trimmed"
    assert result["weights_auc"] > 0.75
    assert result["data_utilisation"] == pytest.approx(0.6, abs=0.01)


@pytest.mark.slow
def test_its_option_has_help_a_range_and_refusals(checkout):
    help_text = run(checkout, "--help").stdout
    assert "--trimmed_share" in help_text
    assert "share of each batch that is left out. Default: 0.2." in " ".join(help_text.split())
    for flags, message in (
        (("--method=trimmed", "--trimmed_share=1"), "--trimmed_share=1 must be at least 0 and below 1"),
        (("--trimmed_share=0.1",), "--method=standard does not use --trimmed_share"),
        (("--method=trimmed", "--gce_q=0.5"), "--method=trimmed does not use --gce_q"),
    ):
        refused = run(checkout, *DATA, *flags, "--train_log_dir=never")
        assert refused.returncode == 2
        assert message in refused.stderr
        assert refused.stderr.count("\n") == 1
