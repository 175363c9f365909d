/** ● Producer and worker of the traced task, in a process that is not traced: calls a task when told, says when it has the result. */
import { queue, worker } from "../../src/queue/index.ts";

const jobs = queue<string, string>("jobs", { url: process.argv[2]! });
const running = worker(jobs, (payload) => payload, { signals: [] });
process.on("message", () => void jobs.call("payload").then(() => process.send!("done")));
process.on("disconnect", () => void running.close().then(() => jobs.close()));
