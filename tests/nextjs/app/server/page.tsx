import { redirect } from "next/navigation";
import { serverApi } from "@/lib/server-api";
import type { Task } from "../tasks";

/** Ask the backend; what goes wrong comes back as a value, since Next.js hides what a server throws in production. */
const ask = <T,>(path: string, init?: RequestInit): Promise<{ data?: T; error?: string }> =>
  serverApi<T>(path, init).then((data) => ({ data }), (error: Error) => ({ error: error.message }));

async function act(method: string, path: string, form: FormData) {
  "use server";
  const { error } = await ask(path, { method, body: JSON.stringify({ title: form.get("title") }) });
  redirect(error ? `/server?error=${encodeURIComponent(error)}` : "/server");
}

type Query = { searchParams: Promise<{ error?: string; task?: string }> };

export default async function ServerPage({ searchParams }: Query) {
  const { error, task } = await searchParams;
  const answer = await ask<Task | Task[]>(task ? `/api/tasks/${task}` : "/api/tasks");
  const message = error ?? answer.error;
  return (
    <main>
      <h1>Tasks, by the server</h1>
      {message && <p role="alert">{message}</p>}
      <form action={act.bind(null, "POST", "/api/tasks")}>
        <input name="title" placeholder="What is to do?" />
        <button>Add</button>
      </form>
      <ol>
        {[answer.data ?? []].flat().map(({ id, title, completed }) => (
          <li key={id} value={id}>
            <form>
              <input name="title" aria-label="Title" defaultValue={title} />
              <button formAction={act.bind(null, "PUT", `/api/tasks/${id}`)}>Save</button>
              <button formAction={act.bind(null, "PATCH", `/api/tasks/${id}/complete`)}>Toggle</button>
              <button formAction={act.bind(null, "DELETE", `/api/tasks/${id}`)}>Delete</button>
              {completed && "done"}
            </form>
          </li>
        ))}
      </ol>
    </main>
  );
}
