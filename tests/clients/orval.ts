// Every operation by the client that orval generates: node build/js/orval.js BACKEND TOKEN
import assert from "node:assert/strict";
import * as api from "./build/orval/tasks.js";
import type { TaskRead } from "./build/orval/tasks.js";

const created = await api.createTask({ title: "Buy milk" });
assert.equal(created.status, 201);
const task: TaskRead = created.data;
assert.equal(task.description, null);

const described = await api.updateTask(task.id, { description: "Two litres" });
assert(described.status === 200 && described.data.description === "Two litres");
const left = await api.updateTask(task.id, { title: "Buy oat milk" });
assert(left.status === 200 && left.data.description === "Two litres");
const cleared = await api.updateTask(task.id, { description: null });
assert(cleared.status === 200 && cleared.data.description === null);

const read = await api.getTask(task.id);
assert.deepEqual(read.data, cleared.data);
const toggled = await api.toggleTask(task.id);
assert(toggled.status === 200 && toggled.data.completed);
const listed = await api.listTasks({ status: "completed" });
assert.deepEqual(listed.data, [toggled.data]);
const deleted = await api.deleteTask(task.id);
assert.deepEqual(deleted.data, toggled.data);

const missing = await api.getTask(task.id);
assert(missing.status === 404 && missing.data.detail === "Task not found");
const invalid = await api.createTask({ title: "", description: null });
assert(invalid.status === 422);
assert.deepEqual(invalid.data.errors[0].loc, ["body", "title"]);
