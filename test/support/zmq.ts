/** Help for tests of sockets: closing them, waiting for their events, running pyzmq. */
import { execFile } from "node:child_process";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import type { EventOfType, EventType, Socket } from "../../src/zmq/index.ts";

const run = promisify(execFile);

/** Closes a socket after the test, without waiting for what is unsent. */
export function closing<S extends Socket>(t: TestContext, socket: S): S {
  t.after(() => {
    socket.linger = 0;
    return socket.close();
  });
  return socket;
}

/** The next event of a type. */
export function nextEvent<E extends EventType>(socket: Socket, type: E): Promise<EventOfType<E>> {
  return new Promise((resolve) => {
    const listener = (event: EventOfType<E>): void => {
      socket.events.off(type, listener);
      resolve(event);
    };
    socket.events.on(type, listener);
  });
}

/** Runs a script with pyzmq; what it prints. `zmq`, `sys` and `context` are there; arguments from `sys.argv[1]` on. */
export async function python(script: string, ...args: readonly string[]): Promise<string> {
  const prelude = "import sys, zmq\ncontext = zmq.Context()\n";
  const { stdout } = await run("/usr/bin/python3", ["-c", `${prelude}${script}\ncontext.destroy()`, ...args], {
    timeout: 20_000,
  });
  return stdout;
}

/** Polls until a condition holds; fails after 5 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited 5 s in vain for ${what}`);
    await new Promise(setImmediate);
  }
}
