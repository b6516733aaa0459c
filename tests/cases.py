"""Which cases have a test: `python -m tests.cases` writes docs/cases.md from the names of the tests.

A case's id stands in a test's name (`test_c24_r5_…`), in a planted breach (`@breach("T1", …)` and its name), or among
the cases of a golden scenario (scenarios/*.json), each of which is a test of its own.
Every test that is named runs in `make test`, which fails unless all of them pass.
"""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "cases.md"
TITLES: dict[str, str] = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))
GROUPS = {
    "F": "Features",
    "P": "Rules that the platform enforces",
    "C": "What users of comparable systems ran into",
    "R": "Failures to survive",
    "T": "Rules of the template",
}
_ID = re.compile(r"[FPCRT][0-9]+")
_HEAD = """# Cases and their tests

Written by `make cases` from the names of the tests; do not edit. A case without a test is not proved, whatever else is
said of it. `make test` fails unless all of them pass.
"""


@cache
def named_in(root: Path = HERE) -> dict[str, list[str]]:
    """`{id: files}` of every test below `root`. Not how many: the page changes only when a case gains a file."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(root.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for case in set(_ids(node)) if isinstance(node, ast.FunctionDef) else ():
                _note(found[case], path.relative_to(root.parent).as_posix())
    for path in sorted((root / "scenarios").glob("*.json")):
        for scenario in json.loads(path.read_text(encoding="utf-8"))["scenarios"]:
            for case in scenario.get("cases", ()):
                _note(found[case], path.relative_to(root.parent).as_posix())
    return found


def _note(files: list[str], file: str) -> None:
    if file not in files:
        files.append(file)


def _ids(function: ast.FunctionDef) -> Iterator[str]:
    rules = [
        one.args[0].value
        for one in function.decorator_list
        if isinstance(one, ast.Call)
        and isinstance(one.func, ast.Name)
        and one.func.id == "breach"
        and isinstance(one.args[0], ast.Constant)
    ]
    words = [*rules, *function.name.upper().split("_")] if rules or function.name.startswith("test_") else []
    yield from (str(word) for word in words if _ID.fullmatch(str(word)))


def page(found: dict[str, list[str]]) -> str:
    """The whole of docs/cases.md."""
    parts = [_HEAD]
    for group, heading in GROUPS.items():
        ids = [case for case in TITLES if case.startswith(group)]
        have = sum(case in found for case in ids)
        parts.append(f"## {group}: {heading} ({have} of {len(ids)})\n\n| id | case | tests |\n|---|---|---|")
        parts += [f"| {case} | {TITLES[case].replace('|', '/')} | {_where(found.get(case, []))} |" for case in ids]
        parts.append("")
    return "\n".join(parts)


def _where(files: list[str]) -> str:
    return ", ".join(f"`{file.removeprefix('tests/')}`" for file in files) or "none yet"


if __name__ == "__main__":
    PAGE.write_text(page(named_in()), encoding="utf-8")
