// Every operation by the client that Hey API generates: node build/js/hey.js BACKEND TOKEN
import assert from "node:assert/strict";
import { client } from "./build/hey/client.gen.js";
import * as api from "./build/hey/index.js";
import type { TaskRead } from "./build/hey/index.js";

const [baseUrl, token] = process.argv.slice(2);
client.setConfig({ baseUrl, auth: token });

const created = await api.createTask({ body: { title: "Buy milk" } });
assert.equal(created.response?.status, 201);
const task: TaskRead = created.data!;
assert.equal(task.description, null);
const path = { task_id: task.id };

const described = await api.updateTask({ path, body: { description: "Two litres" } });
assert.equal(described.data?.description, "Two litres");
const left = await api.updateTask({ path, body: { title: "Buy oat milk" } });
assert.equal(left.data?.description, "Two litres");
const cleared = await api.updateTask({ path, body: { description: null } });
assert.equal(cleared.data?.description, null);

const read = await api.getTask({ path });
assert.deepEqual(read.data, cleared.data);
const toggled = await api.toggleTask({ path });
assert.equal(toggled.data?.completed, true);
const listed = await api.listTasks({ query: { status: "completed" } });
assert.deepEqual(listed.data, [toggled.data]);
const deleted = await api.deleteTask({ path });
assert.deepEqual(deleted.data, toggled.data);

const missing = await api.getTask({ path });
assert.equal(missing.error?.detail, "Task not found");
const invalid = await api.createTask({ body: { title: "", description: null } });
assert.equal(invalid.response?.status, 422);
assert(invalid.error && "errors" in invalid.error);
assert.deepEqual(invalid.error.errors[0].loc, ["body", "title"]);
