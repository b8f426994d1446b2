"""The floors of the house: imports point down, and declaring modules never import torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from conftest import REPOSITORY

# From the ground up; a module imports only from its own floor's folder or from floors below.
FLOORS = (
    ("zoo", "zoo.errors", "zoo.nearest", "zoo.habits", "zoo.declared", "zoo.economy", "zoo.visible"),
    ("zoo.processes",),
    (
        "zoo.files",
        "zoo.positions",
        "zoo.strict",
        "zoo.shapes",
        "zoo.catalog",
        "zoo.tensor_order",
        "zoo.seal",
        "zoo.plan",
    ),
    ("zoo.notation", "zoo.patterns"),
    ("zoo.override",),
    ("zoo.choice", "zoo.source"),
    ("zoo.inheritance", "zoo.templates"),
    ("zoo.transforms", "zoo.layers", "zoo.losses", "zoo.metrics", "zoo.optimizers", "zoo.initializers"),
    ("zoo.schedulers", "zoo.train", "zoo.export", "zoo.placed"),
    ("zoo.data", "zoo.models", "zoo.placing"),
    ("zoo.judges",),
    ("zoo.diagnosis",),
    ("zoo.spec", "zoo.search"),
    ("zoo.schema", "zoo.checked"),
    ("zoo.agreement",),
    ("zoo.contradictions",),
    ("zoo.check",),
    ("zoo.searched",),
    ("zoo.survey", "zoo.sarif", "zoo.terminal", "zoo.costs", "zoo.origins"),
    ("zoo.difference", "zoo.outline"),
    ("zoo.picture",),
    ("zoo.device", "zoo.warm_start", "zoo.graph"),
    ("zoo.build",),
    ("zoo.training", "zoo.environment"),
    ("zoo.eject",),
    ("zoo.run",),
    ("zoo.finding",),
    ("zoo.destination", "zoo.report", "zoo.journal"),
    ("zoo.trainer", "zoo.study"),
    ("zoo.tuning",),
    ("zoo.tune",),
    ("zoo.prediction", "zoo.progress", "zoo.doctor", "zoo.reproduction"),
    ("zoo.console",),
    ("zoo.commands",),
    ("exporters",),
    ("cli",),
)
LAST_DECLARING = "zoo.picture"
DECLARING = (
    "check linear3",
    "check no_such_spec",
    "check specs --format sarif",
    "diff linear1 linear3",
    "list",
    "schema",
    "show mnist_mlp",
    "show mnist_mlp --resolved",
    "--help",
    "train --help",
    "train --resume no_such_run",
    "evaluate no_such_run",
    "predict no_such_run 1,2",
    "report no_such_run",
    "reproduce no_such_run",
)
"""Commands that are asked in one process: what none of them imports, each of them does not."""
REFUSING = ("export no_such_run", "benchmark no_such_bundle", "verify no_such_bundle", "inspect no_such_file")
"""Commands that refuse a wrong name without torch."""
FOREIGN = ("torch", "torchvision", "onnx", "onnxruntime", "numpy")


@cache
def modules() -> dict[str, Path]:
    files = [REPOSITORY / "cli.py", *(REPOSITORY / "zoo").rglob("*.py"), *(REPOSITORY / "exporters").rglob("*.py")]
    return {_name(path): path for path in files}


@cache
def trees() -> dict[str, ast.Module]:
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in sorted(modules().items())}


def _name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(module: str) -> int:
    owners = [
        (len(owner), level)
        for level, names in enumerate(FLOORS)
        for owner in names
        if module == owner or (owner != "zoo" and module.startswith(f"{owner}."))
    ]
    assert owners, f"{module} stands on no floor: give it one in FLOORS"
    return max(owners)[1]


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module of ours that is imported, at the top or inside a function."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.split(".")[0] in ("zoo", "exporters", "cli"):
                yield name if name in modules() else name.rpartition(".")[0]


def climbs(module: str, tree: ast.AST) -> list[str]:
    """The imports of `module` that point up, or sideways out of its own folder."""
    own = {owner for owner in FLOORS[floor(module)] if module == owner or module.startswith(f"{owner}.")}
    return [
        name
        for name in imports(tree)
        if floor(name) > floor(module)
        or (floor(name) == floor(module) and not any(name == o or name.startswith(f"{o}.") for o in own))
    ]


def test_imports_point_down() -> None:
    assert {module: found for module, tree in trees().items() if (found := climbs(module, tree))} == {}


def test_an_import_that_points_up_is_found() -> None:
    assert climbs("zoo.check", ast.parse("def f():\n    from zoo.run import Run")) == ["zoo.run"]
    assert climbs("zoo.losses", ast.parse("from zoo.metrics import Accuracy")) == ["zoo.metrics"]
    assert climbs("zoo.run", ast.parse("import exporters.onnx")) == ["exporters.onnx"]


def relative(tree: ast.AST) -> list[ast.ImportFrom]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level > 0]


def test_imports_are_absolute() -> None:
    assert [module for module, tree in trees().items() if relative(tree)] == []


def test_a_relative_import_is_found() -> None:
    assert relative(ast.parse("from . import check"))


def loaded_by(code: str, *folders: Path) -> set[str]:
    """The foreign modules that a fresh process has after running `code`, with modules of other folders before all."""
    begin, end = f"import sys; sys.path[:0] = {[*map(str, folders)]}", f"print(*set({FOREIGN!r}) & set(sys.modules))"
    report = f"{begin}\n{code}\n{end}"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_declaring_modules_never_import_torch() -> None:
    last = max(level for level, names in enumerate(FLOORS) if LAST_DECLARING in names)
    declaring = [module for module in modules() if floor(module) <= last]
    assert LAST_DECLARING in declaring
    assert len(declaring) > 20
    assert loaded_by("import " + ", ".join(declaring)) == set()


def test_a_declaring_module_that_imports_torch_is_found(tmp_path: Path) -> None:
    (tmp_path / "torch.py").touch()  # the real one takes seconds
    (tmp_path / "declaring.py").write_text("import torch")
    assert "torch" in loaded_by("import zoo.check, declaring", tmp_path)


def loaded_by_commands(lines: Sequence[str]) -> set[str]:
    """The foreign modules that a fresh process has after these commands."""
    ran = [
        f"sys.argv = ['zoo', *{line.split()!r}]\ntry:\n    cli.main()\nexcept SystemExit:\n    print()"
        for line in lines
    ]
    return loaded_by("\n".join(["import cli", *ran]))


def test_commands_that_only_declare_never_import_torch() -> None:
    assert loaded_by_commands(DECLARING) == set()


def test_a_wrong_name_is_told_before_torch_is_imported() -> None:
    assert loaded_by_commands(REFUSING) <= {"numpy", "onnx"}
