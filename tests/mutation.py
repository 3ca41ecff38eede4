"""Mutation tests: changes one place of the code at a time, and runs the tests: `make mutation`.

mutmut 3 finds the code that a test reaches only in the process of the test, and the service under test is another
process; cosmic-ray has only one copy of the sources. Here each worker has a copy of the repository. It changes one
place of a file, and runs that file's tests until one fails, those first that failed last: neighbours fail alike.

A whole run takes hours. .mutation/ has the results: what was killed, or is explained in survivors.py, is not tried
again until the file changes.

Annotations, type aliases, docstrings, log statements and the options of dataclasses, which change nothing that a
user sees, are not mutated.
"""

import ast
import copy
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue

import psutil
import pytest

from tests.survivors import SURVIVORS

ROOT = Path(__file__).parent.parent
PACKAGE = "src/todo_backend"
RESULTS = ROOT / ".mutation"
WORKERS = 8  # most of them wait for a timeout of a service that a mutant has broken
BUSY = 90  # per cent of the processors' time: then no other test run begins, because the tests have time limits
GOAL = 97  # per cent
OPTIONS = [
    "-x",
    "--failed-first",
    # Plugins that these tests do not need, and that are slow to import.
    *(f"-pno:{name}" for name in ("hypothesispytest", "anyio", "platformdirs")),
    "--assert=plain",  # explanations of long values take longer than their tests
    "--tb=no",
]
# A test run is a fork of a process that has imported what is slow and never mutated.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["fastapi", "httpx2", "hypothesis", "psycopg", "pytest", "sqlmodel", "uvicorn"])

# The tests of each file, the quickest first.
TESTS = {
    "auth/claims.py": ["test_auth", "test_check_token", "test_keyset", "test_hostile_tokens"],
    "auth/dependencies.py": ["test_auth", "test_openapi"],
    "auth/keyset.py": [
        "test_auth.py::test_what_is_not_used_is_not_loaded",
        "test_keyset",
        "test_keyset_network",
        "test_check_token",
    ],
    "auth/middleware.py": [
        "test_auth",
        "test_errors",
        "test_keyset.py::test_a_503_comes_within_10_seconds_after_a_wait_for_the_key_set",
    ],
    "auth/tokens.py": [
        "test_auth",
        "test_keyset",
        "test_hostile_tokens",
        "test_check_token",
        "test_check",
        "test_cli",
    ],
    "auth/verifier.py": ["test_keyset", "test_auth", "test_hostile_tokens", "test_check_token", "test_check"],
    "cli/adopt.py": ["test_docs.py::test_the_limits_are_as_said", "test_adopt"],
    "database/adoption.py": ["test_docs.py::test_the_limits_are_as_said", "test_adopt"],
    "database/adoption_plan.py": ["test_docs.py::test_the_limits_are_as_said", "test_adopt"],
    "database/catalogue.py": ["test_schema_status", "test_schema", "test_refused_statements"],
    "database/connection.py": [
        "test_statement",
        "test_pool",
        "test_session",
        "test_database_url",
        "test_neon",
        "test_failover",
    ],
    "database/embedded.py": ["test_cli"],
    "database/engine.py": ["test_session", "test_schema"],
    "database/executor.py": [
        "test_statement",
        "test_faults.py::test_a_read_whose_connection_is_lost_is_repeated",
        "test_faults.py::test_a_write_whose_answer_is_lost_is_not_repeated",
        "test_database",
        "test_refused_statements",
    ],
    "database/failure_hints.py": [
        "test_failures",
        "test_database.py::test_a_database_that_takes_no_writes_at_the_start_is_waited_for",
        "test_neon",
        "test_refused_statements",
    ],
    "database/failures.py": ["test_failures", "test_neon", "test_refused_statements"],
    "database/migrations/__init__.py": [
        "test_schema_status",
        "test_auth.py::test_what_is_not_used_is_not_loaded",
        "test_schema",
    ],
    "database/migrations/env.py": ["test_schema_status", "test_schema"],
    "database/migrations/versions/0001_create_tasks.py": ["test_schema_status", "test_schema"],
    "database/migrations/versions/0002_limit_ids.py": ["test_schema_status", "test_schema"],
    "database/old_rows.py": ["test_adopt"],
    "database/pool.py": ["test_docs.py::test_the_limits_are_as_said", "test_pool", "test_failover"],
    "database/results.py": ["test_statement", "test_session"],
    "database/schema.py": ["test_schema_status", "test_schema"],
    "database/session.py": ["test_session"],
    "database/startup.py": [
        "test_docs.py::test_the_limits_are_as_said",
        "test_schema",
        "test_session",
        "test_database",
        "test_refused_statements",
    ],
    "database/statement.py": ["test_statement", "test_tasks"],
    "database/timeouts.py": [
        "test_keyset.py::test_the_timeouts_together_keep_the_promise",
        "test_docs.py::test_the_limits_are_as_said",
        "test_statement",
        "test_session",
    ],
    "database/upgrade.py": ["test_schema"],
    "http/body.py": ["test_endpoints", "test_errors", "test_hostile_http"],
    "http/cors.py": ["test_errors"],
    "http/endpoints.py": ["test_endpoints"],
    "http/errors.py": ["test_errors", "test_auth"],
    "http/openapi.py": ["test_openapi"],
    "http/paths.py": ["test_errors"],
    "http/strict_json.py": ["test_errors", "test_keyset"],
    "http/validation.py": ["test_errors", "test_tasks"],
    "server/protocol.py": ["test_hostile_http", "test_protocol"],
    "tasks/messages.py": ["test_errors", "test_tasks"],
    "tasks/models.py": [
        "test_tasks",
        "test_errors",
        "test_openapi",
        "test_statement",
        "test_session.py::test_a_route_with_a_session",
        "test_database",
    ],
    "tasks/ownership.py": ["test_tasks", "test_model", "test_statement"],
    "tasks/routes.py": ["test_tasks", "test_openapi", "test_errors"],
    "tasks/store.py": ["test_tasks", "test_model", "test_statement"],
}

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}

TYPES = ("Any", "Callable[", "Iterable[", "TypeVar(", "dict[")  # what a type alias begins with
NEGATED = (ast.Compare, ast.UnaryOp)  # elsewhere
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Mutant:
    """One change of one place.

    Attributes:
        start, end: offsets of the place in the source, in bytes.
    """

    file: str
    line: int
    start: int
    end: int
    before: str
    after: str

    def __str__(self) -> str:
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.file}:{self.line}: {before} -> {after}"

    @property
    def key(self) -> str:
        return f"{self} ({self.start})"  # a line may have the same change twice

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]


def variants(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST | str]]:  # noqa: PLR0912
    """Yield the places to change, this node or one inside it, each with its replacement."""
    match node:
        case ast.Compare(ops=operators):
            for number, operator in enumerate(operators):
                others = [*operators[:number], COMPARISONS[type(operator)](), *operators[number + 1 :]]
                yield node, replaced(node, ops=others)
        case ast.BoolOp(op=operator):
            yield node, replaced(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
        case ast.UnaryOp(operand=operand):
            yield node, operand
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            yield node, replaced(node, op=OPERATORS[type(operator)]())
        case ast.Constant(value=bool(value)):
            yield node, ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield node, ast.Constant(value + 1)
        case ast.Constant(value=str(value)):
            yield node, ast.Constant(value + "XX")
        case ast.Constant(value=bytes(value)):
            yield node, ast.Constant(value + b"XX")
        case ast.JoinedStr():
            yield node, ast.BinOp(node, ast.Add(), ast.Constant("XX"))
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if not isinstance(test, NEGATED):
            yield test, ast.UnaryOp(ast.Not(), test)
        case ast.Return(value=ast.expr() as value) | ast.Assign(value=value):
            yield value, "None"
        case ast.Raise() | ast.Expr(value=ast.Call() | ast.Await()):
            yield node, "pass"
        case ast.AugAssign(op=operator):
            yield node, ast.unparse(replaced(node, op=OPERATORS[type(operator)]()))
        case ast.Call(keywords=keywords):
            for keyword in keywords:
                if keyword.arg:
                    yield node, replaced(node, keywords=[other for other in keywords if other is not keyword])
        case ast.ExceptHandler(type=ast.Tuple(elts=elements) as caught):
            for element in elements:
                yield caught, replaced(caught, elts=[other for other in elements if other is not element])
        case ast.comprehension(ifs=conditions):
            for condition in conditions:
                yield condition, "True"


def replaced(node: ast.AST, **fields: object) -> ast.AST:
    twin = copy.copy(node)
    for name, value in fields.items():
        setattr(twin, name, value)
    return twin


def nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node that may be mutated."""
    if isinstance(node, ast.Call | ast.Expr) and ast.unparse(node).startswith(("log.", "logging.", "dataclass(")):
        return
    if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith(TYPES):
        return
    yield node
    if isinstance(node, ast.JoinedStr):
        return
    documented = isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        if name not in ("annotation", "returns"):
            for child in children[1:] if documented and name == "body" else children:
                if isinstance(child, ast.AST):
                    yield from nodes(child)


def mutants(file: str) -> list[Mutant]:
    source = (ROOT / PACKAGE / file).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: dict[Mutant, None] = {}
    for node in nodes(ast.parse(source)):
        for place, variant in variants(node):
            assert isinstance(place, ast.expr | ast.stmt)
            start = starts[place.lineno - 1] + place.col_offset
            end = starts[(place.end_lineno or 0) - 1] + (place.end_col_offset or 0)
            after = variant if isinstance(variant, str) else f"({ast.unparse(ast.fix_missing_locations(variant))})"
            before = source[start:end].decode()
            if after != before:
                found[Mutant(file, place.lineno, start, end, before, after)] = None
    return list(found)


class Workplace:
    """A copy of the repository, in which one file at a time is changed."""

    beginning = threading.Lock()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tracked = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in tracked.stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)

    def notices(self, file: str, source: bytes, limit: float) -> bool:
        """Tell whether a test fails, or does not end in time, with this source of the file."""
        path = self.folder / PACKAGE / file
        original = path.read_bytes()
        path.write_bytes(source)
        # Python recognises a changed source by its size and its time in seconds.
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
        try:
            return self.fails(TESTS[file], limit)
        finally:
            path.write_bytes(original)

    def fails(self, tests: list[str], limit: float) -> bool:
        with Workplace.beginning:
            while psutil.cpu_percent(interval=0.5) > BUSY:
                pass
        process = FORKS.Process(target=run, args=(self.folder, tests))
        process.start()
        process.join(limit)
        if process.exitcode is None:
            end(process)
        return process.exitcode != 0


def run(folder: Path, tests: list[str]) -> None:
    """Run the tests in a copy of the repository; exits with pytest's code."""
    os.chdir(folder)
    paths = [str(folder / "src"), str(folder)]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    sys.path[:0] = paths
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]  # this file came from another copy
    vars(multiprocessing.process)["_parent_process"] = None  # else a service in a thread takes itself for a worker
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    # By default all runs share a folder, and the start of each closes it to other users: under root the embedded
    # PostgreSQL runs as such a user.
    own_folder = f"--basetemp={folder / 'tmp'}"
    names = [f"tests/{name}" if "::" in name else f"tests/{name}.py" for name in tests]
    sys.exit(pytest.main([*OPTIONS, own_folder, *names]))


def end(process: BaseProcess) -> None:
    """Stop a test run and every process that it started, also those in other sessions."""
    assert process.pid is not None
    started = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGINT)
    psutil.wait_procs(started, timeout=20)
    process.kill()
    process.join()
    for child in started:
        if child.is_running():
            child.kill()


def is_explained(mutant: Mutant) -> bool:
    printed = re.sub(r":\d+: ", ": ", str(mutant))
    return any(printed in survivors for survivors in SURVIVORS.values())


def try_all(file: str, workplaces: SimpleQueue[Workplace]) -> list[Mutant]:
    """Return the surviving mutants of a file, and print those without a reason."""
    source = (ROOT / PACKAGE / file).read_bytes()
    name = f"{file.replace('/', '-')}-{hashlib.sha256(source).hexdigest()[:16]}.json"
    known: dict[str, bool] = json.loads((RESULTS / name).read_text()) if (RESULTS / name).exists() else {}
    candidates = mutants(file)
    left = [
        mutant
        for mutant in candidates
        if mutant.key not in known or not (known[mutant.key] or is_explained(mutant))
    ]
    workplace = workplaces.get()
    began = time.monotonic()
    if left and workplace.notices(file, source, 600):
        sys.exit(f"{file}: its tests fail as it is")
    limit = 30 + 3 * (time.monotonic() - began)
    workplaces.put(workplace)

    def attempt(mutant: Mutant) -> None:
        workplace = workplaces.get()
        known[mutant.key] = workplace.notices(file, mutant.apply(source), limit)
        workplaces.put(workplace)
        (RESULTS / name).write_text(json.dumps(known, indent=1))
        if not known[mutant.key] and not is_explained(mutant):
            print(f"lives: {mutant}", flush=True)

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(attempt, left))
    living = [mutant for mutant in candidates if not known[mutant.key]]
    print(f"{file}: {len(candidates) - len(living)} of {len(candidates)} noticed", flush=True)
    return living


def main(files: list[str]) -> None:
    began = time.monotonic()
    RESULTS.mkdir(exist_ok=True)
    workplaces: SimpleQueue[Workplace] = SimpleQueue()
    total = sum(len(mutants(file)) for file in files)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(WORKERS):
            workplaces.put(Workplace(Path(folder) / str(number)))
        living = [mutant for file in files for mutant in try_all(file, workplaces)]
    share = 100 * (total - len(living)) / total
    unexplained = [mutant for mutant in living if not is_explained(mutant)]
    minutes = (time.monotonic() - began) / 60
    print(f"{total - len(living)} of {total} mutants noticed, {share:.1f} %, in {minutes:.0f} minutes")
    print(f"{len(living)} live, {len(unexplained)} of them without a reason in tests/survivors.py")
    sys.exit(share < GOAL or bool(unexplained))


if __name__ == "__main__":
    main(sys.argv[1:] or list(TESTS))
