/**
 * The server of the conversations in vectors.json, and of clients/python's tests: topics are allowed, "refuse" is refused, "ask" is answered, a
 * stream's length is told; "stream" is answered with a stream.
 */
import { listen } from "../../../src/link/index.ts";
import type { SessionServer } from "../../../src/link/index.ts";

export async function vectorServer(): Promise<SessionServer> {
  return listen({
    port: 0,
    session: {
      topics: {},
      onMessage(session, message, number) {
        const text = Buffer.from(message).toString();
        if (text === "refuse") throw new Error("no");
        if (text === "ask") session.send(`answer ${number}`).catch(() => {});
        if (text === "stream") session.sendStream(Array.from({ length: 30 }, () => "x".repeat(100_000))).catch(() => {});
      },
      async onStream(session, stream) {
        let bytes = 0;
        for await (const piece of stream) bytes += piece.length;
        await session.send(`stream of ${bytes}`);
      },
    },
  });
}
