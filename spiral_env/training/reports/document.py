"""A document of headings, paragraphs, tables and pictures, as HTML in one file and as Markdown beside its pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Document", "Picture"]

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d5dae0; }
@media (prefers-color-scheme: dark) { :root { --page: #0e1116; --ink: #e6e9ee; --soft: #9aa4af; --line: #343b46; } }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
figure { margin: 1rem 0; } figure img { max-width: 100%; background: #fff; border-radius: 6px; }
figcaption, .soft { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } summary { cursor: pointer; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Picture:
    """A picture: name of its file without an end, what it shows in words, what is written below it."""

    name: str
    words: str
    caption: str
    svg: bytes


@dataclass(frozen=True)
class _Table:
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: str


@dataclass
class Document:
    """Blocks in the order in which they are added."""

    title: str
    blocks: list[tuple[str, str] | Picture | _Table] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Open a part."""
        self.blocks.append(("heading", text))

    def paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self.blocks.append(("paragraph", text))

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], folded: str = "") -> None:
        """Add a table; HTML folds it under ``folded``, if that is given."""
        self.blocks.append(_Table(heads, rows, folded))

    def picture(self, picture: Picture) -> None:
        """Add a picture."""
        self.blocks.append(picture)

    @property
    def pictures(self) -> list[Picture]:
        """All of them."""
        return [x for x in self.blocks if isinstance(x, Picture)]

    def as_html(self) -> str:
        """One file that asks for nothing outside itself."""
        title = html.escape(self.title)
        head = (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style></head>'
        )
        return (
            f"{head}\n<body><main><h1>{title}</h1>\n" + "\n".join(map(_html, self.blocks)) + "\n</main></body></html>\n"
        )

    def as_markdown(self, kind: str) -> str:
        """Text whose pictures are files of ``kind`` beside it."""
        return "\n\n".join([f"# {_plain(self.title)}", *(_markdown(x, kind) for x in self.blocks)]) + "\n"


def _html(block: tuple[str, str] | Picture | _Table) -> str:
    if isinstance(block, Picture):
        data = base64.b64encode(block.svg).decode()
        image = f'<img alt="{html.escape(block.words)}" src="data:image/svg+xml;base64,{data}">'
        return f"<figure>{image}<figcaption>{html.escape(block.caption)}</figcaption></figure>"
    if isinstance(block, _Table):
        return _html_table(block)
    kind, text = block
    return f"<h2>{html.escape(text)}</h2>" if kind == "heading" else f"<p>{html.escape(text)}</p>"


def _html_table(table: _Table) -> str:
    heads = "".join(f'<th scope="col">{html.escape(x)}</th>' for x in table.heads)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(x)}</td>" for x in row) + "</tr>" for row in table.rows)
    text = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<details><summary>{html.escape(table.folded)}</summary>{text}</details>" if table.folded else text


def _markdown(block: tuple[str, str] | Picture | _Table, kind: str) -> str:
    if isinstance(block, Picture):
        link = f"{block.name}.{kind}"
        shown = f"[{_plain(block.words)}]({link})" if kind == "pdf" else f"![{_plain(block.words)}]({link})"
        return f"{shown}\n\n{_plain(block.caption)}"
    if isinstance(block, _Table):
        lines = [block.heads, ["---", *["---:"] * (len(block.heads) - 1)], *block.rows]
        text = "\n".join("| " + " | ".join(map(_plain, line)) + " |" for line in lines)
        return f"{_plain(block.folded)}:\n\n{text}" if block.folded else text
    kind_of, text = block
    return f"## {_plain(text)}" if kind_of == "heading" else _plain(text)


def _plain(text: str) -> str:
    """Text that Markdown takes as it is written."""
    return "".join(f"\\{c}" if c in "|*_`[]<>#" else c for c in " ".join(text.split()))
