"""The record of a start; the oracle is git itself, in a repository made for the test."""

from __future__ import annotations

import subprocess

from mentornet.runs import run_record


def test_git_commit_is_that_of_the_checkout(tmp_path):
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    assert run_record._git_state(tmp_path) == (None, None)  # nothing committed yet
    (tmp_path / "code.py").write_text("1")
    git("add", "code.py")
    git("commit", "-q", "-m", "one")
    assert run_record._git_state(tmp_path) == (git("rev-parse", "HEAD"), False)
    (tmp_path / "code.py").write_text("2")
    assert run_record._git_state(tmp_path) == (git("rev-parse", "HEAD"), True)
    (tmp_path / "inside").mkdir()
    assert run_record._git_state(tmp_path / "inside") == (None, None)  # installed inside somebody's checkout
