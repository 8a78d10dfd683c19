"""Our ids in the registries of Gymnasium and, where it has one, PettingZoo."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["register_ids"]

_GYMNASIUM_ID = "spiral_env/SingleRole-v0"
_TUPLE_ID = "spiral_env/Tuple-v0"
_PETTINGZOO_ID = "spiral_env/Spiral-v0"


def register_ids() -> None:
    """Register our ids, once, in each registry that is loaded; in the others as soon as they are."""
    for name, register in (("gymnasium", _register_gymnasium), ("pettingzoo", _register_pettingzoo)):
        if name in sys.modules:
            register()
        elif not any(isinstance(x, _AfterImport) and x.name == name for x in sys.meta_path):
            sys.meta_path.insert(0, _AfterImport(name, register))


class _AfterImport:
    """A finder that calls ``then`` once a module is loaded, so that importing us need not load it."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self.name, self.then = name, then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec, whose loader ends by calling ``then``; this finder has done its work."""
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_then_tell(module: ModuleType) -> None:
                load(module)
                self.then()

            spec.loader.exec_module = load_then_tell  # type: ignore[method-assign]
        return spec


def _register_gymnasium() -> None:
    from gymnasium.envs.registration import register, registry

    if _GYMNASIUM_ID not in registry:
        register(
            id=_GYMNASIUM_ID,
            entry_point="spiral_env.single_role_env:SingleRoleEnv",
            vector_entry_point="spiral_env.single_role_vector_env:SingleRoleVectorEnv",
        )
    if _TUPLE_ID not in registry:
        # Rewards are a list, one per agent: the checker of single-agent environments would warn at each step.
        register(id=_TUPLE_ID, entry_point="spiral_env.tuple_env:TupleEnv", disable_env_checker=True)


def _register_pettingzoo() -> None:
    import pettingzoo

    registry = getattr(pettingzoo, "parallel_registry", None)
    if registry is not None and _PETTINGZOO_ID not in registry:
        pettingzoo.register("parallel", _PETTINGZOO_ID, "spiral_env.parallel_env:parallel_env")
        pettingzoo.register("aec", _PETTINGZOO_ID, "spiral_env.parallel_env:env")
