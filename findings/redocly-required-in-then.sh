#!/usr/bin/env bash
# @redocly/cli 2.77.0, `redocly lint` with its recommended rules (Node 20.20, npm 11.19).
#
# Valid input: an OpenAPI 3.1 schema that defines `title` in `properties` and requires it under a condition, by
# `if`/`then` or `dependentSchemas` (JSON Schema 2020-12, 10.2.2): those subschemas apply to the same object.
# Behaviour: no-required-schema-properties-undefined warns "Required property 'title' is not defined." for both.
# For the same `required` inside `anyOf` it looks at the properties beside `anyOf`, and says nothing.
#
# Output seen:
#   /anyOf             0 warnings
#   /if-then           1 warning   Required property 'title' is not defined.
#   /dependentSchemas  1 warning   Required property 'title' is not defined.
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @redocly/cli@2.77.0 2>/dev/null

cat > write.mjs <<'EOF'
import { writeFileSync } from "node:fs";
const object = { type: "object", properties: { title: { type: "string" }, note: { type: "string" } } };
const schemas = {
  "anyOf": { ...object, anyOf: [{ required: ["title"] }, { required: ["note"] }] },
  "if-then": { ...object, if: { minProperties: 1 }, then: { required: ["title"] } },
  "dependentSchemas": { ...object, dependentSchemas: { note: { required: ["title"] } } },
};
const operation = ([name, schema]) => ["/" + name, {
  put: {
    operationId: name,
    summary: name,
    requestBody: { content: { "application/json": { schema } } },
    responses: { 200: { description: "OK" }, 400: { description: "Bad" } },
  },
}];
writeFileSync("openapi.json", JSON.stringify({
  openapi: "3.1.0",
  info: { title: "required", version: "1", license: { name: "MIT", identifier: "MIT" } },
  servers: [{ url: "https://api.test" }],
  security: [],
  paths: Object.fromEntries(Object.entries(schemas).map(operation)),
}));
EOF
node write.mjs
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
node_modules/.bin/redocly lint openapi.json --format=json > report.json 2>/dev/null

cat > read.mjs <<'EOF'
import { readFileSync } from "node:fs";
const { problems } = JSON.parse(readFileSync("report.json", "utf8"));
const seen = Object.fromEntries(["/anyOf", "/if-then", "/dependentSchemas"].map((path) => {
  const pointer = "#/paths/" + path.replace("/", "~1") + "/";
  const there = problems.filter((problem) => problem.location[0].pointer.startsWith(pointer));
  console.log(path, there.map((problem) => `${problem.ruleId}: ${problem.message}`));
  return [path, there.length];
}));
const expected = { "/anyOf": 0, "/if-then": 1, "/dependentSchemas": 1 };
process.exit(JSON.stringify(seen) === JSON.stringify(expected) ? 0 : 1);
EOF
node read.mjs
