"""The parts of a JSON text that are wanted, one after another, of a text of any size in little memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spiral_env.data.sources import Bounded, SourceError
from spiral_env.files import MAX_DEPTH

__all__ = ["END", "Parts", "outer_keys", "parts"]

END = object()
"""What a list or table on the way to wanted parts gives when it ends."""
_TAKE = "take"
_MOST_VALUES = 200_000
"""Numbers, texts, lists and tables within one wanted part."""
_MOST_KEYS = 100_000
"""Keys of one table."""
Parts = Iterator[tuple[str, Any]]
_Tree = dict[str, Any]


def parts(stream: Bounded, wanted: tuple[str, ...]) -> Parts:
    """Yield ``(path, value)`` of every wanted part in the order of the text.

    Args:
        stream: the text.
        wanted: dotted paths, ``item`` for every entry of a list: ``runs.item.results.item``. What holds wanted parts
            yields its path and ``END`` when it is over.

    Raises:
        ImportError: the package that parses is missing.
        SourceError: it is no JSON; a key is there twice; it is nested too deep, or a part is too large.
    """
    walk = _Walk(_tree(wanted))
    for event, value in _events(stream):
        found = walk.step(event, value)
        if found is not None:
            yield found


def outer_keys(stream: Bounded) -> Iterator[str]:
    """Yield the keys of the outermost table as they come.

    Raises:
        ImportError: the package that parses is missing.
        SourceError: as of ``parts``.
    """
    walk = _Walk({})
    for event, value in _events(stream):
        walk.step(event, value)
        if event == "map_key" and len(walk.keys) == 1:
            yield value


def _events(stream: Bounded) -> Iterator[tuple[str, Any]]:
    import ijson

    try:
        yield from ijson.basic_parse(stream, use_float=True, buf_size=2**16)
    except ijson.JSONError as error:
        raise SourceError(f"is no usable JSON: {_reason(error)}") from None
    except UnicodeDecodeError:
        raise SourceError("is no usable JSON: it must be UTF-8") from None
    except ValueError as error:
        raise SourceError(f"is no usable JSON: {str(error).splitlines()[0][:120]}") from None


def _tree(wanted: tuple[str, ...]) -> _Tree:
    root: _Tree = {}
    for path in wanted:
        *above, last = path.split(".")
        node = root
        for name in above:
            node = node.setdefault(name, {})
        node[last] = _TAKE
    return root


def _reason(error: Exception) -> str:
    first = str(error.args[0] if error.args else error)
    if "UTF8" in first:
        return "it must be UTF-8"
    told, *context = first.splitlines() or [""]
    if "premature EOF" in told or "ncomplete" in told:
        return "it ends too early"
    told = told.removeprefix("lexical error: ").removeprefix("parse error: ").strip()[:120].rstrip(".")
    at = context[1].find("^") if len(context) > 1 else -1
    return f"{told}, near {context[0][at : at + 20].strip()!r}" if at > 0 and context[0][at:].strip() else told


class _Walk:
    """Where in the text it stands; what is open, and of what is not wanted only the keys seen."""

    def __init__(self, tree: _Tree) -> None:
        self.below: list[Any] = []
        self.keys: list[set[str] | None] = []
        self.path: list[str] = []
        self.node: Any = tree
        self.name = ""
        self.built: list[Any] = []
        self.count = 0

    def step(self, event: str, value: Any) -> tuple[str, Any] | None:
        """Take one event; a wanted part or an end, if it completes one."""
        if event == "map_key":
            self._key(value)
            return None
        if event in ("start_map", "start_array"):
            self._open(event == "start_map")
            return None
        if event in ("end_map", "end_array"):
            return self._close()
        if self.built:
            self._add(value)
            return None
        return (self._here(), value) if self._next() is _TAKE else None

    def _key(self, name: str) -> None:
        seen = self.keys[-1]
        assert seen is not None
        if name in seen:
            raise SourceError(f"is no usable JSON: key {name[:60]!r} is there twice")
        if len(seen) >= _MOST_KEYS:
            raise SourceError(f"is no report: a table has more than {_MOST_KEYS:,} keys")
        seen.add(name)
        self.name = name

    def _next(self) -> Any:
        """What is wanted of the value that comes now: ``_TAKE``, a tree of parts, or None."""
        if not self.keys:
            return self.node
        if not isinstance(self.node, Mapping):
            return None
        return self.node.get("item" if self.keys[-1] is None else self.name)

    def _here(self) -> str:
        last = ["item" if self.keys[-1] is None else self.name] if self.keys else []
        return ".".join([*self.path, *last])

    def _open(self, is_map: bool) -> None:
        if len(self.keys) >= MAX_DEPTH:
            raise SourceError(f"is no usable JSON: it is nested more than {MAX_DEPTH} deep")
        wanted = _TAKE if self.built else self._next()
        if wanted is _TAKE:
            fresh: Any = {} if is_map else []
            if self.built:
                self._add(fresh)
            else:
                self.count = 0
            self.built.append(fresh)
        self.below.append((self.node, self.name))
        if self.keys:
            self.path.append("item" if self.keys[-1] is None else self.name)
        self.keys.append(set() if is_map else None)
        self.node = wanted

    def _close(self) -> tuple[str, Any] | None:
        self.keys.pop()
        wanted = self.node
        self.node, self.name = self.below.pop()
        path = ".".join(self.path)
        if self.path:
            self.path.pop()
        if self.built:
            value = self.built.pop()
            return None if self.built else (path, value)
        return (path, END) if isinstance(wanted, Mapping) else None

    def _add(self, value: Any) -> None:
        self.count += 1
        if self.count > _MOST_VALUES:
            raise SourceError(f"is no report: one entry has more than {_MOST_VALUES:,} values")
        holder = self.built[-1]
        if isinstance(holder, list):
            holder.append(value)
        else:
            holder[self.name] = value
