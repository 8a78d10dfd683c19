"""A report as a folder: ``report.html`` in one file, ``report.md``, and its pictures beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from spiral_env.checks import check_choice
from spiral_env.evaluation.report import SHOWN, measure_interval
from spiral_env.evaluation.statistics import Interval, bounded_interval, mean_interval, paired_difference
from spiral_env.files import check_writable, write_atomically
from spiral_env.metrics import METRICS, bounds
from spiral_env.roles import LEVERS, ROLES
from spiral_env.text import spoken
from spiral_env.training.reports import figures
from spiral_env.training.reports.document import Document, Picture
from spiral_env.training.reports.figures import shown_name
from spiral_env.training.reports.material import REFERENCES, Material

__all__ = ["FORMATS", "Written", "write_report"]

FORMATS = ("svg", "pdf", "png")
"""Kinds of picture files."""
_DRAWN = ("ecosystem_value", "spiral_height", "expected_loss", "sme_participation", "trust", "collapse")
"""Measures of which intervals are drawn."""
_MEASURE = "ecosystem_value"


class Written(NamedTuple):
    """What was written, and what it says in one line."""

    files: list[Path]
    words: str


_AddPicture = Callable[[str, Figure, str, str], None]
"""Takes a picture's name, the figure, its words and its caption."""


class _Outcome(NamedTuple):
    """A measure of a team: the mean and its interval, and the paired difference to the first team."""

    mean: Interval
    difference: Interval | None


def write_report(material: Material, folder: Path, kind: str = "svg") -> Written:
    """Write all files of a report.

    Args:
        material: what it stands on.
        folder: where, made if missing.
        kind: of its picture files, one of ``FORMATS``; the HTML page holds its own.

    Raises:
        ValueError: the kind is not known, or a file cannot be written.
    """
    check_choice("format", kind, FORMATS)
    outcomes = {label: _outcomes(material, label) for label in material.groups}
    words = _words(outcomes)
    drawn: dict[str, Figure] = {}
    document = _document(material, outcomes, words, drawn)
    pages = {"report.html": document.as_html(), "report.md": document.as_markdown(kind)}
    names = [*pages, *(f"{name}.{kind}" for name in drawn)]
    for name in names:
        check_writable(folder / name)
    for name, text in pages.items():
        write_atomically(folder / name, text)
    for picture in document.pictures:
        content = picture.svg if kind == "svg" else figures.as_bytes(drawn[picture.name], kind)
        write_atomically(folder / f"{picture.name}.{kind}", content)
    return Written([folder / name for name in names], words)


def _outcomes(material: Material, label: str) -> dict[str, _Outcome]:
    """Measures of a group: over episodes, or of several seeds over their means."""
    teams = material.result["teams"]
    first = teams[material.groups[next(iter(material.groups))][0]]["metrics"]
    runs = [teams[name]["metrics"] for name in material.groups[label]]
    found = {}
    for measure in (x for x in METRICS if all(x in run for run in [first, *runs])):
        episodes = [np.array(run[measure]["episodes"], dtype=np.float64) for run in runs]
        gaps = [paired_difference(x, np.array(first[measure]["episodes"])) for x in episodes]
        if len(runs) > 1:
            mean = _over_seeds(measure, episodes)
            gap = mean_interval(np.array([x.mean for x in gaps]))
        else:
            mean, gap = measure_interval(measure, episodes[0]), gaps[0]
        found[measure] = _Outcome(mean, None if runs == [first] else gap)
    return found


def _over_seeds(measure: str, episodes: Sequence[np.ndarray]) -> Interval:
    """Of means over runs; what is 0 or 1 is counted over all their episodes, lest none be seen make it certain."""
    if METRICS[measure][0] == "0 or 1":
        return measure_interval(measure, np.concatenate(episodes))
    return bounded_interval(np.array([x.mean() for x in episodes]), *bounds(measure))


def _words(outcomes: Mapping[str, Mapping[str, _Outcome]]) -> str:
    """The team of the highest value, and how far it is from the first, in a line."""
    label = max(outcomes, key=lambda x: outcomes[x][_MEASURE].mean.mean)
    mean, gap = outcomes[label][_MEASURE]
    best = f"{shown_name(label)} makes the most: {mean.mean:,.0f} k$ a month{_range(mean)}"
    return best if gap is None else f"{best}, {gap.mean:+,.0f}{_range(gap)} against {shown_name(next(iter(outcomes)))}"


def _range(x: Interval) -> str:
    return f" [{_number(x.low)}, {_number(x.high)}]" if np.isfinite([x.low, x.high]).all() else ""


def _number(x: float) -> str:
    size = abs(x)
    return f"{x:,.0f}" if size >= 1000 else f"{x:.3g}" if size >= 0.001 or x == 0 else f"{x:.1e}"


def _document(
    material: Material, outcomes: Mapping[str, Mapping[str, _Outcome]], words: str, drawn: dict[str, Figure]
) -> Document:
    document = Document(material.title)

    def picture(name: str, figure: Figure, told: str, caption: str) -> None:
        drawn[name] = figure
        document.picture(Picture(name, told, caption, figures.as_bytes(figure, "svg")))

    document.paragraph(f"{words}.")
    for line in _stands_on(material):
        document.paragraph(line)
    _outcome_part(material, outcomes, document, picture)
    _training_part(material, outcomes, document, picture)
    _risk_part(material, document, picture)
    _lever_part(material, document, picture)
    _notes_part(material, document)
    return document


def _stands_on(material: Material) -> Iterator[str]:
    result = material.result
    seeds, world = result["seeds"], result["scenario"]
    yield (
        f"World {world['id']} ({world['hash']}), {len(seeds)} held-out episodes of every team, seeds {seeds[0]} to "
        f"{seeds[-1]}, the same for all. Intervals are of 95 %."
    )
    several = {label: runs for label, runs in material.groups.items() if len(runs) > 1}
    if several:
        told = ", ".join(f"{label} ({len(runs)})" for label, runs in several.items())
        yield f"Intervals over seeds of training: {told}; of other teams over episodes."


def _outcome_part(
    material: Material, outcomes: Mapping[str, Mapping[str, _Outcome]], document: Document, picture: _AddPicture
) -> None:
    document.heading("Outcomes")
    measures = [x for x in METRICS if all(x in found for found in outcomes.values())]
    shown = [x for x in SHOWN if x in measures]
    means = {label: {m: x.mean for m, x in found.items()} for label, found in outcomes.items()}
    panels = [x for x in _DRAWN if x in measures]
    picture(
        "outcomes",
        figures.outcome_intervals(means, panels, "Outcomes, means and 95 % intervals"),
        "Means and intervals of every team: " + "; ".join(_line(x, means) for x in panels),
        "Outcomes: mean and 95 % interval.",
    )
    document.table(*_table(outcomes, shown))
    if len(outcomes) > 1:
        document.table(*_table(outcomes, shown, gaps=True), folded="Paired differences to the first team")
    document.table(*_table(outcomes, measures), folded="All outcome measures")
    _score_part(material, document)


def _score_part(material: Material, document: Document) -> None:
    """The result's own scores, where it has them."""
    score = material.result.get("score") or {}
    teams = score.get("teams") or {}
    if any(name not in teams for runs in material.groups.values() for name in runs):
        return
    ends = score.get("ends") or {}
    scale = (
        f"0 is the average firm, {_number(ends['zero'])}, 1 is {ends['best']}, {_number(ends['one'])}" if ends else ""
    )
    document.paragraph(f"Scores by {_called(score['measure'])}" + (f": {scale}." if scale else "."))
    first = shown_name(next(iter(material.groups)))
    kinds = {"mean": "interval95", "iqm": "iqm_interval95", "improvement": "improvement_interval95"}
    rows = []
    for label, runs in material.groups.items():
        found = [[(teams[x].get(value), teams[x].get(interval)) for x in runs] for value, interval in kinds.items()]
        rows.append([shown_name(label), *map(_score, found)])
    document.table(["team", "mean", "interquartile mean", f"P(better than {first})"], rows)


def _score(found: Sequence[tuple[float | None, Sequence[float] | None]]) -> str:
    """A number with its interval: of one run as it was stored, of several over them."""
    values = [value for value, _ in found if value is not None]
    if not values:
        return ""
    if len(values) > 1:
        mean = mean_interval(np.array(values))
        return f"{_number(mean.mean)}{_range(mean)}"
    low, high = found[0][1] or (np.nan, np.nan)
    return f"{_number(values[0])}{_range(Interval(values[0], low, high))}"


def _line(measure: str, means: Mapping[str, Mapping[str, Interval]]) -> str:
    teams = ", ".join(f"{shown_name(label)} {_number(x[measure].mean)}" for label, x in means.items())
    return f"{_called(measure)}: {teams}"


def _called(measure: str) -> str:
    unit = METRICS[measure][0]
    return spoken(measure) + ("" if unit == "1" else f", {unit}")


def _table(
    outcomes: Mapping[str, Mapping[str, _Outcome]], measures: Sequence[str], *, gaps: bool = False
) -> tuple[list[str], list[list[str]]]:
    """A row a measure, a column a team."""
    labels = list(outcomes)[1:] if gaps else list(outcomes)

    def cell(x: _Outcome) -> str:
        value = x.difference if gaps and x.difference is not None else x.mean
        return f"{_number(value.mean)}{_range(value)}"

    rows = [[_called(name), *(cell(outcomes[label][name]) for label in labels)] for name in measures]
    return ["measure", *map(shown_name, labels)], rows


def _training_part(
    material: Material, outcomes: Mapping[str, Mapping[str, _Outcome]], document: Document, picture: _AddPicture
) -> None:
    if material.curves:
        document.heading("Learning")
        references = {x: {m: outcomes[x][m].mean.mean for m in figures.CURVES} for x in REFERENCES if x in outcomes}
        ends = [
            f"{x.label} ends at {_number(float(x.measures[_MEASURE][:, -1].mean()))} k$ a month after "
            f"{x.steps[-1] / 1e6:,.1f} million agent-steps"
            for x in material.curves
            if not x.faint
        ]
        picture(
            "learning_curve",
            figures.learning_curve(material.curves, references, "Learning, in training worlds"),
            "Learning curves: " + "; ".join(ends),
            "Learning curves; bands are 95 % intervals over seeds, dashed lines teams that do not learn, on held-out "
            "worlds" + ("; grey: other trials." if any(x.faint for x in material.curves) else "."),
        )
    if material.sweep is not None:
        _sweep_part(material.sweep, document, picture)


def _sweep_part(sweep: Mapping[str, Any], document: Document, picture: _AddPicture) -> None:
    document.heading("Search")
    trials = sweep["trials"]
    fixed = ("trial", "state", _MEASURE, "last_rung", "run", "reason")
    names = [name for name in dict.fromkeys(key for row in trials for key in row) if name not in fixed]
    done = [row for row in trials if row["state"] == "complete"]
    if names and len(done) > 1:
        picture(
            "search",
            figures.search(done, names, _MEASURE, "What was searched"),
            f"Ecosystem value over {', '.join(names)} of {len(done)} finished trials; best of trial {done[0]['trial']}",
            "Every finished trial; the star is the best.",
        )
    if sweep["note"]:
        document.paragraph(f"{sweep['note']}.")
    heads = ["trial", "state", _called(_MEASURE), *names]
    rows = [[row.get(name) for name in ("trial", "state", _MEASURE, *names)] for row in trials]
    document.table(heads, [[_cell(x) for x in row] for row in rows])


def _cell(x: Any) -> str:
    return "" if x is None else _number(x) if isinstance(x, float) else str(x)


def _risk_part(material: Material, document: Document, picture: _AddPicture) -> None:
    teams = material.result["teams"]
    of_years = set(material.courses) == set(material.groups)
    if of_years:
        losses, what = {label: x.losses for label, x in material.courses.items()}, "of a year lived"
    else:
        months = {
            label: [teams[x]["metrics"]["realised_loss"]["episodes"] for x in runs]
            for label, runs in material.groups.items()
        }
        losses, what = {label: 12.0 * np.concatenate(x) for label, x in months.items()}, "a year, mean of an episode"
    losses = {label: x for label, x in losses.items() if len(x)}
    if not losses:
        return
    document.heading("Risk")
    told = [f"{shown_name(x)}: {_number(float(np.quantile(v, 0.95)))}" for x, v in losses.items()]
    picture(
        "loss_exceedance",
        figures.loss_exceedance(losses, what, "Loss-exceedance curve"),
        f"Loss-exceedance curves. Loss by breaches in k$ ({what}) that one in twenty exceeds: " + "; ".join(told),
        f"How often the loss by breaches, {what}, exceeds an amount; drawn losses of the platform and all "
        "SMEs, of a training with several seeds those of the first.",
    )
    rows = [[shown_name(x), str(len(v)), *(_number(float(y)) for y in (v.mean(), *np.quantile(v, (0.5, 0.95, 0.99))))]
            for x, v in losses.items()]  # fmt: skip
    document.table(["team", "losses", "mean, k$", "median, k$", "95 %, k$", "99 %, k$"], rows)


def _lever_part(material: Material, document: Document, picture: _AddPicture) -> None:
    learned = [x for x in material.groups if x not in REFERENCES]
    labels = learned or list(material.groups)
    document.heading("Levers")
    for number, label in enumerate(labels, 1):
        suffix = "" if len(labels) == 1 else f"_{number}"
        use = _use(material, label)
        picture(
            f"lever_use{suffix}",
            figures.lever_use(use, f"Lever use of {shown_name(label)}"),
            f"Lever use of {shown_name(label)}, share of decisions high: " + _by_lever(use, lambda x: x[:, 2]),
            f"{shown_name(label)}: share of decisions low, middle and high.",
        )
        if label in material.courses:
            levers = material.courses[label].levers
            picture(
                f"lever_course{suffix}",
                figures.lever_course(levers, f"Levers of {shown_name(label)} over time"),
                f"Efforts of {shown_name(label)} over the months, means: "
                + _by_lever(levers, lambda x: np.nanmean(x, axis=1)),
                f"{shown_name(label)}: effort by month, mean over held-out episodes that live and over agents"
                + (" (first of its seeds)." if len(material.groups[label]) > 1 else "."),
            )


def _use(material: Material, label: str) -> dict[str, np.ndarray]:
    """Role -> share of decisions by thirds, mean over the group's seeds."""
    runs = [material.result["teams"][name]["lever_use"] for name in material.groups[label]]
    return {role: np.mean([[run[role][x.name] for x in LEVERS[role]] for run in runs], axis=0) for role in ROLES}


def _by_lever(values: Mapping[str, np.ndarray], of: Any) -> str:
    told = (
        f"{spoken(lever.name)} {x:.2f}"
        for role in ROLES
        for lever, x in zip(LEVERS[role], of(values[role]), strict=True)
    )
    return ", ".join(told)


def _notes_part(material: Material, document: Document) -> None:
    document.heading("Notes")
    for line in (*material.result.get("notes", ()), *material.notes):
        document.paragraph(line)
    versions = material.result.get("versions", {})
    document.paragraph("Versions: " + ", ".join(f"{name} {x}" for name, x in versions.items()) + ".")
