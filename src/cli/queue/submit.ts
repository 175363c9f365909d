/** ● `holdfast queue add`, `call` and `signal`: a body from the command line or stdin, ids and results to stdout. */
import { LF } from "../../core/ascii.ts";
import { bytesCodec, queue } from "../../queue/index.ts";
import { bodyField, linesOfStdin, readStdin } from "./bodies.ts";
import { CALLER } from "../../settings/parts.ts";
import { flags, parse } from "../shared/flags.ts";
import { type ClientFlags, clientFlags, readSubmitFlags, type SubmitFlags, submitFlags, withClient } from "./client-flags.ts";

interface AddFlags extends ClientFlags, SubmitFlags {
  readonly lines?: boolean;
}

/** Lines of stdin in one submission: one commit for each thousand. */
const LINES_AT_ONCE = 1000;

export async function add(argv: readonly string[]): Promise<number> {
  const command = clientFlags(submitFlags(flags("queue add", "Submits a task and prints its id once it is stored")))
    .argument("<queue>", "the queue's name")
    .argument("[body]", "the body; '-' or omitted: read stdin")
    .option("--lines", "submit one task for each line of stdin");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<AddFlags>();
  const [name, body] = command.processedArgs as [string, string | undefined];
  return withClient(options, async (client) => {
    const tasks = queue<Uint8Array>(name, { client, codec: bytesCodec });
    const wanted = { ...readSubmitFlags(options), timeout: options.timeout };
    const print = (ids: readonly string[]): void => {
      for (const id of ids) process.stdout.write(options.json ? `${JSON.stringify({ id })}\n` : `${id}\n`);
    };
    const addAll = async (bodies: readonly Uint8Array[]): Promise<void> =>
      print((await tasks.addMany(bodies, wanted)).map(({ id }) => id));
    if (!options.lines) await addAll([await readBody(body)]);
    else for await (const lines of linesOfStdin(LINES_AT_ONCE)) await addAll(lines);
    return 0;
  });
}

export async function signal(argv: readonly string[]): Promise<number> {
  const command = clientFlags(flags("queue signal", "Sends a task a signal, for which its handler waits or will wait"))
    .argument("<id>", "the task's id")
    .argument("<name>", "the signal's name: the first of a name counts")
    .argument("[value]", "its value, as JSON for handlers in TypeScript; '-' or omitted: read stdin");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<ClientFlags>();
  const [id, name, value] = command.processedArgs as [string, string, string | undefined];
  return withClient(options, async (client, timeoutMs) => {
    const body = Buffer.from(await readBody(value));
    const { value: answer } = await client.operate("signal", { id, name }, { timeoutMs, body });
    if (!answer.first) process.stderr.write(`A signal '${name}' had come before: that one counts\n`);
    if (options.json) process.stdout.write(`${JSON.stringify({ id, name, ...answer })}\n`);
    return 0;
  });
}

export async function call(argv: readonly string[]): Promise<number> {
  const command = clientFlags(submitFlags(flags("queue call", "Submits a task, waits for its result and prints it")), CALLER)
    .argument("<queue>", "the queue's name")
    .argument("[body]", "the body; '-' or omitted: read stdin");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<AddFlags>();
  const [name, body] = command.processedArgs as [string, string | undefined];
  return withClient(options, async (client) => {
    const tasks = queue<Uint8Array, Uint8Array>(name, { client, codec: bytesCodec });
    const result = await tasks.call(await readBody(body), { ...readSubmitFlags(options), timeout: options.timeout });
    if (options.json) process.stdout.write(`${JSON.stringify(bodyField("result", result))}\n`);
    else {
      process.stdout.write(result);
      // A pipe gets exactly the result's bytes; on a terminal the prompt must start on a new line.
      if (process.stdout.isTTY && result.at(-1) !== LF) process.stdout.write("\n");
    }
    return 0;
  });
}

async function readBody(body: string | undefined): Promise<Uint8Array> {
  return body === undefined || body === "-" ? readStdin() : Buffer.from(body);
}
