"""What a reader relies on without looking: links lead somewhere, names agree, examples are used, files stay
readable."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from roadstead.cli import VERBS
from tests.tidy.files import ROOT, relative, tracked

PAGES = [path for path in tracked() if path.suffix == ".md"]
README = (ROOT / "README.md").read_text()
LINES_OF_A_MODULE = 500
MACHINE = re.compile(r"(?<![\w.}>)-])/(?:work/|root/\.\w|home/\w+/|Users/)")
REGISTRIES = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|docker\.io|gcr\.io|ghcr\.io|quay\.io|registry\.k8s\.io|[\w.-]*artifactory[\w.-]*)\b"
)
RECORDED = ("tests/data/", "src/roadstead/kinds/facts/")
"""Answers and schemas of other systems, kept as they came."""
OF_CI = {"make demo", "make test"}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def blocks(text: str) -> list[str]:
    """The lines of the shell blocks of a page, comments left out."""
    found = re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in found for line in block.splitlines()]
    return [line for line in lines if line]


def test_every_command_of_the_readme_is_run_by_a_test() -> None:
    """Two tests called test_readme run them as they stand; the developer's verbs are `.ci/run`'s."""
    from tests.acceptance import test_readme as ours
    from tests.realcluster import test_readme as real

    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert all(line in ci for line in OF_CI)
    assert ci.index("make test") == min(i for i, line in enumerate(ci) if line.startswith(("make", ".venv")))
    left = [line for line in blocks(README) if line not in (*OF_CI, *ours.ran(), *real.ran())]
    assert left == []


def test_readme_shows_only_verbs_and_options_that_there_are() -> None:
    import importlib

    shown = re.findall(r"roadstead ([a-z]+)([^\n`|&)]*)", "\n".join(blocks(README)))
    assert shown
    for verb, rest in shown:
        assert verb in VERBS
        command = importlib.import_module(f"roadstead.cli.{verb}").command
        known = {option for parameter in command.params for option in parameter.opts}
        given = set(re.findall(r"(?<!\S)(--?[a-z][-a-z]*)", rest.partition(" -- ")[0]))
        assert given <= known, f"roadstead {verb} has no {given - known}"


def test_every_verb_is_called_by_a_test_of_a_whole_cluster() -> None:
    """On ours (acceptance) or on a real one (realcluster)."""
    folders = (ROOT / "tests" / "acceptance", ROOT / "tests" / "realcluster")
    text = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    assert [verb for verb in VERBS if f'"{verb}"' not in text] == []


def test_every_example_is_used_by_a_test() -> None:
    text = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    examples = [path.name for path in tracked() if relative(path).startswith("examples/")]
    assert examples
    assert [name for name in examples if f'"{name}"' not in text] == []


def test_contracts_are_called_the_same_in_the_architecture() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    architecture = (ROOT / "ARCHITECTURE.md").read_text()
    assert [entry["name"] for entry in contracts if entry["name"] not in architecture] == []


def test_modules_stay_readable() -> None:
    long = {
        relative(path): lines
        for path in tracked()
        if relative(path).startswith("src/") and path.suffix == ".py"
        if (lines := path.read_text().count("\n")) > LINES_OF_A_MODULE
    }
    assert long == {}


def test_nothing_names_a_machine_or_a_registry() -> None:
    found = []
    for path in tracked():
        name = relative(path)
        if name.startswith(RECORDED) or path == Path(__file__):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if MACHINE.search(line) or REGISTRIES.search(line):
                found.append(f"{name}:{number}: {line.strip()[:120]}")
    assert found == []


def test_every_test_folder_is_a_package() -> None:
    folders = {path.parent for path in tracked() if path.name.startswith("test_") and path.suffix == ".py"}
    assert [relative(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_refusal_has_a_sentence_of_its_own_and_says_what_to_do() -> None:
    from roadstead.core.explain.sentences import sentence
    from roadstead.model.refusals import Code, Level, Refusal, Verdict

    facts = set()
    for code in Code:
        assert re.fullmatch(r"[A-Z][A-Za-z]+", code.value)
        for verdict in Verdict:
            said = sentence(
                Refusal(code, verdict, Level.QUEUE, pod_set="main", flavor="spot", resource="cpu", needed=2000,
                        available=1000, limit=4000, subject="blue", counts=(("cpu", 3),))
            )  # fmt: skip
            what, _, advice = said.partition(". ")
            assert what, said
            assert advice.endswith("."), f"{code}: nothing to do in: {said}"
        facts.add(what)
    assert len(facts) == len(Code), "two codes say the same"


def test_there_is_no_unfinished_work_in_the_sources() -> None:
    words = re.compile(r"#\s*(?:TODO|FIXME|XXX|HACK)\b")
    found = [
        f"{relative(path)}: {line.strip()}"
        for path in tracked()
        if path.suffix == ".py" and relative(path).startswith("src/")
        for line in path.read_text().splitlines()
        if words.search(line)
    ]
    assert found == []


def test_tests_have_names_of_their_own() -> None:
    """Of two functions with one name in a module only the last would run."""
    twice = []
    for path in tracked():
        if path.name.startswith("test_") and path.suffix == ".py":
            names = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
            twice += [f"{relative(path)}::{name}" for name in set(names) if names.count(name) > 1]
    assert twice == []
