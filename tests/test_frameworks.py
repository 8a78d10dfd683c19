"""The pages of the frameworks, their extras, pins and rows: what can be said without installing any of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from frameworks import checks, table
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# Of a device, not of a framework: gpu.md.
PAGES = sorted({path.stem for path in checks.PAGES.glob("*.md")} - {"gpu"})
ADAPTERS = sorted(p.stem for p in (ROOT / "spiral_env" / "adapters").glob("*.py") if not p.stem.startswith("_"))


def _text(page: str) -> str:
    return (checks.PAGES / f"{page}.md").read_text(encoding="utf-8")


def _extras_of(page: str) -> list[str]:
    return re.findall(r'-e "\.\[([a-z0-9-]+)\]"', _text(page))


def test_there_are_pages() -> None:
    assert "stable-baselines3" in PAGES


@pytest.mark.parametrize(
    ("path", "made"), [(table.README, table.table), (table.SPEEDS, table.routes)], ids=["readme", "results"]
)
def test_the_tables_are_those_of_the_stored_rows(path: Path, made: Callable[[], str]) -> None:
    text = path.read_text(encoding="utf-8")
    assert table.with_table(text, made()) == text, "python -m tests.frameworks.table"


def test_every_page_has_a_row_and_every_row_a_page() -> None:
    apart = sorted(set(table.rows()) ^ set(PAGES))
    assert apart == [], "nox -s PAGE -- record stores the row of a page"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_a_test_or_a_reason_why_it_cannot_work(page: str) -> None:
    tested = (ROOT / "tests" / "frameworks" / f"test_{page.replace('-', '_')}.py").exists()
    assert tested != ("reason" in table.rows().get(page, {}))


@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in _text(p)])
def test_an_example_is_short(page: str) -> None:
    code = checks.example_code(page)
    assert len(code.splitlines()) <= checks.MAX_EXAMPLE_LINES
    compile(code, page, "exec")


@pytest.mark.parametrize("page", [p for p in PAGES if _extras_of(p)])
def test_pins_of_a_page_are_inside_the_bounds_of_its_extra(page: str) -> None:
    text = (checks.PAGES / f"{page}.txt").read_text(encoding="utf-8")
    assert re.search(r"[/@+]|file:|https?:", text) is None
    pins = {canonicalize_name(name): pin for name, pin in (line.split("==") for line in text.splitlines())}
    for line in EXTRAS[_extras_of(page)[0]]:
        requirement = Requirement(line)
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None and requirement.specifier.contains(pin), f"{line}: nox -s {page} -- pin"  # noqa: PT018


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_without_its_framework_names_the_extra(adapter: str) -> None:
    program = (
        "import sys, importlib\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] not in known:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name.split('.')[0])\n"
        "import spiral_env.parallel_env, spiral_env.policy, spiral_env.vector_env\n"
        "known = set(sys.stdlib_module_names) | {x.split('.')[0] for x in sys.modules}\n"
        "sys.meta_path.insert(0, Missing())\n"
        f"importlib.import_module('spiral_env.adapters.{adapter}')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    named = re.fullmatch(r"ImportError: no module \S+: pip install 'spiral-env\[([a-z0-9-]+)\]'", last)
    assert named is not None, last
    assert named[1] in EXTRAS
