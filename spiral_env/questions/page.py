"""An answer as one page of HTML with its pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from matplotlib.figure import Figure

from spiral_env.evaluation.statistics import Interval
from spiral_env.questions.books import OF_ACCOUNT
from spiral_env.questions.pictures import change_figure, overview_figure, png, sensitivity_figure
from spiral_env.questions.report import shown
from spiral_env.questions.sentences import WAYS, Sign, sign, signed

__all__ = ["page"]

MOST_DETAILED = 12
"""Changes that get a section with pictures; of more the table tells."""
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.2rem;border-top:1px solid #d0d7de;padding-top:1rem}
table{border-collapse:collapse;font-size:13px;margin:.8rem 0}
th,td{border-bottom:1px solid #d0d7de;padding:.2rem .7rem;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}img{max-width:100%}code{background:#f3f4f6;padding:.1rem .3rem}
.small{color:#57606a;font-size:13px}
"""


def page(data: Mapping[str, Any], title: str) -> str:
    """The whole page; it needs no other file."""
    body = "\n".join(_body(data, title))
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _body(data: Mapping[str, Any], title: str) -> Iterator[str]:
    first, last = data["seeds"]
    yield f"<h1>{escape(title)}</h1>"
    luck = "the same luck with and without every change; intervals are 95 %, paired."
    yield (
        f"<p>World <code>{escape(data['scenario']['id'])}</code> ({data['scenario']['hash']}), team "
        f"<code>{escape(data['team'])}</code>, {data['episodes']} held-out episodes (seeds {first} to {last}), "
        f"{luck}{escape(_adaptation(data))}</p>"
    )
    if len(data["changes"]) > 1:
        yield _picture(overview_figure(data), "change of value and height under every change")
        yield _overview(data)
    for change in data["changes"][:MOST_DETAILED]:
        yield from _section(change, data)
    version = escape(str(data["versions"].get("spiral_env", "")))
    yield f'<p class="small"><code>{escape(data.get("command", ""))}</code>, spiral_env {version}</p>'


def _adaptation(data: Mapping[str, Any]) -> str:
    how = data["adaptation"]
    if how is None:
        return " Behaviour is held as it is."
    return (
        f" Behaviour is held as it is, and beside that the team is trained on by {how['algo']} for "
        f"{how['timesteps']:,} agent-steps, {how['seeds']} times, in the world as it is and in each changed one."
    )


def _section(change: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2>{escape(change['name'])}</h2>"
    was = ", ".join(f"{name} {change['before'][name]} to {value}" for name, value in change["params"].items())
    yield f'<p class="small">{escape(was)}</p>'
    yield f"<ul>{''.join(f'<li>{escape(x)}</li>' for x in change['sentences'])}</ul>"
    yield _picture(change_figure(change, data["base"]), f"what {change['name']} changes, who gains and who pays")
    yield _measures(change, data)
    for way, effect in change["ways"].items():
        yield _payments(effect["purposes"], WAYS[way])
    found = change.get("sensitivity")
    if found is not None:
        yield f"<p><b>Assumed numbers.</b> {escape(found['sentence'])}</p>"
        if found["morris"]:
            yield _picture(sensitivity_figure(found), "Morris screening and Sobol indices")


def _overview(data: Mapping[str, Any]) -> str:
    measures = list(data["units"])[:4]
    ways = list(data["base"])
    head = ["change", *(f"{m.replace('_', ' ')} ({WAYS[w]})" for m in measures for w in ways)]
    rows = [
        [x["name"], *(signed(x["ways"][w]["measures"][m]["difference"]) for m in measures for w in ways)]
        for x in data["changes"]
    ]
    return _table(head, rows)


def _measures(change: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    head = ["measure", "unit"]
    for way in change["ways"]:
        head += [f"as it is ({WAYS[way]})", "changed", "difference"]
    rows = []
    for name, unit in data["units"].items():
        row: list[str] = [name.replace("_", " "), unit]
        for way, effect in change["ways"].items():
            found = effect["measures"][name]
            row += [shown(data["base"][way][name]), shown(found["mean"]), signed(found["difference"])]
        rows.append(row)
    return _table(head, rows)


def _payments(purposes: Sequence[Mapping[str, Any]], way: str) -> str:
    head = [f"payment ({way}), k$ a month more", "class", *OF_ACCOUNT.values()]
    rows = [
        [x["purpose"].replace("_", " "), x["class"], *(_moved(x["accounts"][name]) for name in OF_ACCOUNT)]
        for x in purposes
    ]
    return _table(head, rows) if rows else ""


def _moved(change: Interval) -> str:
    """Nothing where an account has no part in it."""
    return "" if sign(change) is Sign.SAME else signed(change)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(x)}</th>" for x in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(x)}</td>' for x in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _picture(figure: Figure, told: str) -> str:
    data = base64.b64encode(png(figure)).decode("ascii")
    return f'<p><img alt="{escape(told)}" src="data:image/png;base64,{data}"></p>'
