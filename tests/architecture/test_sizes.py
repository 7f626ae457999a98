"""Nothing is longer than a reader can hold, and every module is named by a noun."""

import ast
from collections.abc import Iterator

from repository import Module, found, modules, service_modules

MODULE_LINES = 400
FUNCTION_LINES = 60
HANDLER_LINES = 40
NAMELESS = {"util", "utils", "helper", "helpers", "common", "base", "manager", "managers", "misc"}


def functions(module: Module) -> Iterator[tuple[str, int]]:
    """Every function and method with its physical lines, decorators not counted."""
    for node in found(module.tree(), ast.AST):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{module.where}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_modules() -> None:
    sizes = {module.where: module.text.count("\n") for module in modules()}
    assert sizes
    assert {where: lines for where, lines in sizes.items() if lines > MODULE_LINES} == {}


def test_functions() -> None:
    sizes = dict(size for module in modules() for size in functions(module))
    assert sizes
    assert {where: lines for where, lines in sizes.items() if lines > FUNCTION_LINES} == {}


def test_functions_of_a_handler() -> None:
    handlers = [module for module in service_modules() if module.within == "handler"]
    sizes = dict(size for module in handlers for size in functions(module))
    assert {where: lines for where, lines in sizes.items() if lines > HANDLER_LINES} == {}


def test_a_module_is_named_by_what_it_holds() -> None:
    nameless = [
        module.where for module in modules() if NAMELESS & set(module.name.lower().split("."))
    ]
    assert nameless == []
