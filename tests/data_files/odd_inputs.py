"""Odd but valid files, rows of ``ODD``, and how to tell what an import makes of one.

What happens to each stands in ``results/import_inputs.md``. An outcome names each open finding with its service where
there are several, its score and how that was told, its EPSS and what else is known of it; then what was left out, and
notes of files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.data_files.shapes import (
    alert,
    audit,
    bom,
    disclosure,
    epss,
    kev,
    packed,
    result,
    rule,
    run,
    sarif,
    zap,
)

__all__ = ["ODD", "Odd", "outcome"]


class Odd(NamedTuple):
    """One input.

    Attributes:
        what: in words.
        files: name -> content, in the order of the command line; ``service=name`` and ``dast:name`` as there.
        services: the table of services, if one is given.
    """

    what: str
    files: Mapping[str, bytes]
    services: str = ""


def outcome(found: Any) -> str:
    """What came of an import, in a line."""
    several = len(found.scenario.services) > 1
    opened = [_told(x, several) for x in found.ranked]
    left = [f"{count} {reason}" for reason, count in sorted(found.reasons.items())]
    notes = [note for x in found.files for note in x.notes]
    parts = [f"open: {'; '.join(opened) if opened else 'nothing'}"]
    parts += [f"left out: {', '.join(left)}"] if left else []
    parts += [f"notes: {', '.join(notes)}"] if notes else []
    return " | ".join(parts)


def _told(x: Any, several: bool) -> str:
    entry = x.entry
    known = [f"EPSS {entry.epss:g}"] if entry.epss is not None else []
    known += ["exploited"] if entry.kev else []
    known += [{True: "fix", False: "no fix"}[entry.patch]] if entry.patch is not None else []
    known += [f"{len(x.merged.parts)} merged"] if len(x.merged.parts) > 1 else []
    place = f" in {entry.service}" if several else ""
    return ", ".join([f"{entry.name}{place} {entry.cvss:g} ({x.severity.told_by})", *known])


def _vector(text: str, method: str, **more: Any) -> dict[str, Any]:
    return disclosure(ratings=[{"vector": text, "method": method, **more}])


V2 = "AV:N/AC:L/Au:N/C:C/I:C/A:C"
V30 = "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
V31 = "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:N"
V40 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
SRC = {"SRC": {"uri": "file:///home/me/app/"}}
NESTED = {"SRC": {"uri": "src/", "uriBaseId": "ROOT"}, "ROOT": {"uri": "file:///home/me/app/"}}
LATE = json.dumps(
    {
        "runs": [
            {
                "results": [result()],
                "tool": {"driver": {"rules": [rule(**{"security-severity": "9.1"})], "name": "Late"}},
            }
        ]
    }
)
CWE_TAXA = [{"id": "79", "toolComponent": {"name": "CWE"}}]
CWE_RELATION = [{"target": {"id": "CWE-89", "toolComponent": {"name": "CWE"}}}]
TABLE = "name,tier,criticality,calls,match\nshop,edge,high,pay,web/\npay,core,2,,lib/;pypi/lib*\n"


def _based(uri: str, base: str) -> dict[str, Any]:
    return result(locations=[{"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": base}}}])


def _at(place: Any) -> dict[str, Any]:
    return result(locations=[{"physicalLocation": place}])


def _level(level: str, **more: Any) -> dict[str, Any]:
    return {"id": "R1", "defaultConfiguration": {"level": level}, **more}


_OVERRIDE = [{"ruleConfigurationOverrides": [{"descriptor": {"id": "R1"}, "configuration": {"level": "error"}}]}]
_LIB = {"type": "library", "bom-ref": "a", "name": "lib"}
_MANY = "name,tier,criticality\n" + "\n".join(f"s{k},{('edge', 'core', 'internal')[k % 3]},{k + 1}" for k in range(40))

ODD: tuple[Odd, ...] = (
    # SARIF
    Odd(
        "SARIF: several runs of several tools",
        {"a.json": sarif(run(result()), run(result("R2", line=9), tool="Other"))},
    ),
    Odd("SARIF: rules stand behind the results", {"a.json": LATE.encode()}),
    Odd("SARIF: no runs at all", {"a.json": sarif()}),
    Odd("SARIF: a run without results", {"a.json": sarif(run())}),
    Odd("SARIF: results is null", {"a.json": sarif({"tool": {"driver": {"name": "T"}}, "results": None})}),
    Odd("SARIF: a result without locations", {"a.json": sarif(run(result(locations=None)))}),
    Odd("SARIF: empty locations, null region", {"a.json": sarif(run(result(locations=[]), _at({"region": None})))}),
    Odd("SARIF: a result with a message by id alone", {"a.json": sarif(run(result(message={"id": "default"})))}),
    Odd("SARIF: a tool without a name", {"a.json": sarif({"tool": {"driver": {}}, "results": [result()]})}),
    Odd("SARIF: an address relative to a base", {"a.json": sarif(run(_based("a.py", "SRC"), originalUriBaseIds=SRC))}),
    Odd("SARIF: a base relative to a base", {"a.json": sarif(run(_based("a.py", "SRC"), originalUriBaseIds=NESTED))}),
    Odd("SARIF: a base that is not told", {"a.json": sarif(run(_based("a.py", "%SRCROOT%")))}),
    Odd(
        "SARIF: bases that stand on each other",
        {"a.json": sarif(run(_based("a.py", "A"), originalUriBaseIds={"A": {"uriBaseId": "A", "uri": "x/"}}))},
    ),
    Odd(
        "SARIF: one tool tells absolute, one relative paths",
        {
            "a.json": sarif(run(result("B602", "file:///srv/app/web/a.py"), tool="Bandit")),
            "b.json": sarif(run(result("S602", "web/a.py"), tool="ruff")),
        },
    ),
    Odd(
        "SARIF: a path of Windows",
        {"a.json": sarif(run(result(uri="file:///C:/src/my%20app/a.cs"), result("R1", "src\\my app\\a.cs")))},
    ),
    Odd("SARIF: .. in a path is text, nothing is opened", {"a.json": sarif(run(result(uri="../../../../etc/passwd")))}),
    Odd(
        "SARIF: an address of the web", {"a.json": sarif(run(result(uri="https://shop.example/login?next=1", line=1)))}
    ),
    Odd(
        "SARIF: a location by its index among the artifacts",
        {
            "a.json": sarif(
                run(
                    _at({"artifactLocation": {"index": 1}}),
                    artifacts=[{"location": {"uri": "a.c"}}, {"location": {"uri": "b.c"}}],
                )
            )
        },
    ),
    Odd(
        "SARIF: suppressed, in source and outside",
        {
            "a.json": sarif(
                run(
                    result(suppressions=[{"kind": "inSource"}]),
                    result(line=4, suppressions=[{"kind": "external", "status": "accepted"}]),
                )
            )
        },
    ),
    Odd(
        "SARIF: suppression rejected or under review",
        {
            "a.json": sarif(
                run(
                    result(suppressions=[{"kind": "external", "status": "rejected"}]),
                    result(line=4, suppressions=[{"kind": "external", "status": "underReview"}]),
                )
            )
        },
    ),
    Odd("SARIF: an empty list of suppressions", {"a.json": sarif(run(result(suppressions=[])))}),
    Odd(
        "SARIF: every state against the baseline",
        {
            "a.json": sarif(
                run(
                    *(
                        result(line=k, baselineState=x)
                        for k, x in enumerate(("new", "unchanged", "updated", "absent"), 1)
                    )
                )
            )
        },
    ),
    Odd(
        "SARIF: results that did not fail",
        {
            "a.json": sarif(
                run(
                    *(result(kind=x) for x in ("pass", "notApplicable", "informational")), result(line=9, kind="review")
                )
            )
        },
    ),
    Odd("SARIF: no level means warning", {"a.json": sarif(run(result()))}),
    Odd("SARIF: level none", {"a.json": sarif(run(result(level="none")))}),
    Odd("SARIF: the level of the rule", {"a.json": sarif(run(result(), rules=[_level("note")]))}),
    Odd(
        "SARIF: the level that the user set",
        {"a.json": sarif(run(result(), rules=[_level("note")], invocations=_OVERRIDE))},
    ),
    Odd("SARIF: a word that is no level", {"a.json": sarif(run(result(level="fatal")))}),
    Odd(
        "SARIF: security-severity as text",
        {"a.json": sarif(run(result(), rules=[rule(**{"security-severity": "7.5"})]))},
    ),
    Odd(
        "SARIF: security-severity that is no number",
        {"a.json": sarif(run(result(), rules=[rule(**{"security-severity": "high!"})]))},
    ),
    Odd("SARIF: a vector in the properties", {"a.json": sarif(run(result(properties={"cvssV3": V31})))}),
    Odd("SARIF: a rank in percent", {"a.json": sarif(run(result(rank=93.5)))}),
    Odd("SARIF: a word in the properties", {"a.json": sarif(run(result(properties={"issue_severity": "HIGH"})))}),
    Odd(
        "SARIF: a rule of an extension",
        {
            "a.json": sarif(
                {
                    "tool": {
                        "driver": {"name": "D"},
                        "extensions": [
                            {"name": "x", "rules": []},
                            {"name": "e", "rules": [rule("E1", **{"security-severity": 6})]},
                        ],
                    },
                    "results": [result(None, rule={"index": 0, "toolComponent": {"index": 1}})],
                }
            )
        },
    ),
    Odd(
        "SARIF: the name of a rule within a rule",
        {"a.json": sarif(run(result("R1/2"), rules=[rule(**{"security-severity": "4"})]))},
    ),
    Odd("SARIF: an index of a rule that is not there", {"a.json": sarif(run(result(ruleIndex=99)))}),
    Odd(
        "SARIF: weaknesses as taxa, relations and tags",
        {
            "a.json": sarif(
                run(
                    result(taxa=CWE_TAXA),
                    result("R2", line=9),
                    rules=[
                        {"id": "R2", "relationships": CWE_RELATION, "properties": {"tags": ["external/cwe/cwe-022"]}}
                    ],
                )
            )
        },
    ),
    Odd(
        "SARIF: two tools, one file, line and weakness",
        {"a.json": sarif(run(result(taxa=CWE_TAXA)), run(result("X9", properties={"cwe": "CWE-79"}), tool="Other"))},
    ),
    Odd("SARIF: the same result twice", {"a.json": sarif(run(result(), result()))}),
    Odd(
        "SARIF: a linter's style beside its security rules",
        {"a.json": sarif(run(result("E501"), result("S105", line=4), result("SIM108", line=5), tool="ruff"))},
    ),
    Odd(
        "SARIF: a known vulnerability as a rule",
        {"a.json": sarif(run(result("CVE-2024-1000", properties={"purl": "pkg:pypi/lib@1.0"}), tool="Trivy"))},
    ),
    Odd(
        "SARIF: it and the disclosure of another tool",
        {
            "a.json": sarif(run(result("CVE-2024-1000", properties={"purl": "pkg:pypi/lib@1.0"}), tool="Trivy")),
            "b.json": bom(_vector(V31, "CVSSv31")),
        },
    ),
    Odd("SARIF: of a tool that tests what runs (IAST)", {"a.json": sarif(run(result(), tool="Contrast Assess"))}),
    Odd("SARIF: the user says what kind of scanner it was", {"dast:a.json": sarif(run(result()))}),
    Odd("SARIF: a line as 12.0, and one below zero", {"a.json": sarif(run(result(line=12.0), result("R2", line=-4)))}),
    Odd(
        "SARIF: escapes of a terminal in a message and a path",
        {"a.json": sarif(run(result(message={"text": "\x1b[2Jbad"}, uri="a\x1b[31m.py")))},
    ),
    Odd("SARIF: other scripts and emoji", {"a.json": sarif(run(result("правило", "src/größe 🦊.py")))}),
    Odd("SARIF: a lone surrogate", {"a.json": sarif(run(result(message={"text": "x"}))).replace(b'"x"', b'"\\ud800"')}),
    Odd(
        "SARIF: numbers and lists where texts belong",
        {
            "a.json": sarif(
                run(
                    result(
                        ruleId=5,
                        message="no table",
                        level=["error"],
                        kind=3,
                        baselineState=7,
                        suppressions={},
                        properties=[],
                    )
                )
            )
        },
    ),
    Odd("SARIF: results that are no tables", {"a.json": sarif(run(None, "text", 5, [], result()))}),
    Odd("SARIF: of an older version", {"a.json": sarif(run(result()), version="2.0.0")}),
    Odd(
        "SARIF: more than 256 findings at one service",
        {"a.json": sarif(run(*(result(f"R{k}", line=k) for k in range(1, 301))))},
    ),
    # encodings
    Odd("a mark of the byte order", {"a.json": b"\xef\xbb\xbf" + sarif(run(result()))}),
    Odd("UTF-16, as a Windows shell redirects it", {"a.json": sarif(run(result())).decode().encode("utf-16")}),
    Odd("UTF-32", {"a.json": sarif(run(result())).decode().encode("utf-32")}),
    Odd("packed with gzip", {"a.sarif.gz": packed(sarif(run(result())))}),
    Odd("two gzip members", {"a.gz": packed(sarif(run(result()))[:40]) + packed(sarif(run(result()))[40:])}),
    Odd("white space before and after", {"a.json": b"\r\n\t  " + sarif(run(result())) + b"\n\n"}),
    Odd("a name that says another format", {"epss.csv": sarif(run(result()))}),
    # CycloneDX
    Odd("CycloneDX: a bill without vulnerabilities", {"a.json": bom()}),
    Odd("CycloneDX: a component without a version", {"a.json": bom(disclosure(), components=[_LIB])}),
    Odd(
        "CycloneDX: a component within a component",
        {
            "a.json": bom(
                disclosure(ref="b"),
                components=[{**_LIB, "components": [{"bom-ref": "b", "name": "inner", "version": "2"}]}],
            )
        },
    ),
    Odd(
        "CycloneDX: a purl with namespace, qualifiers and subpath",
        {
            "a.json": bom(
                disclosure(), components=[{**_LIB, "purl": "pkg:maven/org.acme/lib@1.0?type=jar&classifier=x#src/main"}]
            )
        },
    ),
    Odd(
        "CycloneDX: a purl of npm with an escaped scope",
        {"a.json": bom(disclosure(), components=[{**_LIB, "purl": "pkg:npm/%40acme/lib@1.0.0"}])},
    ),
    Odd("CycloneDX: a purl that is none", {"a.json": bom(disclosure(), components=[{**_LIB, "purl": "lib 1.0"}])}),
    Odd(
        "CycloneDX: two spellings of a Python package",
        {
            "a.json": bom(
                disclosure(),
                disclosure(ref="b"),
                components=[
                    {**_LIB, "purl": "pkg:pypi/My_Lib@1"},
                    {"bom-ref": "b", "name": "x", "purl": "pkg:pypi/my.lib@1"},
                ],
            )
        },
    ),
    Odd(
        "CycloneDX: two versions of a package",
        {
            "a.json": bom(
                disclosure(affects=[{"ref": "a"}, {"ref": "b"}]),
                components=[
                    {**_LIB, "purl": "pkg:pypi/lib@1"},
                    {"bom-ref": "b", "name": "lib", "purl": "pkg:pypi/lib@2"},
                ],
            )
        },
    ),
    Odd(
        "CycloneDX: one identifier in two packages",
        {
            "a.json": bom(
                disclosure(affects=[{"ref": "a"}, {"ref": "b"}]),
                components=[
                    {**_LIB, "purl": "pkg:pypi/lib@1"},
                    {"bom-ref": "b", "name": "lib", "purl": "pkg:npm/lib@2"},
                ],
            )
        },
    ),
    Odd("CycloneDX: a vector of CVSS 2", {"a.json": bom(_vector(V2, "CVSSv2"))}),
    Odd("CycloneDX: a vector of CVSS 3.0", {"a.json": bom(_vector(V30, "CVSSv3"))}),
    Odd("CycloneDX: a vector of CVSS 3.1 without its prefix", {"a.json": bom(_vector(V31[9:], "CVSSv31"))}),
    Odd("CycloneDX: a vector of CVSS 4", {"a.json": bom(_vector(V40, "CVSSv4"))}),
    Odd(
        "CycloneDX: ratings of three versions",
        {
            "a.json": bom(
                disclosure(
                    ratings=[
                        {"vector": V2, "method": "CVSSv2"},
                        {"vector": V40, "method": "CVSSv4"},
                        {"vector": V31, "method": "CVSSv31"},
                    ]
                )
            )
        },
    ),
    Odd("CycloneDX: a broken vector and a score", {"a.json": bom(_vector("CVSS:3.1/AV:X", "CVSSv31", score=6.4))}),
    Odd(
        "CycloneDX: a score beyond 10 and a word",
        {"a.json": bom(disclosure(ratings=[{"score": 77, "severity": "Critical"}]))},
    ),
    Odd("CycloneDX: no rating at all", {"a.json": bom(disclosure(ratings=None))}),
    Odd("CycloneDX: severity none", {"a.json": bom(disclosure(ratings=[{"severity": "none"}]))}),
    Odd(
        "CycloneDX: analyses that leave nothing to do",
        {
            "a.json": bom(
                *(
                    disclosure(f"CVE-2024-100{k}", analysis={"state": x})
                    for k, x in enumerate(("resolved", "false_positive", "not_affected", "in_triage", "exploitable"))
                )
            )
        },
    ),
    Odd(
        "CycloneDX: no fix can be had",
        {"a.json": bom(disclosure(analysis={"state": "exploitable", "response": ["can_not_fix"]}))},
    ),
    Odd(
        "CycloneDX: versions that are not affected",
        {"a.json": bom(disclosure(affects=[{"ref": "a", "versions": [{"version": "1.0", "status": "unaffected"}]}]))},
    ),
    Odd(
        "CycloneDX: a disclosure of another file's component",
        {
            "sbom.json": bom(serialNumber="urn:uuid:AB-1"),
            "vdr.json": bom(disclosure(ref="urn:cdx:ab-1/1#a"), components=[]),
        },
    ),
    Odd("CycloneDX: a purl as the reference", {"a.json": bom(disclosure(ref="pkg:pypi/other@3"))}),
    Odd("CycloneDX: a reference to nothing", {"a.json": bom(disclosure(affects=[]))}),
    Odd(
        "CycloneDX: an alias joins two identifiers",
        {
            "a.json": bom(
                disclosure("GHSA-x84v-xcm2-53pg", references=[{"id": "CVE-2024-1000"}], ratings=None), disclosure()
            )
        },
    ),
    Odd("CycloneDX: an identifier of a vendor's own", {"a.json": bom(disclosure("ACME-7"))}),
    Odd("CycloneDX: no identifier", {"a.json": bom(disclosure(None))}),
    Odd(
        "CycloneDX: tools in the form of 1.4",
        {"a.json": bom(disclosure(), metadata={"tools": [{"vendor": "v", "name": "old"}]})},
    ),
    # ZAP
    Odd(
        "ZAP: an alert with many instances",
        {"a.json": zap(alert(instances=[{"uri": f"https://shop.example/p{k}"} for k in range(50)]))},
    ),
    Odd(
        "ZAP: one site, not a list",
        {
            "a.json": json.dumps(
                {"@programName": "ZAP", "site": {"@name": "http://a.example", "alerts": [alert(instances=[])]}}
            ).encode()
        },
    ),
    Odd(
        "ZAP: the site's name behind its alerts",
        {
            "a.json": json.dumps(
                {"site": [{"alerts": [alert(instances=None)], "@host": "late.example", "@name": "http://late.example"}]}
            ).encode()
        },
    ),
    Odd("ZAP: a false positive, and one for information", {"a.json": zap(alert(confidence="0"), alert(riskcode="0"))}),
    Odd("ZAP: risk as a number", {"a.json": zap(alert(riskcode=1, confidence=3))}),
    Odd("ZAP: weakness -1", {"a.json": zap(alert(cweid="-1"))}),
    Odd(
        "ZAP: two hosts are two services",
        {
            "a.json": zap(alert()),
            "b.json": zap(
                alert(instances=[{"uri": "https://pay.example/"}]),
                **{"@host": "pay.example", "@name": "https://pay.example"},
            ),
        },
    ),
    Odd(
        "ZAP and SARIF: one address and weakness",
        {
            "web=b.json": sarif(run(result("xss", "https://SHOP.example:443/search", taxa=CWE_TAXA), tool="Burp")),
            "web=a.json": zap(alert()),
        },
    ),
    # pip-audit
    Odd(
        "pip-audit: fixed versions and aliases",
        {
            "a.json": audit(
                {
                    "name": "Lib",
                    "version": "1",
                    "vulns": [
                        {"id": "PYSEC-2024-1", "aliases": ["CVE-2024-1000"], "fix_versions": ["2"], "description": "d"}
                    ],
                }
            )
        },
    ),
    Odd(
        "pip-audit: no fix, a skipped package",
        {
            "a.json": audit(
                {"name": "lib", "version": "1", "vulns": [{"id": "PYSEC-2024-1", "aliases": [], "fix_versions": []}]},
                {"name": "own", "skip_reason": "not on PyPI"},
            )
        },
    ),
    Odd(
        "pip-audit: both of its formats",
        {
            "a.json": audit(
                {
                    "name": "lib",
                    "version": "1.0",
                    "vulns": [{"id": "PYSEC-2024-1", "aliases": ["CVE-2024-1000"], "fix_versions": ["2"]}],
                }
            ),
            "b.json": bom(
                disclosure("PYSEC-2024-1", ratings=None, recommendation="Upgrade"),
                components=[{"bom-ref": "a", "name": "lib", "version": "1.0"}],
            ),
        },
    ),
    # KEV and EPSS
    Odd(
        "KEV: an entry lifts what is open",
        {"a.json": bom(disclosure()), "kev.json": kev("CVE-2024-1000", "CVE-2020-0001")},
    ),
    Odd(
        "KEV: identifiers in small letters",
        {"a.json": bom(disclosure("cve-2024-1000")), "kev.json": kev("cve-2024-1000")},
    ),
    Odd(
        "EPSS: as published, with its comment",
        {"a.json": bom(disclosure()), "e.csv": epss("CVE-1999-0001,0.01,0.5", "CVE-2024-1000,0.12345,0.9")},
    ),
    Odd(
        "EPSS: packed, as published",
        {"a.json": bom(disclosure()), "e.csv.gz": packed(epss("CVE-2024-1000,0.12345,0.9"))},
    ),
    Odd(
        "EPSS: before the findings on the command line",
        {"e.csv": epss("CVE-2024-1000,0.12345,0.9"), "a.json": bom(disclosure())},
    ),
    Odd(
        "EPSS: no comment, lines of Windows, quoted",
        {
            "a.json": bom(disclosure()),
            "e.csv": epss('"CVE-2024-1000","0.5","0.9"', head='"cve","epss","percentile"', comment=False, end="\r\n"),
        },
    ),
    Odd(
        "EPSS: other columns, in another order",
        {"a.json": bom(disclosure()), "e.csv": epss("0.9,x,0.25,CVE-2024-1000", head="percentile,more,epss,cve")},
    ),
    Odd(
        "EPSS: 0 and 1",
        {
            "a.json": bom(disclosure(), disclosure("CVE-2024-2000")),
            "e.csv": epss("CVE-2024-1000,0,0", "CVE-2024-2000,1.0,1.0"),
        },
    ),
    Odd(
        "EPSS: without the findings' identifiers",
        {"a.json": bom(disclosure()), "e.csv": epss("CVE-1999-0001,0.01,0.5")},
    ),
    # services
    Odd(
        "services: by patterns of folders and packages",
        {"a.json": sarif(run(result(uri="web/x.py"), result("R2", "/srv/app/lib/y.py"))), "b.json": bom(disclosure())},
        TABLE,
    ),
    Odd(
        "services: by the folder's name",
        {"a.json": sarif(run(result(uri="src/pay/x.py"), result("R2", "services/shop/y.py")))},
        TABLE,
    ),
    Odd("services: by the host's name", {"a.json": zap(alert())}, TABLE),
    Odd(
        "services: by the bill of materials",
        {
            "pay=sbom.json": bom(components=[{**_LIB, "purl": "pkg:npm/left@1"}]),
            "b.json": audit({"name": "none", "version": "1", "vulns": []}),
            "c.json": sarif(run(result("CVE-2024-5000", None, properties={"purl": "pkg:npm/left@1"}), tool="Grype")),
        },
        TABLE,
    ),
    Odd(
        "services: some findings match none",
        {"a.json": sarif(run(result(uri="web/x.py"), result("R2", "docs/y.py")))},
        TABLE,
    ),
    Odd(
        "services: semicolons, commas in numbers, words",
        {"Shop=a.json": sarif(run(result()))},
        "Name;Tier;Weight;Calls\nShop;Internet;1,5;Pay\nPay;Database;critical;\n",
    ),
    Odd(
        "services: tabs, comments and empty lines",
        {"a=a.json": sarif(run(result()))},
        "# ours\n\nname\ttier\na\tedge\n\n# end\n",
    ),
    Odd(
        "services: calls in a cycle, up a tier, of itself",
        {"a=a.json": sarif(run(result()))},
        "name,tier,criticality,calls\na,edge,1,a;b\nb,edge,1,c\nc,edge,1,a\nd,core,1,a\n",
    ),
    Odd("services: forty of them", {"s39=a.json": sarif(run(result())), "s0=b.json": sarif(run(result("R2")))}, _MANY),
)
