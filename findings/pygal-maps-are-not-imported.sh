#!/usr/bin/env bash
# pygal 3.1.3 with pygal-maps-world 1.0.2 on CPython 3.14.2, as npm has it: pyodide 314.0.7, Node 20.20. CPython 3.12.1 and
# 3.13.0 were tried by hand, with the same result.
#
# Valid input: `from pygal.maps.world import World`, with the package of that map installed.
# Behaviour: ModuleNotFoundError, although pygal has found the package and loaded it: pygal.maps.world is there as an
# attribute, and draws the map. pygal makes the import work by an object in sys.meta_path, PluginImportFixer, that has
# find_module and no find_spec. Python 3.11 falls back to the one with an ImportWarning, which is not shown by default;
# since 3.12 the import system passes such an object over, and says nothing.
#
# Output seen:
#   attribute pygal.maps.world.World: draws
#   from pygal.maps.world import World: ModuleNotFoundError: No module named 'pygal.maps.world'
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts pyodide@314.0.7 2>/dev/null
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-deps --target packages \
    pygal==3.1.3 pygal-maps-world==1.0.2 importlib-metadata==10.2.0 zipp==4.1.2 lazy-importer==0.1.0
cat > run.mjs <<'EOF'
import { loadPyodide } from "pyodide";

const python = await loadPyodide();
python.FS.mkdirTree("/packages");
python.FS.mount(python.FS.filesystems.NODEFS, { root: "packages" }, "/packages");
python.runPython(`
import sys

sys.path.insert(0, "/packages")
import pygal

world = pygal.maps.world.World()
world.add("here", ["de"])
drawn = "draws" if b"<svg" in world.render() else "does not draw"
try:
    from pygal.maps.world import World
except ImportError as error:
    imported = f"{type(error).__name__}: {error}"
else:
    imported = "works"
print(f"attribute pygal.maps.world.World: {drawn}")
print(f"from pygal.maps.world import World: {imported}")
expected = ("draws", "ModuleNotFoundError: No module named 'pygal.maps.world'")
if (drawn, imported) != expected:
    raise SystemExit(1)
`);
EOF
node run.mjs
