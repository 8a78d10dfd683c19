"""From scanner files to a world: matching, merging, ranking, and the world that comes of it."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refused, spiral
from hypothesis import given, settings
from hypothesis import strategies as st

import spiral_env
from spiral_env.data import Imported, Input, import_files, input_of
from spiral_env.data.identity import cwe_numbers, file_path, package_of, vulnerability_ids, web_address
from spiral_env.data.report import as_csv
from spiral_env.data.services_table import OwnService, without_loops
from spiral_env.data.severity import of_number, of_vector, of_word
from spiral_env.scenarios import Scenario
from spiral_env.simulator.engine import Engine
from tests.data_files.odd_inputs import ODD
from tests.data_files.shapes import bom, disclosure, epss, kev, packed, result, run, sarif, zap

REAL = Path(__file__).resolve().parent / "data_files" / "real"
SCANS = ("bandit.sarif.gz", "ruff.sarif.gz", "audit.cyclonedx.json", "audit.json", "zap.json")
KNOWN = ("kev.json", "epss.csv.gz")


def shop(*files: str) -> Imported:
    """The world of the real files."""
    inputs = [Input(str(REAL / x)) for x in files or (*SCANS, *KNOWN)]
    own = [Input(str(REAL / "sbom.json.gz"), "", "web"), Input(str(REAL / "payments.vdr.json"), "", "payments")]
    return import_files([*inputs, *own], "shop-v1", services=REAL / "services.csv")


@pytest.fixture(scope="module")
def imported() -> Imported:
    return shop()


@pytest.fixture(scope="module")
def world(imported: Imported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "shop-v1.toml"
    path.write_text(imported.scenario.to_toml(), encoding="utf-8")
    return path


def read(folder: Path, services: str = "", **contents: bytes) -> Imported:
    """An import of files by their names; ``_`` stands for a dot."""
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    if services:
        (folder / "services.csv").write_text(services)
    inputs = [Input(str(folder / name)) for name in contents]
    return import_files(inputs, "own-v1", services=folder / "services.csv" if services else None)


def names(found: Imported) -> list[str]:
    return [x.entry.name for x in found.ranked]


def test_every_finding_of_real_tools_is_accounted_for(imported: Imported) -> None:
    files = {Path(x.file).name: x for x in imported.files}
    assert (files["bandit.sarif.gz"].read, files["bandit.sarif.gz"].kept) == (86, 86)
    assert (files["ruff.sarif.gz"].read, files["ruff.sarif.gz"].kept) == (225, 80)
    assert files["ruff.sarif.gz"].dropped == {"not about security": 145}
    assert files["audit.json"].kept == files["audit.cyclonedx.json"].kept == 15
    merged = sum(len(x.merged.parts) for x in imported.ranked)
    assert merged + sum(imported.reasons.values()) == imported.read == 347


def test_bandit_and_ruff_agree_on_what_both_found(imported: Imported) -> None:
    both = [x for x in imported.ranked if {p.source for p in x.merged.parts} == {"Bandit", "ruff"}]
    assert sum(p.source == "ruff" for x in both for p in x.merged.parts) == 80
    for x in both:
        assert len({(p.rule, p.line, p.path.rsplit("/", 1)[-1]) for p in x.merged.parts}) == 1
        assert "file, line and rule" in x.merged.because


def test_both_formats_of_pip_audit_tell_the_same_vulnerabilities(imported: Imported) -> None:
    pip = [x for x in imported.ranked if any(p.source == "pip-audit" for p in x.merged.parts)]
    assert len(pip) == 15
    assert all(len(x.merged.parts) == 2 and x.entry.patch and x.entry.name.startswith("CVE-") for x in pip)


def test_what_is_exploited_and_likely_comes_first(imported: Imported) -> None:
    first, second, *rest = imported.ranked
    assert (first.entry.name.split()[0], second.entry.name.split()[0]) == ("CVE-2021-44228", "CVE-2021-45046")
    assert first.entry.kev
    assert second.entry.kev
    assert not any(x.entry.kev for x in rest)
    assert not any("CVE-2022-22965" in x.entry.name for x in rest)


def test_the_score_is_the_one_by_which_the_model_orders_its_queue(imported: Imported) -> None:
    """With what the opening knows: rank of EPSS x revenue at risk, as the record of an episode has it."""
    engine = Engine(imported.scenario.world(num_smes=1), 1)
    engine.reset(np.zeros(1, dtype=np.int64))
    state, p = engine.states[0], engine.params[0]
    known = p["triage_public"] + (1.0 - p["triage_public"]) * p["start_stock"]
    w = p["triage_threat"][2] * known
    scored = [k for k, x in enumerate(imported.ranked) if x.entry.epss is not None]
    assert len(scored) > 10
    for k in scored:
        wanted = (1.0 - w) * state["v_cvss"][k] / 10.0 + w * state["v_value"][k]
        assert imported.ranked[k].score == pytest.approx(wanted, abs=1e-12)
        assert imported.ranked[k].likelihood == pytest.approx(state["v_epss"][k], abs=1e-12)


def test_the_world_opens_with_the_findings_by_name(imported: Imported, world: Path) -> None:
    loaded = spiral_env.load_scenario(world)
    assert loaded == imported.scenario
    env = spiral_env.parallel_env(loaded)
    env.reset(seed=3)
    state = env.engine.states[0]
    assert state["num_open"] == len(imported.ranked) == 104
    order = [x.name for x in loaded.services]
    assert order == ["web", "templates", "payments", "clients"]
    placed = [order[k] for k in state["v_service"][: state["num_open"]]]
    assert placed == [x.entry.service for x in imported.ranked]


def test_an_imported_world_is_played_evaluated_and_learned_in(world: Path, tmp_path: Path) -> None:
    place = ("--scenario", str(world))
    assert spiral("rollout", *place).code == 0
    told = spiral("evaluate", *place, "--compare", "status_quo", "--episodes", "1", "--json")
    assert json.loads(told.out)["scenario"]["hash"] == spiral_env.load_scenario(world).hash
    folder = str(tmp_path / "run")
    trained = spiral("train", *place, "--algo", "es", "--timesteps", "1", "--set", "num_envs=2", "--out", folder)
    assert trained.code == 0, trained.err
    kept = spiral_env.load_scenario(tmp_path / "run" / "scenario.toml")
    assert kept.hash == spiral_env.load_scenario(world).hash


def test_the_order_of_files_does_not_matter() -> None:
    there = shop()
    back = shop(*reversed((*SCANS, *KNOWN)))
    assert back.scenario.backlog == there.scenario.backlog


def test_more_findings_than_slots_count_as_hazard(tmp_path: Path) -> None:
    rows = [result(f"R{k}", line=k, properties={"security-severity": 9.0 if k <= 256 else 2.0}) for k in range(1, 301)]
    found = read(tmp_path, a=sarif(run(*rows)))
    assert (len(found.ranked), found.named, len(found.scenario.backlog)) == (300, 256, 256)
    assert {x.cvss for x in found.scenario.backlog} == {9.0}
    lost = sum(-np.log1p(-x.likelihood) for x in found.ranked[256:])
    assert found.scenario.services[0].tail == pytest.approx(lost)
    assert lost > 0.0


def test_no_findings_open_no_backlog(tmp_path: Path) -> None:
    found = read(tmp_path, a=sarif(run()))
    engine = Engine(found.scenario.world(), 1)
    engine.reset(np.zeros(1, dtype=np.int64))
    assert engine.states[0]["num_open"] == 0


def test_a_disclosure_is_merged_by_identifier_package_and_service(tmp_path: Path) -> None:
    table = "name,tier,criticality,calls,match\na,edge,1,,x/\nb,core,1,,y/\n"
    lib = {"purl": "pkg:pypi/lib@1.0"}
    same = [result("CVE-2024-1000", place, properties=lib) for place in ("x/req.txt", "x/lock", "y/req.txt")]
    found = read(tmp_path, table, a=sarif(run(*same, tool="Trivy")))
    assert sorted((x.entry.service, len(x.merged.parts)) for x in found.ranked) == [("a", 2), ("b", 1)]


def test_paths_that_may_mean_two_files_are_not_merged(tmp_path: Path) -> None:
    one = [result("R1", path) for path in ("svc1/app/main.py", "svc2/app/main.py", "main.py", "app/main.py")]
    assert len(read(tmp_path, a=sarif(run(*one))).ranked) == 4


def test_a_known_exploited_finding_is_ranked_above_the_same_without(tmp_path: Path) -> None:
    both = bom(disclosure("CVE-2024-1000"), disclosure("CVE-2024-2000"))
    found = read(tmp_path, a=both, k=kev("CVE-2024-2000"))
    assert names(found)[0].startswith("CVE-2024-2000")
    assert names(read(tmp_path, a=both))[0].startswith("CVE-2024-1000")


def test_epss_moves_the_order(tmp_path: Path) -> None:
    both = bom(disclosure("CVE-2024-1000"), disclosure("CVE-2024-2000"))
    for likely in ("CVE-2024-1000", "CVE-2024-2000"):
        found = read(
            tmp_path, a=both, e=epss("CVE-2024-1000,0.001,0.1", "CVE-2024-2000,0.001,0.1", f"{likely},0.7,0.99")
        )
        assert names(found)[0].startswith(likely)


@pytest.mark.parametrize(
    ("uri", "base", "path"),
    [
        ("a/./b/../c.py", "", "a/c.py"),
        ("file:///C:/x/y%20z.cs", "", "/x/y z.cs"),
        ("file://host/share/x", "", "/share/x"),
        ("..\\..\\x.c", "/srv/app", "/x.c"),
        ("x.c", "/srv/app/", "/srv/app/x.c"),
        ("file://[bad", "", "[bad"),
        ("", "", ""),
        (None, "", ""),
    ],
)
def test_a_path_is_compared_in_one_form(uri: Any, base: str, path: str) -> None:
    assert file_path(uri, base) == path


def test_what_identifies_is_told_in_one_form() -> None:
    assert vulnerability_ids("see ghsa-x84v-xcm2-53pg", "cve-2024-0001 and CVE-2024-0001", 5) == (
        "CVE-2024-0001",
        "GHSA-X84V-XCM2-53PG",
    )
    assert cwe_numbers("CWE-079", "external/cwe/cwe-22", 89, "7", "-1", True, None) == (7, 22, 79, 89)
    assert str(package_of("pkg:PyPI/My_Lib@1.0?x=y")) == "pypi/my-lib@1.0"
    assert package_of("nonsense", "") is None
    assert web_address("HTTPS://Shop.example:443/a/?q=1#x") == "https://shop.example/a"
    assert web_address("http://shop.example:99999/") == ""


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("AV:N/AC:L/Au:N/C:N/I:N/A:C", 7.8),
        ("(AV:N/AC:M/Au:N/C:P/I:P/A:P)", 6.8),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0.0),
    ],
)
def test_a_vector_of_every_version_is_scored(vector: str, score: float) -> None:
    found = of_vector(vector)
    assert found is not None
    assert found.score == score


def test_what_is_no_severity_is_none() -> None:
    assert [of_vector(x) for x in ("", "CVSS:3.1/", "x" * 1000, 5, "CVSS:9.9/AV:N")] == [None] * 5
    assert [of_number(x) for x in (True, "nan", "11", -1, [], "1e999", None)] == [None] * 7
    assert of_word("HIGH ") == of_word("important")
    assert of_word("fatal") is None


def test_calls_that_the_model_cannot_follow_are_left_out_one_by_one() -> None:
    own = [OwnService(f"s{k}", "edge", 1.0, [f"s{(k + 1) % 5}"]) for k in range(5)]
    services, notes = without_loops(own)
    assert [len(x.calls) for x in services] == [1, 1, 1, 1, 0]
    assert notes == ["call s4 -> s0 closes a cycle: left out"]


def test_the_command_line_names_kind_and_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd=name").write_text("x")
    (tmp_path / "a.json").write_text("x")
    wanted = {
        "a.json": Input("a.json"),
        "odd=name": Input("odd=name"),
        "shop=a.json": Input("a.json", "", "shop"),
        "DAST:a.json": Input("a.json", "dast"),
        "iast:shop=a.json": Input("a.json", "iast", "shop"),
        "C:a.json": Input("C:a.json"),
    }
    assert {text: input_of(text) for text in wanted} == wanted


def test_the_command_writes_a_world_and_every_finding(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(sarif(run(result("=cmd|'/c calc'!A1"), result("R2", suppressions=[{}]))))
    out = tmp_path / "My Town.toml"
    ended = spiral("import", str(tmp_path / "a.json"), "--out", str(out), "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["dropped"] == {"suppressed": 1}
    assert spiral_env.load_scenario(out).id == told["scenario"]["id"] == "my-town-v1"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "My Town.findings.csv").read_text())))
    assert [(x["state"], x["reason"]) for x in rows] == [("open", ""), ("left out", "suppressed")]
    assert rows[0]["name"].startswith("'=cmd")
    assert "R2" in rows[1]["name"]


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"runs": [')
    assert refused("import", str(tmp_path / "a.json"), "--out", str(tmp_path / "x.toml")).endswith("it ends too early")
    assert "out must end in .toml" in refused("import", str(tmp_path / "a.json"), "--out", str(tmp_path / "x.csv"))
    assert not (tmp_path / "x.toml").exists()


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ijson", None)
    assert "ijson" in refused("import", str(REAL / "zap.json"))


GOOD = (
    sarif(run(result(), result("R2", properties={"cvss": "AV:N/AC:L/Au:N/C:N/I:N/A:C"}))),
    bom(disclosure(), metadata={"component": {"name": "app"}}),
    zap({"name": "x", "riskcode": "3", "instances": [{"uri": "http://a/"}]}),
    kev("CVE-2024-1000"),
    epss("CVE-2024-1000,0.5,0.9"),
    packed(epss("CVE-2024-1000,0.5,0.9")),
)


@settings(max_examples=80)
@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=3)), max_size=4))
def test_a_damaged_file_is_read_or_refused_in_a_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, harms: list[tuple[int, bytes]]
) -> None:
    for place, bytes_ in harms:
        at = place % len(content)
        content = content[:at] + bytes_ + content[at + len(bytes_) :]
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        import_files([Input(str(path))], "own-v1")
    except ValueError as error:
        line = str(error)
    else:
        line = ""
    assert line.isprintable()


ODDITIES = (
    *(None, True, -1, 0, 1e308, "", "x" * 3000, [], {}, [[]], {"text": 5}, [None, {}], 10**15),
    *("CVSS:3.1/AV:N", "pkg:" + "/" * 50, 'a"\\ = [', "file:///..%2f..", "http://[::1", "\u202e\x00\x1b[2J"),
)
"""What stands in a report where a tool would write something else."""


def mutated(value: Any, rng: random.Random, chance: float) -> Any:
    if rng.random() < chance:
        return rng.choice(ODDITIES)
    if isinstance(value, dict):
        return {key: mutated(x, rng, chance) for key, x in value.items() if rng.random() > chance / 2}
    return [mutated(x, rng, chance) for x in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(25))
def test_a_report_with_odd_values_makes_a_world_that_can_be_written_or_a_line(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    every = [content for case in ODD for content in case.files.values() if content.startswith(b"{")]
    inputs = [Input(str(tmp_path / str(k))) for k in range(3)]
    for one in inputs:
        changed = mutated(json.loads(rng.choice(every)), rng, rng.choice((0.02, 0.1)))
        Path(one.path).write_text(json.dumps(changed))
    try:
        found = import_files(inputs, "own-v1")
    except ValueError as error:
        line = str(error)
    else:
        line = ""
        assert Scenario(**tomllib.loads(found.scenario.to_toml())) == found.scenario
        assert as_csv(found).count("\n") == 1 + len(found.ranked) + len(found.dropped)
    assert line.isprintable()


_MEASURE = """
import resource, sys
from spiral_env.data import Input, import_files
found = import_files([Input(sys.argv[1])], "own-v1")
print(len(found.ranked), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_a_hundred_megabytes_are_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.sarif"
    filler = "x" * 1700
    with path.open("w") as file:
        file.write('{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Large"}}, "results": [')
        for k in range(60_000):
            row = result(f"R{k % 50}", f"src/f{k % 900}.c", k, message={"text": f"bad {filler}"})
            file.write(("," if k else "") + json.dumps(row))
        file.write("]}]}")
    assert path.stat().st_size > 100e6
    done = subprocess.run([sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, check=True)
    found, peak = map(int, done.stdout.split())
    assert found > 50_000
    assert peak < 400, f"{peak} MiB at its peak"
