"""Every training command in the documents and the recipes' heads parses, and every link or file name leads somewhere.

A command is what a reader would paste: `python train_cifar.py ...`, or a search, in a fenced block of a Markdown file
or in the comment at the head of a recipe, continued lines joined. It is given to the script's own parser in this
process, which checks names, values and contradictions without loading any data.
"""

import contextlib
import pathlib
import re
import shlex
import urllib.parse

import pytest
from absl import flags as absl_flags

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECIPES = sorted((ROOT / "flags" / "recipes").rglob("*.flags"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FENCED = re.compile(r"^(?P<fence>```+|~~~+)[^\n]*\n(?P<body>.*?)^(?P=fence)", flags=re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
    r"\bpython[\d.]*\s+((?:train_(?:cifar|imagenet)|scripts/(?:search_schedule|pretrain_simclr))\.py\b[^\n]*)"
)
LINK = re.compile(
    r"""\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)|\b(?:src|href)=["']([^"']+)["']""", re.MULTILINE
)


def fenced_blocks(markdown: str) -> list[str]:
    return [match["body"] for match in FENCED.finditer(markdown)]


def head_comment(flagfile: str) -> str:
    """The comment lines before the first flag, without their `#`."""
    lines = []
    for line in flagfile.splitlines():
        if line.strip() and not line.startswith("#"):
            break
        lines.append(re.sub(r"^#\s?", "", line))
    return "\n".join(lines)


def commands(shell: str) -> list[list[str]]:
    """The argument lists [script, flag, ...] of all training commands in a piece of shell.

    Variables take their value from an assignment or, in a loop, the first value of the list.
    """
    shell = re.sub(r"\\\n\s*", " ", shell)
    variables = dict(re.findall(r"\bfor (\w+) in ([^\s;]+)", shell)) | dict(re.findall(r"^(\w+)=(\S+)$", shell, re.M))
    shell = re.sub(r"\$\{?(\w+)\}?", lambda match: variables.get(match[1], match[0]), shell)
    found = []
    for match in COMMAND.finditer(shell):
        tokens = shlex.shlex(match[1], posix=True, punctuation_chars=True)
        tokens.whitespace_split = True
        tokens.commenters = "#"
        arguments = []
        for token in tokens:
            if set(token) <= set(";&|<>()"):
                break
            arguments.append(token)
        found.append(arguments)
    return found


def headings(markdown: str) -> set[str]:
    """The anchors of a document: its headings in lower case, blanks as hyphens, other punctuation dropped."""
    prose = FENCED.sub("", markdown)
    titles = re.findall(r"^#+\s+(.*?)\s*#*$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(document: pathlib.Path) -> list[str]:
    """The relative links, pictures and anchors of a document that lead nowhere."""
    broken = []
    text = document.read_text(encoding="utf-8")
    for groups in LINK.findall(FENCED.sub("", text)):
        link = next(filter(None, groups))
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = urllib.parse.unquote(link).partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in headings(target.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


def missing_files(markdown: str, names_in_repository: set[str]) -> list[str]:
    """File names in backticks, as in `flags/x.py`, that are in no folder of the repository and no placeholders."""
    named = re.findall(r"`([\w./-]+\.(?:py|md|toml|cff|flags))`", FENCED.sub("", markdown))
    return [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in names_in_repository)]


def parse(arguments: list[str]) -> None:
    """Raises ValueError or absl's Error if the script of that name would refuse the arguments."""
    from flags import configuration
    from flags.define import imagenet_flags

    if arguments[0] == "scripts/search_schedule.py":
        pytest.importorskip("optuna")
        from flags.define import search_flags

        search_flags.parse(arguments)
        return
    if arguments[0] == "scripts/pretrain_simclr.py":  # which sets these
        arguments = [arguments[0], "--method=simclr", "--learning_rate_schedule=cosine", *arguments[1:]]
    script = imagenet_flags if arguments[0] == "train_imagenet.py" else configuration
    with contextlib.suppress(FileNotFoundError):  # of what another command of the page makes
        script.parse(arguments)


def documented_commands(path: pathlib.Path) -> list[list[str]]:
    text = path.read_text(encoding="utf-8")
    return commands("\n".join(fenced_blocks(text)) if path.suffix == ".md" else head_comment(text))


DOCUMENTED = [
    pytest.param(command, id=f"{path.relative_to(ROOT)}-{n}")
    for path in [*DOCUMENTS, *RECIPES]
    for n, command in enumerate(documented_commands(path))
]


@pytest.mark.parametrize("command", DOCUMENTED)
def test_documented_command_parses(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert (ROOT / command[0]).is_file()
    parse(command)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_recipe_head_says_the_command_that_runs_it(recipe: pathlib.Path) -> None:
    flag = f"--flagfile={recipe.relative_to(ROOT).as_posix()}"
    assert any(flag in command for command in documented_commands(recipe))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: pathlib.Path) -> None:
    assert broken_links(document) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_named_in_prose_exist(document: pathlib.Path) -> None:
    folders = ("mentornet", "student_nets", "data", "flags", "tests", "scripts", "benchmarks")
    paths = [*ROOT.glob("*.*"), *(path for folder in folders for path in (ROOT / folder).rglob("*.*"))]
    assert missing_files(document.read_text(encoding="utf-8"), {p.relative_to(ROOT).as_posix() for p in paths}) == []


def modules_started(text: str) -> set[str]:
    """Modules of the project that a document or a script starts as `python -m module` or `["-m", "module", ...]`."""
    return set(re.findall(r"""-m(?: |["'], ["'])((?:mentornet|flags|benchmarks|scripts|data)[\w.]*)""", text))


def does_something(module: str) -> bool:
    """Whether it is a program: a package with __main__.py, or a module that asks if it is the program."""
    path = ROOT / module.replace(".", "/")
    program = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    return program.is_file() and (path.is_dir() or '__name__ == "__main__"' in program.read_text(encoding="utf-8"))


def test_modules_that_are_started_are_programs() -> None:
    assert modules_started("python -m mentornet.x.y -a; ['-m', 'flags.z'], -m pip") == {"mentornet.x.y", "flags.z"}
    assert not does_something("mentornet.learning.command")
    assert not does_something("mentornet.gone")
    scripts = [*(ROOT / "scripts").glob("*.py"), *(ROOT / "benchmarks").glob("*.py"), ROOT / "Makefile"]
    texts = [path.read_text(encoding="utf-8") for path in (*DOCUMENTS, *RECIPES, *scripts)]
    found = {module.rstrip(".") for text in texts for module in modules_started(text)}
    assert {"mentornet.learning", "mentornet.reports"} <= found
    assert [module for module in sorted(found) if not does_something(module)] == []


@pytest.mark.parametrize(
    "arguments",
    [["--no_such_flag=1"], ["--noise_fraction=1.5"], ["--method=standard", "--curriculum=self_paced"], ["leftover"]],
)
def test_a_wrong_command_is_noticed(arguments: list[str]) -> None:
    with pytest.raises((ValueError, absl_flags.Error)):
        parse(["train_cifar.py", *arguments])


MARKDOWN = """Prose that names `python train_cifar.py --ignored`.

```sh
cd somewhere && .venv/bin/python train_cifar.py --seed=1 \\
    --noise_fraction=0.4   # a remark
python3.12 train_imagenet.py --flagfile="a b.flags" > log.txt 2>&1
for seed in 7 8; do python train_cifar.py --seed=$seed; done
RUNS=out
$ python train_cifar.py --train_log_dir=${RUNS}/x | tail
python other.py --seed=1
```
"""


def test_commands_are_found_in_fenced_blocks_only() -> None:
    assert commands("\n".join(fenced_blocks(MARKDOWN))) == [
        ["train_cifar.py", "--seed=1", "--noise_fraction=0.4"],
        ["train_imagenet.py", "--flagfile=a b.flags"],
        ["train_cifar.py", "--seed=7"],
        ["train_cifar.py", "--train_log_dir=out/x"],
    ]


def test_commands_are_found_in_the_head_of_a_recipe_only() -> None:
    recipe = "# Table 2.\n#   python train_cifar.py \\\n#     --flagfile=x\n\n--seed=1\n# python train_cifar.py --y\n"
    assert commands(head_comment(recipe)) == [["train_cifar.py", "--flagfile=x"]]


def test_broken_links_are_found(tmp_path: pathlib.Path) -> None:
    (tmp_path / "b.md").write_text("# Two words, here\n", encoding="utf-8")
    document = tmp_path / "a.md"
    document.write_text(
        "[ok](b.md) [ok](b.md#two-words-here) [ok](#top) ![no](gone.png 'title') [no](b.md#three) [web](https://a/b.md)\n"
        '<img src="lost.png" width="3">\n\n[ref]: missing.md\n\n```\n[not a link](in_code.md)\n```\n# Top\n',
        encoding="utf-8",
    )
    assert broken_links(document) == ["gone.png", "b.md#three", "lost.png", "missing.md"]


def test_missing_files_are_found() -> None:
    text = "`a/b.py` `b.py` `gone.py` `x/b.py` `<your>.py`\n```\n`in_code.py`\n```\n"
    assert missing_files(text, {"a/b.py", "c.md"}) == ["gone.py", "x/b.py"]
