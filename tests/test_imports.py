"""Imports: relative inside the packages, arrows that point one way, and nothing heavy before it is used."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ("data", "codec", "lm", "tts", "apps")  # each may import those before it
HEAVY = set(
    "accelerate av espeakng_loader gradio librosa matplotlib onnxruntime pesq pocketsphinx pystoi rich scipy "
    "sentencepiece speechmos torchaudio transformers typer".split()
)
FILES = sorted(path for package in ORDER for path in (ROOT / package).rglob("*.py"))


class Import(NamedTuple):
    """One imported name: as it is called from the repository's root, and where it stands."""

    name: str
    relative: bool
    top: bool  # runs when the module is imported
    line: int


def imports_of(path: Path, source: str) -> Iterator[Import]:
    """All imports of a file, one for each imported name."""
    folder = path.relative_to(ROOT).parent.parts

    def walk(node: ast.AST, top: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, False, top, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = ".".join(folder[: len(folder) - child.level + 1]) if child.level else ""
                module = ".".join(part for part in (base, child.module) if part)
                for alias in child.names:
                    yield Import(f"{module}.{alias.name}".strip("."), child.level > 0, top, child.lineno)
            elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
                in_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, top and not in_function)

    yield from walk(ast.parse(source), True)


def faults(path: Path, source: str) -> list[str]:
    """What is wrong with the imports of a file."""
    package = path.relative_to(ROOT).parts[0]
    found = []
    for item in imports_of(path, source):
        where = f"{path.relative_to(ROOT)}:{item.line}: "
        head = item.name.split(".")[0]
        if not item.relative and head in (*ORDER, "mynah"):
            found.append(f"{where}{item.name} is imported absolutely, packages import each other relatively")
        elif item.relative and head not in ORDER:
            found.append(f"{where}{item.name} leaves the packages")
        elif item.relative and ORDER.index(head) > ORDER.index(package):
            found.append(f"{where}{package} imports {item.name}: the arrow points the wrong way")
        elif not item.relative and head in HEAVY and item.top and package != "apps":
            found.append(f"{where}{head} is heavy: import it where it is used")
    return found


def test_there_is_something_to_check():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} >= {"data", "codec", "apps"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports(path):
    assert faults(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("codec/a.py", "import codec.network", "absolutely"),
        ("codec/a.py", "from codec import network", "absolutely"),
        ("apps/a.py", "from mynah.codec import Codec", "absolutely"),
        ("data/a.py", "from ..codec import Codec", "wrong way"),
        ("data/a.py", "from .. import codec", "wrong way"),
        ("codec/heads/a.py", "from ...lm import model", "wrong way"),
        ("lm/a.py", "def f():\n    from ..apps import cli", "wrong way"),
        ("data/a.py", "import matplotlib.pyplot", "heavy"),
        ("codec/a.py", "class A:\n    from accelerate import Accelerator", "heavy"),
        ("codec/a.py", "if True:\n    import transformers", "heavy"),
        ("data/a.py", "from ...elsewhere import a", "leaves"),
    ],
)
def test_faults_are_found(file, line, words):
    (fault,) = faults(ROOT / file, line)
    assert words in fault


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("codec/a.py", "from ..data import audio"),
        ("codec/heads/a.py", "from ..network import Encoder\nfrom ...data.errors import MynahError"),
        ("apps/a.py", "import typer\nfrom ..tts import voice"),
        ("data/a.py", "def f():\n    import matplotlib"),
        ("data/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import matplotlib"),
        ("data/a.py", "import codecs\nimport numpy as np"),
    ],
)
def test_what_is_allowed_is_no_fault(file, line):
    assert faults(ROOT / file, line) == []


@pytest.mark.parametrize(
    ("modules", "light"),
    [
        ("mynah.codec, mynah.lm, mynah.tts", HEAVY),
        ("mynah.apps.cli", {"torch", "numpy"} | HEAVY),
    ],
)
def test_importing_is_light(modules, light):
    """In a process of its own, from another folder: nothing heavy comes along by way of something else."""
    program = f"import sys, {modules}; print(*{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT / "tests"
    )
    allowed = {"typer", "rich"} if modules == "mynah.apps.cli" else set()
    assert set(result.stdout.split()) & light <= allowed
