// Every operation by a client whose types come from openapi.json: node build/client.js BACKEND TOKEN
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const [baseUrl, token] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

const created = await api.POST("/api/tasks", { body: { title: "Buy milk" } });
const task: components["schemas"]["TaskRead"] = created.data!;
assert.equal(task.description, null);
const params = { path: { task_id: task.id } };

const listed = await api.GET("/api/tasks", { params: { query: { status: "pending" } } });
assert.deepEqual(listed.data, [task]);
const read = await api.GET("/api/tasks/{task_id}", { params });
assert.deepEqual(read.data, task);
const updated = await api.PUT("/api/tasks/{task_id}", { params, body: { description: "Two litres" } });
assert.equal(updated.data?.description, "Two litres");
const left = await api.PUT("/api/tasks/{task_id}", { params, body: { title: "Buy oat milk" } });
assert.equal(left.data?.description, "Two litres");
const cleared = await api.PUT("/api/tasks/{task_id}", { params, body: { description: null } });
assert.equal(cleared.data?.description, null);
const toggled = await api.PATCH("/api/tasks/{task_id}/complete", { params });
assert.equal(toggled.data?.completed, true);
const deleted = await api.DELETE("/api/tasks/{task_id}", { params });
assert.equal(deleted.data?.id, task.id);
const refused = await api.POST("/api/tasks", { body: { title: "" } });
assert.equal(refused.response.status, 422);
const { error } = refused;
assert.ok(error && "errors" in error && error.errors[0].loc.includes("title"));
const missing = await api.GET("/api/tasks/{task_id}", { params });
const detail: string | undefined = missing.error?.detail;
assert.equal(detail, "Task not found");
