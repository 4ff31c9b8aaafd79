"""Edits of Python source that leave the rest of it as its author wrote it.

Each edit inserts text where the syntax tree says, and is checked against the tree afterwards: it
must be the original's with exactly the addition. Anything else is refused.
"""

import ast
import re
from typing import TypeAlias, TypeVar

from agent_continuations.cli.scaffold.brackets import with_element

Import: TypeAlias = ast.Import | ast.ImportFrom
Literal = TypeVar("Literal", ast.List, ast.Dict)


class CannotEdit(ValueError):
    """The source cannot be edited safely; the message says why."""


def parsed(source: str) -> ast.Module:
    """The syntax tree of a source.

    Raises:
        CannotEdit: the source is not valid Python.
    """
    if "\r" in source:
        raise CannotEdit("it has carriage returns that end no line")
    try:
        # Finds errors that the parser alone does not, such as a late `from __future__`.
        compile(source, "source", "exec", dont_inherit=True)
        return ast.parse(source)
    except SyntaxError as error:
        raise CannotEdit(f"line {error.lineno} is not valid Python: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise CannotEdit(f"it is not valid Python: {error}") from None


def find_list(tree: ast.Module, name: str) -> ast.List:
    """The list that is assigned to a name at the top level.

    Raises:
        CannotEdit: there is none, or the name is assigned several times.
    """
    return _literal(tree, name, ast.List, f"list {name} = [...]")


def find_dict(tree: ast.Module, name: str) -> ast.Dict:
    """As `find_list`, for a dict."""
    return _literal(tree, name, ast.Dict, f"dict {name} = {{...}}")


def _literal(tree: ast.Module, name: str, kind: type[Literal], what: str) -> Literal:
    value = _assigned(tree, name)
    if not isinstance(value, kind):
        raise CannotEdit(f"it has no {what} at the top level")
    return value


def _assigned(tree: ast.Module, name: str) -> ast.expr | None:
    found = []
    for each in tree.body:
        targets = each.targets if isinstance(each, ast.Assign) else []
        targets = [each.target] if isinstance(each, ast.AnnAssign | ast.AugAssign) else targets
        if any(isinstance(one, ast.Name) and one.id == name for one in targets):
            found.append(each)
    if len(found) > 1:
        raise CannotEdit(f"it assigns {name} more than once")
    one = found[0] if found else None
    return one.value if isinstance(one, ast.Assign | ast.AnnAssign) else None


def add_to_list(source: str, name: str, element: str) -> str:
    """Adds an element at the end of the list that is assigned to a name.

    Raises:
        CannotEdit: there is no such list, or it cannot be edited safely.
    """
    tree = parsed(source)
    node = find_list(tree, name)
    edited = with_element(source, node, node.elts[-1] if node.elts else None, element)
    node.elts.append(_expression(element))
    return _checked(edited, tree)


def add_to_dict(source: str, name: str, key: str, value: str) -> str:
    """Adds an entry at the end of the dict that is assigned to a name.

    Args:
        source: the source.
        name: the name of the dict.
        key: the key.
        value: the value as source. Further lines are indented relative to the entry.

    Raises:
        CannotEdit: there is no such dict, or it cannot be edited safely.
    """
    tree = parsed(source)
    node = find_dict(tree, name)
    last = (node.keys[-1] or node.values[-1]) if node.values else None
    edited = with_element(source, node, last, f'"{key}": {value}')
    node.keys.append(ast.Constant(key))
    node.values.append(_expression(value))
    return _checked(edited, tree)


def add_import(source: str, module: str, names: str, family: str) -> str:
    """Adds `from module import names`, sorted into the imports of the same family.

    Args:
        source: the source.
        module: the module, with leading dots if it is relative.
        names: the names, separated by commas.
        family: the start of the names of the modules in the same family.

    Raises:
        CannotEdit: the source cannot be edited safely.
    """
    tree = parsed(source)
    statement = f"from {module} import {names}"
    imports = [each for each in tree.body if isinstance(each, Import)]
    alike = [each for each in imports if module_of(each).startswith(family)]
    later = [each for each in alike if _sort_key(module_of(each)) > _sort_key(module)]
    lines = source.split("\n")
    if later:
        row, added = later[0].lineno - 1, [statement]
    elif imports or ast.get_docstring(tree) is not None:
        end = (alike or imports or tree.body[:1])[-1].end_lineno or 0
        row, added = end, [statement] if alike else ["", statement]
    else:
        row, added = (tree.body[0].lineno - 1 if tree.body else 0), [statement, ""]
    lines[row:row] = added
    edited = "\n".join(lines)
    changed = parsed(edited)
    if ast.get_docstring(changed) != ast.get_docstring(tree):
        raise CannotEdit("its docstring and its imports are on one line")
    new = ast.dump(ast.parse(statement).body[0])
    where = next((n for n, each in enumerate(changed.body) if ast.dump(each) == new), None)
    if where is not None:
        tree.body.insert(where, changed.body[where])
    return _checked(edited, tree)


def module_of(node: Import) -> str:
    """The module that a statement imports, or imports from, with leading dots if relative."""
    if isinstance(node, ast.Import):
        return node.names[0].name
    return "." * node.level + (node.module or "")


def bound_names(tree: ast.Module) -> set[str]:
    """The names that a module binds at its top level, by imports and otherwise."""
    found: set[str] = set()
    for each in tree.body:
        if isinstance(each, Import):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in each.names}
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(each.name)
        else:
            found |= {
                node.id
                for node in ast.walk(each)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return found


def _expression(source: str) -> ast.expr:
    return ast.parse(source, mode="eval").body


def _sort_key(module: str) -> list[tuple[int, str]]:
    """Sorts as the usual formatters do: without regard to case, numbers by their value."""
    parts = re.split(r"(\d+)", module.lower())
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def _checked(edited: str, expected: ast.Module) -> str:
    """The edited source, if it has the expected tree.

    Raises:
        CannotEdit: it has not.
    """
    if ast.dump(parsed(edited)) != ast.dump(expected):
        raise CannotEdit("its form is too unusual to be edited safely")
    return edited
