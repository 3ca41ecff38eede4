"use client";

import { type FormEvent, useCallback, useEffect, useState } from "react";
import { api } from "@/lib/api";

export type Task = { id: number; title: string; description: string | null; completed: boolean };

export function Tasks() {
  const [[pending, completed], setTasks] = useState<Task[][]>([[], []]);
  const [opened, setOpened] = useState<Task>();
  const [error, setError] = useState<string>();

  // Do something; then show what went wrong, or the tasks as they are now.
  const run = useCallback(async (action?: () => Promise<unknown>) => {
    setError(undefined);
    try {
      await action?.();
      const lists = ["pending", "completed"].map((status) => api<Task[]>(`/api/tasks?status=${status}`));
      setTasks(await Promise.all(lists));
    } catch (error) {
      setError((error as Error).message);
    }
  }, []);

  useEffect(() => void run(), [run]);

  const onSubmit = (action: (fields: object) => Promise<unknown>) => (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.currentTarget));
    run(() => action(fields));
  };

  const send = (method: string, path: string, body?: object) => api(path, { method, body: JSON.stringify(body) });

  const row = ({ id, title, description }: Task) => (
    <li key={id} value={id}>
      <b>{title}</b> {description}{" "}
      <button onClick={() => run(() => send("PATCH", `/api/tasks/${id}/complete`))}>Toggle</button>{" "}
      <button onClick={() => run(() => send("DELETE", `/api/tasks/${id}`))}>Delete</button>
    </li>
  );

  return (
    <>
      {error && <p role="alert">{error}</p>}
      <form onSubmit={onSubmit((fields) => send("POST", "/api/tasks", fields))}>
        <input name="title" placeholder="What is to do?" />
        <button>Add</button>
      </form>
      <h2>To do</h2>
      <ol aria-label="To do">{pending.map(row)}</ol>
      <h2>Done</h2>
      <ol aria-label="Done">{completed.map(row)}</ol>
      <form action={(form) => run(async () => setOpened(await api<Task>(`/api/tasks/${form.get("id")}`)))}>
        <input name="id" placeholder="Number of a task" />
        <button>Open</button>
      </form>
      {opened && (
        <form key={opened.id} onSubmit={onSubmit((fields) => send("PUT", `/api/tasks/${opened.id}`, fields))}>
          <input name="title" aria-label="Title" defaultValue={opened.title} />
          <input name="description" aria-label="Description" defaultValue={opened.description ?? ""} />
          <button>Save</button>
        </form>
      )}
    </>
  );
}
