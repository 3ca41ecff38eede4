"""What /openapi.json promises, from which clients are generated."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from todo_backend.tasks.models import TaskCreate

COMMITTED = Path(__file__).parent.parent / "openapi.json"

OF_ALL = {"401", "408", "413", "422", "503"}
OF_ONE_TASK = OF_ALL | {"403", "404"}
OPERATIONS = {
    "list_tasks": ("get", "/api/tasks", {"200"} | OF_ALL),
    "create_task": ("post", "/api/tasks", {"201"} | OF_ALL),
    "get_task": ("get", "/api/tasks/{task_id}", {"200"} | OF_ONE_TASK),
    "update_task": ("put", "/api/tasks/{task_id}", {"200"} | OF_ONE_TASK),
    "delete_task": ("delete", "/api/tasks/{task_id}", {"200"} | OF_ONE_TASK),
    "toggle_task": ("patch", "/api/tasks/{task_id}/complete", {"200"} | OF_ONE_TASK),
}


@pytest.fixture
def document(anonymous: httpx2.Client) -> dict[str, Any]:
    document: dict[str, Any] = anonymous.get("/openapi.json").json()
    return document


@pytest.mark.proves("API-1")
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(document: dict[str, Any], name: str) -> None:
    method, path, statuses = OPERATIONS[name]
    operation = document["paths"][path][method]
    assert operation["operationId"] == name
    assert operation["security"] == [{"BearerAuth": []}]
    assert set(operation["responses"]) == statuses
    for status in statuses - {"200", "201"}:
        schema = operation["responses"][status]["content"]["application/json"]["schema"]
        kind = "ValidationErrorResponse" if status == "422" else "ErrorResponse"
        assert schema == {"$ref": f"#/components/schemas/{kind}"}


@pytest.mark.proves("API-1")
def test_there_is_nothing_else(document: dict[str, Any]) -> None:
    operations = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert operations == {(method, path) for method, path, _ in OPERATIONS.values()} | {("get", "/health")}
    assert document["components"]["securitySchemes"]["BearerAuth"]["scheme"] == "bearer"
    health = document["paths"]["/health"]["get"]
    assert health["security"] == []
    assert "key set" not in json.dumps(health)


@pytest.mark.proves("API-1")
def test_schemas(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    errors = {"ErrorResponse", "FieldError", "ValidationErrorResponse"}
    assert set(schemas) == errors | {"TaskCreate", "TaskRead", "TaskUpdate"}
    assert schemas["TaskCreate"]["required"] == ["title"]
    assert "required" not in schemas["TaskUpdate"]
    assert set(schemas["TaskRead"]["required"]) == set(schemas["TaskRead"]["properties"])
    assert schemas["TaskUpdate"]["properties"]["title"]["type"] == "string"  # null is not valid
    assert "default" not in schemas["TaskUpdate"]["properties"]["title"]
    for name in ("TaskCreate", "TaskUpdate", "TaskRead"):
        assert schemas[name]["examples"]


@pytest.mark.proves("API-1")
def test_the_examples_are_valid(document: dict[str, Any], client: httpx2.Client) -> None:
    schemas = document["components"]["schemas"]
    created = client.post("/api/tasks", json=schemas["TaskCreate"]["examples"][0])
    assert created.status_code == 201
    assert set(created.json()) == set(schemas["TaskRead"]["examples"][0])
    changed = client.put(f"/api/tasks/{created.json()['id']}", json=schemas["TaskUpdate"]["examples"][0])
    assert changed.status_code == 200


@pytest.mark.proves("API-1", "VAL-1")
def test_the_patterns_say_which_characters_are_accepted(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["TaskCreate"]["properties"]
    title, description = fields["title"]["pattern"], fields["description"]["anyOf"][0]["pattern"]
    for character in map(chr, (*range(0xD800), *range(0xE000, 0x11000))):
        for text in (character, f"{character}x", f" {character} "):
            for model, pattern in ({"title": text}, title), ({"title": "x", "description": text}, description):
                try:
                    TaskCreate.model_validate(model)
                except ValidationError:
                    assert not re.search(pattern, text), model
                else:
                    assert re.search(pattern, text), model


@pytest.mark.proves("BA-9", "API-1")
def test_the_committed_document_is_current(document: dict[str, Any]) -> None:
    """`make openapi` writes it anew."""
    assert json.loads(COMMITTED.read_text()) == document
