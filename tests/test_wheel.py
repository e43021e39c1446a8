"""The wheel: built from this checkout, it holds the library alone, and works where nothing else of the project is."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mentornet

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "BUILD.md", "CONTRIBUTING.md", "CHANGELOG.md")
USE = """
import mentornet, student_nets
from mentornet import curricula
assert mentornet.__file__.startswith({target!r}), mentornet.__file__
name = curricula.pretrained_names()[0]
print(mentornet.__version__, curricula.get("pretrained:" + name).name, student_nets.get("lenet", 10).output_shape[-1])
"""


@pytest.mark.slow
def test_the_wheel_works_in_a_folder_of_its_own(tmp_path):
    pytest.importorskip("setuptools", minversion="77", reason="setuptools builds the wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), "."]
    copy = tmp_path / "checkout"  # building leaves a folder build/ behind
    copy.mkdir()
    for name in ("pyproject.toml", "LICENSE", "docs", "mentornet", "student_nets", *DOCUMENTS):
        (copy / name).symlink_to(ROOT / name)
    subprocess.run(build, cwd=copy, check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode()
    assert {name for name in tops if not name.endswith((".dist-info", ".data"))} == {"mentornet", "student_nets"}
    assert f"Version: {mentornet.__version__}\n" in metadata
    target = tmp_path / "clean"
    flags = ["--no-deps", "--no-compile", "--target", str(target)]
    subprocess.run([*pip, "install", "-q", *flags, str(wheel)], check=True)
    code = f"import sys; sys.path.insert(0, {str(target)!r})\n" + USE.format(target=str(target))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == mentornet.__version__
    assert done.stdout.split()[-1] == "10"
    told = subprocess.run([sys.executable, "-m", "mentornet"], cwd=target, capture_output=True, text=True).stdout
    pages = target / "share" / "doc" / "mentornet"
    assert f"documentation: {pages}\n" in told
    for page in (*DOCUMENTS, *(path.relative_to(pages) for path in pages.glob("docs/**/*.md"))):
        links = re.findall(r"\]\(([^)#:]+\.(?:md|png))(?:#[^)]*)?\)", (pages / page).read_text("utf-8"))
        assert [link for link in links if not ((pages / page).parent / link).exists()] == [], page
