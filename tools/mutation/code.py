"""Give the functions of an imported module the code of a changed source, wherever they are held by now."""

import ast
import gc
import inspect
from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType


def alive() -> list[FunctionType]:
    """Return every function that there is in this process."""
    return [one for one in gc.get_objects() if type(one) is FunctionType]


def put(before: str, after: str, function: str, alive: Sequence[FunctionType]) -> None:
    """Change what runs from one source to another that differs from it inside one function.

    Args:
        before: the source that was imported.
        after: the source that is to run.
        function: the dotted name of the function that differs.
        alive: where it is looked for, under whatever names and decorators it is held by now.

    Raises:
        LookupError: no function that is imported differs.
    """
    old, new = (list(_functions(compile(source, "", "exec"))) for source in (before, after))
    changed = [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
    found = [(one, code) for was, code in changed for one in alive if one.__code__ == was]
    for one, code in found:
        one.__code__ = code
    if not changed:
        found = [(one, one.__code__) for one in alive if any(one.__code__ == was for was in old)]
        found = [pair for pair in found if pair[0].__qualname__ == function]
        for one, _ in found:
            _default(one, after)
    if not found:
        raise LookupError(f"No function of {function} is changed.")


def _functions(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of each function of a module, of methods too, not of what is defined inside a function."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from [inner] if inner.co_flags & inspect.CO_OPTIMIZED else _functions(inner)


def _default(function: FunctionType, source: str) -> None:
    """Give a function the defaults that stand in a source, as far as they are numbers, strings or the like."""
    (found,) = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and min([node.lineno, *(one.lineno for one in node.decorator_list)]) == function.__code__.co_firstlineno
    )
    if function.__defaults__:
        pairs = zip(found.args.defaults, function.__defaults__, strict=True)
        function.__defaults__ = tuple(_literal(node, value) for node, value in pairs)
    if function.__kwdefaults__:
        for one, node in zip(found.args.kwonlyargs, found.args.kw_defaults, strict=True):
            if node is not None:
                function.__kwdefaults__[one.arg] = _literal(node, function.__kwdefaults__[one.arg])


def _literal(node: ast.expr, otherwise: object) -> object:
    return ast.literal_eval(node) if isinstance(node, ast.Constant) else otherwise
