"""Writes requirements.txt and requirements-dev.txt: exact versions of everything pyproject.toml needs, directly or not.

Run with `make pins`. For each supported Python it asks that interpreter's own pip what it would install into an empty
environment (a dry run; nothing is installed), then merges the answers: a package with one version everywhere becomes a
plain pin, otherwise the pin carries a marker on `python_version`. The files hold names and versions only, no addresses
and no hashes, so they work with any package index. The pins are those of the platform the script runs on.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
HEADER = "# Made by `make pins` from pyproject.toml for Python {first} to {last}; do not edit.\n"


def direct_dependencies(pyproject: str) -> tuple[list[str], list[str]]:
    """Returns the runtime and the development requirements named in the text of pyproject.toml.

    Only the two string lists are read, by pattern: the standard library has no TOML reader before Python 3.11.

    Raises:
        ValueError: if one of the lists `dependencies` and `dev` is missing.
    """
    lists = []
    for key in ("dependencies", "dev"):
        found = re.search(rf"^{key} = \[(.*?)\]", pyproject, flags=re.MULTILINE | re.DOTALL)
        if found is None:
            raise ValueError(f"pyproject.toml has no list {key!r}; write it as `{key} = [...]`.")
        lists.append(re.findall(r'"([^"]+)"', found.group(1)))
    return lists[0], lists[1]


def resolve(python: str, requirements: list[str]) -> dict[str, str]:
    """Returns {package name: version} of everything `python`'s pip would install for `requirements`.

    Raises:
        ValueError: if the interpreter is missing or finds no consistent set of packages.
    """
    with tempfile.TemporaryDirectory() as folder:
        pip = [f"{folder}/venv/bin/python", "-m", "pip", "install", "--quiet"]
        report = pathlib.Path(folder, "report.json")
        steps = [
            [python, "-m", "venv", f"{folder}/venv"],
            [*pip, "--upgrade", "pip"],  # the pip that old Pythons bring along backtracks for hours
            [*pip, "--dry-run", "--ignore-installed", "--report", str(report), *requirements],
        ]
        try:
            for step in steps:
                subprocess.run(step, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise ValueError(f"{python} was not found; every supported Python is needed to make the pins.") from None
        except subprocess.CalledProcessError as error:
            raise ValueError(f"{python} could not resolve the requirements: {error.stderr[-2000:]}") from error
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in installed}


def pin_lines(resolved: dict[str, dict[str, str]]) -> list[str]:
    """Merges {python: {name: version}}, ordered by Python, into sorted requirement lines.

    Consecutive Pythons that agree on a version share one line, so `a==1` everywhere is `a==1`, and a package needed
    below Python 3.11 only is `a==1 ; python_version < "3.11"`.
    """
    pythons = list(resolved)
    lines = []
    for name in sorted(set().union(*resolved.values())):
        versions = [resolved[python].get(name) for python in pythons]
        start = 0
        for stop in range(1, len(pythons) + 1):
            if stop < len(pythons) and versions[stop] == versions[start]:
                continue
            bounds = []
            if start > 0:
                bounds.append(f'python_version >= "{pythons[start]}"')
            if stop < len(pythons):
                bounds.append(f'python_version < "{pythons[stop]}"')
            if versions[start] is not None:
                lines.append(f"{name}=={versions[start]}" + (f" ; {' and '.join(bounds)}" if bounds else ""))
            start = stop
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Renew requirements.txt and requirements-dev.txt.")
    parser.add_argument(
        "--python",
        action="append",
        metavar="VERSION=COMMAND",
        help='the command that starts a Python version, as in 3.12=/opt/py/bin/python3 (default: "pythonVERSION")',
    )
    given = dict(item.split("=", 1) for item in parser.parse_args().python or [])
    runtime, dev = direct_dependencies((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    both: dict[str, dict[str, str]] = {}
    runtime_only: dict[str, dict[str, str]] = {}
    for version in PYTHONS:
        command = given.get(version, f"python{version}")
        print(f"Resolving for Python {version} with {command}", flush=True)
        # The two files are installed together, so versions come from one resolution of both.
        both[version] = resolve(command, runtime + dev)
        names = resolve(command, runtime)
        runtime_only[version] = {name: both[version][name] for name in names}

    header = HEADER.format(first=PYTHONS[0], last=PYTHONS[-1])
    runtime_lines = pin_lines(runtime_only)
    dev_lines = [line for line in pin_lines(both) if line not in runtime_lines]
    (ROOT / "requirements.txt").write_text(header + "\n".join(runtime_lines) + "\n", encoding="utf-8")
    (ROOT / "requirements-dev.txt").write_text(
        header + "-r requirements.txt\n" + "\n".join(dev_lines) + "\n", encoding="utf-8"
    )
    print(f"Wrote {len(runtime_lines)} pins to requirements.txt and {len(dev_lines)} more to requirements-dev.txt")


if __name__ == "__main__":
    try:
        main()
    except ValueError as problem:
        sys.exit(f"pin_requirements: {problem}")
