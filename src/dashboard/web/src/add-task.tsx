/** ● The form that adds a task by hand. */
import { useState } from "preact/hooks";
import { Card, useAction } from "./components.tsx";
import { act } from "./live.ts";
import { go } from "./route.ts";

export function AddTask({ queue }: { queue: string }) {
  const [name, setName] = useState<string>();
  const [body, setBody] = useState("");
  const [delayS, setDelayS] = useState("0");
  const { run, said } = useAction();
  const into = name ?? queue;
  const add = (event: Event): void => {
    event.preventDefault();
    run(async () => {
      const delayMs = Math.round(Number(delayS) * 1000);
      const { id } = await act<{ id: string }>(`/api/v1/queues/${encodeURIComponent(into)}/tasks`, {
        bodyBase64: inBase64(body),
        delayMs,
      });
      if (into !== queue) go({ view: "queue", name: into, query: {} });
      return `Task ${id} was stored.`;
    });
  };
  return (
    <Card title="Add a task" wide>
      <form class="add" onSubmit={add}>
        <label>
          Queue <input value={into} onInput={(event) => setName(event.currentTarget.value)} maxLength={255} required />
        </label>
        <label>
          Delay in seconds{" "}
          <input type="number" min={0} max={86_400} value={delayS} onInput={(event) => setDelayS(event.currentTarget.value)} />
        </label>
        <label class="body">
          Body <textarea rows={3} value={body} onInput={(event) => setBody(event.currentTarget.value)} />
        </label>
        <button type="submit">Add task</button>
      </form>
      {said}
    </Card>
  );
}

/** The text's UTF-8 bytes: a body is what was typed, whether JSON or not. */
function inBase64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}
