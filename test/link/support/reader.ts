/** Collects what a process says, and waits until it has said something; fails with all it said after 10 s. */
const PATIENCE_MS = 10_000;

export interface Reader {
  text(): string;
  until(pattern: RegExp): Promise<RegExpExecArray>;
}

export function reader(stream: NodeJS.ReadableStream): Reader {
  let text = "";
  const waiting = new Set<() => void>();
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    for (const check of waiting) check();
  });
  return {
    text: () => text,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${pattern} within 10 s in: ${text}`)), PATIENCE_MS);
        const check = (): void => {
          const match = pattern.exec(text);
          if (!match) return;
          clearTimeout(timer);
          waiting.delete(check);
          resolve(match);
        };
        waiting.add(check);
        check();
      }),
  };
}
