PYTHON ?= python3

.PHONY: run test soak pythons install bench fuzz mutation openapi lock help

run: .venv/run ## create .venv and run the service, with no configuration
	@.venv/bin/todo-backend dev

# Without REQUIRE_ALL tests may have been skipped for want of a part, and what only they cover is not asked for.
test: install ## formatting, lint, types and every test, with branch coverage and the Acceptance Checklist
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/lint-imports --no-logo --no-cache
	.venv/bin/mypy
	.venv/bin/mypy --platform win32 --cache-dir .mypy_cache/win32 src
	.venv/bin/mypy --platform darwin --cache-dir .mypy_cache/darwin src
	.venv/bin/pytest --quiet --windows-settings --numprocesses 3 --dist loadgroup $(FAST)
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest --checklist --numprocesses 3 --dist loadgroup --quiet
	.venv/bin/coverage combine --quiet
	.venv/bin/coverage report $(if $(REQUIRE_ALL),,--fail-under=0)

# What depends on the system and on the version of Python, and takes less than a minute.
FAST = $(addprefix tests/test_,dev.py program.py cli.py tasks.py session.py settings.py)

pythons: install ## the fast part of the tests on Python 3.12 to 3.14, as far as they are on the path
	@for version in 3.12 3.13 3.14; do \
		if ! python$$version --version 2>/dev/null; then echo "Python $$version is not on the path"; continue; fi; \
		.venv/bin/uv venv --quiet --allow-existing --python python$$version .venv/python$$version \
			&& .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/python$$version --requirement requirements/test.txt --editable . \
			&& .venv/python$$version/bin/pytest --quiet --numprocesses 3 --dist loadgroup $(FAST) || exit 1; \
	done

soak: install ## the tests that take minutes: fault after fault under load
	.venv/bin/pytest -m soak --quiet

install: .venv/test .venv/clients ## create .venv with all that running, testing and benchmarking need from PyPI

bench: install ## the service against its peers, as ratios; WRITE=1 writes docs/performance.md, OPTIONS="--help" says more
	@if command -v npm >/dev/null; then npm ci --prefix bench/peers/fastify --loglevel=error || true; fi
	.venv/bin/python -W ignore -m bench $(if $(WRITE),--write) $(OPTIONS)

SECONDS ?= 600
SEED ?= $(shell date +%s)

fuzz: install ## what OpenAPI promises against what strangers send, for ten minutes; prints the seed
	FUZZ_SECONDS=$(SECONDS) FUZZ_SEED=$(SEED) .venv/bin/pytest --quiet --capture=no tests/test_fuzz.py

mutation: install ## how many small faults in the code the tests notice; FILES="auth/tokens.py" for some
	.venv/bin/python -m tests.mutation $(FILES)

openapi: install ## write openapi.json anew
	DATABASE_URL=postgresql:///unused BETTER_AUTH_SECRET=unused-unused-unused-unused-unused .venv/bin/python -c \
		"import json, todo_backend.main as m; print(json.dumps(m.app.openapi(), indent=2))" > openapi.json

help: ## this list
	@sed -n 's/^\([a-z]*\):.* ## /\1\t/p' Makefile | expand -t 10

lock: install ## resolve the dependencies of pyproject.toml anew
	mkdir -p .venv/lock && ln -sfn ../../requirements .venv/lock/requirements
	sed '/^managed = false/d' pyproject.toml >.venv/lock/pyproject.toml
	$(compile) --upgrade --extra dev --group build pyproject.toml --output-file requirements/run.txt
	$(compile) --constraint requirements/run.txt --extra dev --group build --group test --group bench pyproject.toml \
		--output-file requirements/test.txt
	$(compile) --upgrade --group clients --output-file requirements/clients.txt

# `uv pip compile --group` refuses a project with `managed = false`, so it gets a copy without that line.
compile = cd .venv/lock && ../bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

# uv where it is on the path, which takes seconds; pip otherwise. The same files, the same hashes.
UV := $(shell command -v uv)
new_environment = $(if $(UV),$(UV) venv --quiet --seed,$(PYTHON) -m venv)
pip_install = $(if $(UV),$(UV) pip install --quiet --python $(1)/bin/python,$(1)/bin/python -m pip install)

.venv/%: requirements/%.txt pyproject.toml
	test -x .venv/bin/python || $(new_environment) .venv
	$(call pip_install,.venv) --require-hashes --requirement $<
	$(call pip_install,.venv) --no-deps --no-build-isolation --editable .
	@touch $@

# It has an environment of its own because openapi-python-client needs an older typer than the service.
.venv/clients: requirements/clients.txt
	test -x $@/bin/python || $(new_environment) $@
	$(call pip_install,$@) --require-hashes --requirement $<
	@touch $@
