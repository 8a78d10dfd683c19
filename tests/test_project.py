"""The project around the model: the direction of imports, the pins, the targets of make."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import spiral_env

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "spiral_env"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Lower layers never import higher ones; parts of one layer may import each other.
LAYERS = (
    {"core", "checks", "files", "provenance", "signatures", "text", "threads"},
    {"roles"},
    {"stages"},
    {"simulator"},
    {
        "scenarios",
        "spaces",
        "parallel_env",
        "vector_env",
        "tensor_vector_env",
        "tensor_engine",
        "cuda_engine",
        "metrics",
        "_registration",
    },
    {"policy"},
    {
        "horizon",
        "single_role_env",
        "single_role_vector_env",
        "tuple_env",
        "calibration",
        "adapters",
        "render",
        "evaluation",
        "data",
        "outside",
    },
    {"agents"},
    {"training"},
    {"questions"},
    {"commands", "__main__", "spiral_env"},
)
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
PARTS = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()} - {"__init__"}
# A picture of a month is drawn from records alone, so environments may call it (see the test below).
EXCEPTIONS = {("parallel_env", "render"), ("vector_env", "render")}
MODEL_PARTS = {"core", "stages", "roles", "simulator"}
TARGETS = {"setup", "train", "test", "test-all", "test-frameworks", "compatibility", "check", "docs", "bench", "clean"}


class Import(NamedTuple):
    """One import statement: the file, the part it belongs to and the module named."""

    file: Path
    part: str
    module: str


def _part(dotted: str) -> str:
    """The architecture's part of a module: ``spiral_env.core.state`` is ``core``.

    A name of the package's front door (``spiral_env.vector_env`` the function aside) counts as ``spiral_env``.
    """
    names = dotted.split(".")
    return names[1] if names[0] == "spiral_env" and len(names) > 1 and names[1] in PARTS else names[0]


def _names(node: ast.AST, package: list[str]) -> list[str]:
    """Full dotted names an import statement may load; ``from a import b`` gives ``a.b``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        return [".".join([*base, *([node.module] if node.module else []), alias.name]) for alias in node.names]
    return []


def _imports(source: str, file: Path) -> list[Import]:
    """Every import statement of one source file."""
    dotted = list(file.with_suffix("").parts)
    part = _part(".".join(dotted))
    return [Import(file, part, name) for node in ast.walk(ast.parse(source)) for name in _names(node, dotted[:-1])]


def _project_imports() -> list[Import]:
    """Imports of all files but the package's front door, which gathers names from every layer."""
    files = [p for p in sorted(PACKAGE.rglob("*.py"))]
    front_door = PACKAGE / "__init__.py"
    return [i for p in files if p != front_door for i in _imports(p.read_text(), p.relative_to(ROOT))]


def _upward(imports: list[Import]) -> list[str]:
    """Imports that climb a layer, as readable lines."""
    return [
        f"{i.file} ({i.part}) imports {i.module} ({_part(i.module)})"
        for i in imports
        if i.module.split(".")[0] == "spiral_env"
        and RANK[_part(i.module)] > RANK[i.part]
        and (i.part, _part(i.module)) not in EXCEPTIONS
    ]


def test_every_part_of_the_package_has_a_layer() -> None:
    assert RANK.keys() >= PARTS


def test_imports_go_one_way() -> None:
    assert _upward(_project_imports()) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("spiral_env/core/state.py", "from spiral_env.stages import feedback"),
        ("spiral_env/core/state.py", "from .. import stages"),
        ("spiral_env/roles/it.py", "from spiral_env.stages import spiral"),
        ("spiral_env/policy.py", "import spiral_env.evaluation.report"),
        ("spiral_env/evaluation/report.py", "import spiral_env.agents.scripted"),
        ("spiral_env/vector_env.py", "def f():\n    import spiral_env.agents"),
        ("spiral_env/agents/scripted.py", "from spiral_env.training import TrainConfig"),
        ("spiral_env/policy.py", "from spiral_env import SpiralVectorEnv"),
    ],
)
def test_an_import_that_climbs_is_found(file: str, source: str) -> None:
    assert len(_upward(_imports(source, Path(file)))) == 1


def test_nothing_imports_the_folders_that_people_edit() -> None:
    assert [i for i in _project_imports() if i.module.split(".")[0] in {"agents", "train"}] == []


def test_what_environments_draw_needs_records_alone() -> None:
    drawn = [i for i in _project_imports() if i.part == "render" and "replay" not in i.file.parts]
    parts = {_part(i.module) for i in drawn if i.module.startswith("spiral_env")}
    assert parts == {"core", "checks", "metrics", "render", "roles"}


def test_the_model_knows_no_framework() -> None:
    frameworks = {"gymnasium", "pettingzoo", "torch", "stable_baselines3"}
    found = [i for i in _project_imports() if i.part in MODEL_PARTS and i.module.split(".")[0] in frameworks]
    assert found == []


@pytest.mark.parametrize("module", ["spiral_env", "spiral_env.simulator.engine", "spiral_env.commands"])
def test_importing_the_environment_loads_no_trainer(module: str) -> None:
    heavy = ["torch", "stable_baselines3", "tensorboard", "matplotlib", "pyarrow", "spiral_env.training"]
    program = f"import sys, {module}; print([x for x in {heavy} if x in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_exceptions_to_the_direction_of_imports_are_still_needed() -> None:
    used = {(i.part, _part(i.module)) for i in _project_imports()}
    assert used >= EXCEPTIONS


def test_the_compile_layer_alone_names_numba() -> None:
    files = {i.file.as_posix() for i in _project_imports() if i.module.split(".")[0] == "numba"}
    assert files == {"spiral_env/core/_jit.py", "spiral_env/core/_cuda.py"}


def _pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.strip()]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def _requirements() -> list[Requirement]:
    project = PYPROJECT["project"]
    # Extras of frameworks have pins of their own: tests/test_frameworks.py.
    extras = [
        line for extra in ("train", "render", "import", "dev") for line in project["optional-dependencies"][extra]
    ]
    found = [Requirement(line) for line in [*project["dependencies"], *extras, *PYPROJECT["build-system"]["requires"]]]
    return [r for r in found if canonicalize_name(r.name) != "spiral-env"]


def test_constraints_pin_every_requirement_inside_its_bounds() -> None:
    pins = _pins()
    found = {str(r): pins.get(canonicalize_name(r.name)) for r in _requirements()}
    outside = [str(r) for r in _requirements() if not (pin := found[str(r)]) or not r.specifier.contains(pin)]
    assert outside == [], "constraints.txt pins none, or another version"


def test_constraints_name_no_place() -> None:
    assert re.search(r"[/@+]|file:|http", (ROOT / "constraints.txt").read_text()) is None


def test_make_installs_the_pinned_torch_first() -> None:
    makefile = (ROOT / "Makefile").read_text()
    torch = f"torch=={_pins()['torch']}"
    assert torch in makefile
    assert makefile.index(torch) < makefile.index("[train,dev,")


def test_make_has_its_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert set(phony.split()) == TARGETS
    assert set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)) == TARGETS


def test_ci_runs_the_checks_and_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert lines.index("set -euo pipefail") < lines.index("make check") < lines.index("make test")
    assert lines.index("make test") < lines.index("make test-frameworks TAG=ci")


def _released() -> tuple[str, str]:
    """Version and date of the newest release, from the changelog, the one place where the date is written first."""
    heading = re.search(r"^## \[(\d\S*)\] - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heading is not None
    return heading[1], heading[2]


def test_one_version_and_one_date_everywhere() -> None:
    citation = dict(re.findall(r"^(version|date-released): (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE))
    version, date = _released()
    assert {PYPROJECT["project"]["version"], spiral_env.__version__, version} == {version}
    assert citation == {"version": version, "date-released": date}, (
        "CITATION.cff: as the newest heading of CHANGELOG.md"
    )


NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
]
COUNTED = r"(?i)\b(\d+|" + "|".join(NUMBERS) + r")\s+(frameworks|scenarios)\b"
PROSE = ["README.md", "CHANGELOG.md", "CITATION.cff", "MODEL.md", "CONTRIBUTING.md", "results/README.md"]


def _counted(text: str) -> list[tuple[str, int]]:
    """What a text says how many there are of."""
    return [
        (kind, NUMBERS.index(n.lower()) if n.lower() in NUMBERS else int(n)) for n, kind in re.findall(COUNTED, text)
    ]


def test_whoever_counts_frameworks_or_scenarios_counts_all() -> None:
    assert _counted("thirteen\nframeworks, 4 scenarios") == [("frameworks", 13), ("scenarios", 4)]
    there = {
        "frameworks": len(list((ROOT / "docs/frameworks").glob("*.md"))),
        "scenarios": len(spiral_env.scenario_ids()),
    }
    said = {(page, *x) for page in PROSE for x in _counted((ROOT / page).read_text(encoding="utf-8"))}
    assert [x for x in said if x[2] != there[x[1]]] == [], f"there are {there}"


def test_the_table_of_contributing_is_that_of_the_import_directions() -> None:
    table = [
        line for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines() if "`spiral_env/" in line
    ]
    rows = [
        re.findall(r"`(?:spiral_env/)?([\w*]+)`", line.split("|")[1])
        for line in table
        if line.startswith("| `spiral_env/")
    ]
    told = [{p for p in PARTS for name in row if fnmatch(p, name)} for row in rows]
    front_door = {"spiral_env", "__main__"}
    assert told == [layer - front_door for layer in LAYERS], "CONTRIBUTING.md, Where things are"


def test_one_quantity_has_one_name() -> None:
    files = [*ROOT.rglob("*.md"), *PACKAGE.rglob("*.py")]
    mine = [x for x in files if not {".venv", ".nox"} & set(x.relative_to(ROOT).parts)]
    assert [str(x) for x in mine if re.search(r"(?i)agent[- ]month", x.read_text(encoding="utf-8"))] == [], (
        "agent-steps"
    )
