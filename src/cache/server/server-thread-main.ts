/** ● The program of a further server thread: opens the store and serves it until it gets "close". */
import { parentPort, workerData } from "node:worker_threads";
import { AccessControl } from "../../access/access-control.ts";
import { present } from "../../core/assert.ts";
import { systemClock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import { StoreLock } from "../store/store-lock.ts";
import { Memory } from "../store/memory.ts";
import { ThreadServer } from "./thread-server.ts";
import type { FromThread, ServerThreadOptions, ToThread } from "./server-thread.ts";

const SECOND_MS = 1000;

const { handle, options, thread, listen, udp, busAddress, access: file } = workerData as ServerThreadOptions;
const port = present(parentPort, "this file runs in a worker thread");
const tell = (message: FromThread): void => port.postMessage(message);

/** The first thread counts and logs. */
const access = file === undefined ? undefined : new AccessControl(file, (_, facts) => tell({ event: "refused", facts }));
const memory = Memory.open(handle);
const threadServer = new ThreadServer({
  memory,
  options: { ...options, ...(access && { access }) },
  clock: systemClock,
  thread,
  lock: new StoreLock(memory.atomics),
  busAddress,
  askShutdown: (how) => tell({ event: "shutdown", how }),
});

port.on("message", (message: ToThread) => {
  if (message === "reload") {
    reload();
    return;
  }
  void threadServer.close().then(() => tell({ event: "closed" }));
});

/** The first thread has just read the same files. An error here is logged, and what is in use stays. */
function reload(): void {
  try {
    access?.reload();
    threadServer.reload();
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
  }
}

function watchIdle(): void {
  threadServer.closeIdle();
  systemClock.at(systemClock.now() + SECOND_MS, watchIdle);
}

try {
  for (const address of listen) await threadServer.listenTo(address, true);
  for (const address of udp) await threadServer.listenToDatagrams(address, true);
  watchIdle();
  tell({ event: "listening" });
} catch (error) {
  tell({ event: "failed", message: messageOf(error) });
}
