"use client";

import { useEffect, useState } from "react";
import { listTasks } from "@/lib/list-tasks";

export default function Page() {
  const [tasks, setTasks] = useState<{ id: number; title: string }[]>();
  const [error, setError] = useState<string>();
  useEffect(() => void listTasks().then(setTasks, (error: Error) => setError(error.message)), []);
  return (
    <main>
      {error && <p role="alert">{error}</p>}
      <ul>{tasks?.map(({ id, title }) => <li key={id}>{title}</li>)}</ul>
    </main>
  );
}
