/**
 * ○ The native protocol, HQ1, on one connection (docs/queue-protocol.md). A connection may be producer, watcher and worker at once.
 * Invariant: each request gets its answer, or the connection ends.
 */
import { Buffer } from "node:buffer";
import { HoldfastError, ProtocolError } from "../../../core/errors.ts";
import type { AskedRights } from "../../../access/access-table.ts";
import { unknownTask } from "../../service/admin-commands.ts";
import type { CronTable } from "../../service/cron.ts";
import type { TaskService } from "../../service/task-service.ts";
import type { ProtocolHandler, PeerConnection } from "../protocol-handler.ts";
import { runOperation } from "../../operations/run-operation.ts";
import { knowsTask, mustOfTask } from "../../operations/admission.ts";
import { changeAsOf01, inspectAsOf01, type OldVerb } from "./version-0.1-verbs.ts";
import { submitBatch } from "./batch-submissions.ts";
import { NativeWriter, STATE } from "./native-writer.ts";
import { OutcomeSubscriptions } from "./outcome-subscriptions.ts";
import { type Keepers, WorkerCommands } from "./worker-commands.ts";
import { EACH_BYTES_MAX, HEARTBEATS_MISSED_MAX, OPTIONS_BYTES_MAX } from "../../limits.ts";
import { RecordBatchReader } from "../record-batch.ts";
import {
  readKey,
  readSpec,
  readSpecs,
  type SpecContext,
  SPEC_DEFAULT,
  type TaskOptions,
  type TaskSpec,
} from "../../tasks/task-policy.ts";
import {
  asBuffer,
  EMPTY_FRAME,
  type Frames,
  type IdText,
  readNumber,
  readObject,
  readText,
  REQUEST_BYTES_MAX,
  type VerbIn,
  type VerbOut,
  verbOf,
} from "../messages.ts";
import type { Submission, SubmissionAnswer } from "../../service/submissions.ts";

export interface NativeHandlerOptions {
  readonly service: TaskService;
  readonly ids: IdText;
  readonly cron: CronTable;
  /** The peer is a REQ: exactly one answer to each request, and no work. */
  readonly oneAnswer: boolean;
  readonly keepers: Keepers;
  /** How many requests the peer may have open. */
  readonly openMax: number;
}

/** "{": a frame that is a JSON object. */
const OBJECT_BEGIN = 0x7b;

const NOT_FOR_REQ: ReadonlySet<string> = new Set(
  "WORK BEGUN DONE FAIL RETURN PROGRESS PARTIAL HOLD HISTORY STEP BYE UNWATCH ADDS CALLS BEGUNS DONES".split(" "),
);

export class NativeHandler implements ProtocolHandler {
  readonly #options: NativeHandlerOptions;
  readonly #service: TaskService;
  readonly #ids: IdText;
  readonly #connection: PeerConnection;
  readonly #writer: NativeWriter;
  readonly #subscriptions: OutcomeSubscriptions;
  readonly #work: WorkerCommands;
  #heartbeatMs = 0;
  #heardMs: number | undefined;
  #lastOptions: { readonly frame: Buffer; readonly spec: TaskSpec } | undefined;

  constructor(connection: PeerConnection, options: NativeHandlerOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#service = options.service;
    this.#ids = options.ids;
    this.#writer = new NativeWriter({ ...options, connection });
    this.#subscriptions = new OutcomeSubscriptions({ ...options, connection, writer: this.#writer });
    this.#work = new WorkerCommands({ ...options, connection, writer: this.#writer });
  }

  receive(frames: Frames): void {
    this.#heardMs = undefined;
    this.#work.heard();
    const verb = verbOf(frames[1]);
    try {
      const handle = verb && HANDLERS[verb as VerbIn];
      if (!handle || (this.#options.oneAnswer && NOT_FOR_REQ.has(verb))) {
        throw new ProtocolError("QUEUE_PROTOCOL", `Cannot use ${show8(frames[1])} on this kind of connection`);
      }
      handle(this, frames);
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code === "ASSERTION_FAILED") throw error;
      const rid = frames[2];
      // Without a request's number the error is about the message.
      this.#refuse(rid && rid.length <= REQUEST_BYTES_MAX ? rid : EMPTY_FRAME, error);
    }
  }

  gone(): void {
    this.#work.leaveAll({ lost: true });
    this.#subscriptions.closeAll();
    this.#service.ring.leave(this.#connection);
  }

  tick(nowMs: number): void {
    if (this.#heartbeatMs === 0) return;
    this.#heardMs ??= nowMs;
    if (nowMs - this.#heardMs <= this.#heartbeatMs * HEARTBEATS_MISSED_MAX) return;
    this.#work.leaveAll({ lost: true });
    this.#connection.close(`no heartbeat for ${HEARTBEATS_MISSED_MAX} x ${this.#heartbeatMs} ms`);
  }

  // ---- anyone

  hello(frames: Frames): void {
    const many = !this.#options.oneAnswer && !this.#service.single;
    if (frames[3]) {
      const peer = readObject(frames[3]);
      this.#writer.readsBatches = many && peer["many"] === 1;
      this.#writer.readsEvicted = peer["evicted"] === 1;
      this.#writer.readsTraces = peer["traces"] === 1;
      this.#writer.readsSteps = peer["steps"] === 1;
      this.#work.introduced({ saysBegun: peer["begun"] === 1, host: peer["process"], keeps: peer["keeps"] === 1 });
    }
    const { route } = this.#connection;
    const about = {
      broker: this.#ids.broker,
      version: 1,
      // How much others have to do is not everybody's business.
      load: (this.#rights?.mayAll("queue:see") ?? true) ? this.#service.load : 0,
      ...(many && { many: 1 }),
      ...(!this.#options.oneAnswer && { begun: 1, keeps: 1, traces: 1, steps: 1 }),
      ...(route && { term: route.term }),
      ...(route?.isRelayed && { relayed: 1 }),
    };
    this.#say("WELCOME", request(frames), json(about));
  }

  beat(): void {
    this.#say("BEAT");
  }

  bye(): void {
    this.#work.leaveAll({ lost: false });
  }

  // ---- producers and watchers

  add(frames: Frames): void {
    const [, , , queue, options, ...bodies] = frames;
    const rid = request(frames);
    const answer: SubmissionAnswer = {
      owner: this.#connection,
      added: (ids) => this.#say("ADDED", rid, ...ids.map((id) => this.#ids.write(id))),
      refused: (error) => this.#refuse(rid, error),
    };
    const into = this.#mayAdd(readText(queue));
    this.#service.add({ queue: into, ...this.#specs(options, bodies.length), bodies }, answer);
  }

  call(frames: Frames): void {
    const [, , , queue, options, ...bodies] = frames;
    const rid = request(frames);
    const { oneAnswer } = this.#options;
    if (oneAnswer && bodies.length > 1)
      throw new ProtocolError("QUEUE_PROTOCOL", "Cannot CALL with several bodies from a REQ socket");
    const into = this.#mayAdd(readText(queue));
    const watch = this.#subscriptions.open(rid);
    const answer: SubmissionAnswer = {
      owner: this.#connection,
      added: (ids) => {
        for (const id of ids) {
          if (this.#subscriptions.isOpen) watch.open.add(id);
          else this.#service.unwatch(id, watch);
        }
        if (!oneAnswer) this.#say("ADDED", rid, ...ids.map((id) => this.#ids.write(id)));
      },
      refused: (error) => {
        this.#subscriptions.forget(watch);
        this.#refuse(rid, error);
      },
    };
    this.#service.add({ queue: into, ...this.#specs(options, bodies.length), bodies, watcher: watch }, answer);
  }

  adds(frames: Frames): void {
    this.#submitBatch(frames, false);
  }

  calls(frames: Frames): void {
    this.#submitBatch(frames, true);
  }

  watch(frames: Frames): void {
    const rid = request(frames);
    const named = frames.slice(3, this.#options.oneAnswer ? 4 : undefined);
    if (named.length === 0) throw unknownTask();
    const watch = this.#subscriptions.open(rid);
    const unknown: Buffer[] = [];
    for (const frame of named) {
      const read = this.#ids.read(frame);
      const id = knowsTask(this.#service, this.#rights, read) ? read : undefined;
      if (id !== undefined) watch.open.add(id);
      if (id !== undefined && this.#service.watch(id, watch)) continue;
      if (id !== undefined) watch.open.delete(id);
      unknown.push(frame);
    }
    if (watch.open.size === 0) this.#subscriptions.forget(watch);
    for (const frame of unknown) this.#say("ENDED", rid, frame, STATE.unknown, EMPTY_FRAME);
  }

  unwatch(frames: Frames): void {
    this.#subscriptions.close(request(frames));
  }

  cancel(frames: Frames): void {
    const rid = request(frames);
    const id = this.#taskNumber(frames[3]);
    const asked = this.#ids.text(id);
    mustOfTask({ ...this.#options, rights: this.#rights }, asked, "queue:manage");
    const refusal = this.#service.adminCommands.cancel(id, () => this.#say("OK", rid));
    if (refusal) throw refusal;
    this.#did("cancel", { id: asked });
  }

  // ---- workers

  work(frames: Frames): void {
    const heartbeatMs = frames[5]?.length ? readNumber(frames[5]) : undefined;
    if (!this.#mayWork(readText(frames[2]))) return;
    this.#work.offer(readText(frames[2]), frames.slice(3));
    if (heartbeatMs !== undefined) this.#heartbeatMs = heartbeatMs;
  }

  begun(frames: Frames): void {
    this.#work.begun(frames);
  }

  beguns(frames: Frames): void {
    this.#work.beguns(new RecordBatchReader(frames[2]));
  }

  done(frames: Frames): void {
    this.#work.done(frames);
  }

  dones(frames: Frames): void {
    this.#work.dones(new RecordBatchReader(frames[2]));
  }

  fail(frames: Frames): void {
    this.#work.fail(frames);
  }

  giveBack(frames: Frames): void {
    this.#work.giveBack(frames);
  }

  progress(frames: Frames): void {
    this.#work.progress(frames);
  }

  partial(frames: Frames): void {
    this.#work.partial(frames);
  }

  hold(frames: Frames): void {
    if (this.#mayWork(readText(frames[2]))) this.#work.hold(readText(frames[2]), frames.slice(3));
  }

  history(frames: Frames): void {
    this.#work.history(frames);
  }

  step(frames: Frames): void {
    this.#work.step(frames, (options) => readSpec(options, this.#specContext));
  }

  // ---- inspection

  operate(frames: Frames): void {
    const [, , , name, input, by, body] = frames;
    const scope = { ...this.#options, owner: this.#connection, rights: this.#rights };
    const actor = { peer: this.#connection.peer, by: readText(by) || undefined };
    this.#later(frames, async () => {
      const asked = { name: readText(name), input: readObject(input), body };
      const answer = await runOperation(scope, actor, asked);
      const value = answer.json ?? json(answer.value);
      return answer.body ? [value, asBuffer(answer.body)] : [value];
    });
  }

  /** Of version 0.1. */
  inspect(frames: Frames): void {
    const verb = readText(frames[1]) as OldVerb;
    // Its answers are of all queues.
    for (const action of ["queue:see", "queue:manage"] as const)
      if (this.#rights && !this.#rights.mayAll(action)) throw this.#rights.refused(action, "*");
    if (verb === "RETRY" || verb === "SET" || (verb === "CRON" && frames[3])) {
      const rid = request(frames);
      changeAsOf01(verb, this.#options, frames.slice(3), () => this.#say("OK", rid));
      this.#did(verb.toLowerCase(), { of: readText(frames[3]) });
    } else this.#later(frames, async () => inspectAsOf01(verb, this.#options, frames.slice(3)));
  }

  // ---- rights

  get #rights(): AskedRights | undefined {
    return this.#connection.rights;
  }

  #mayAdd(queue: string): string {
    this.#rights?.must("queue:add", queue);
    return queue;
  }

  /** A worker's message has no request number: it is told without. */
  #mayWork(queue: string): boolean {
    if (this.#rights?.may("queue:work", queue) ?? true) return true;
    this.#refuse(EMPTY_FRAME, this.#rights!.refused("queue:work", queue));
    return false;
  }

  /** Who did what, of commands that are no operation. */
  #did(operation: string, asked: object): void {
    const { peer } = this.#connection;
    this.#service.log("queue.operation", { operation, user: this.#rights?.user, peer, asked: JSON.stringify(asked) });
  }

  // ---- helpers

  #say(verb: VerbOut, ...rest: Buffer[]): void {
    this.#writer.say(verb, ...rest);
  }

  #submitBatch(frames: Frames, watched: boolean): void {
    const [, , queue, options, records] = frames;
    const name = readText(queue);
    submitBatch(
      { queue: name, spec: () => (this.#mayAdd(name), this.#spec(options)), records, watched },
      {
        connection: this.#connection,
        service: this.#service,
        ids: this.#ids,
        writer: this.#writer,
        subscriptions: this.#subscriptions,
      },
    );
  }

  #refuse(rid: Buffer, error: HoldfastError): void {
    this.#say("REFUSED", rid, Buffer.from(error.code), Buffer.from(error.message));
  }

  /** Begins nothing for a request that cannot be answered: its failure would be nobody's. */
  #later(frames: Frames, answer: () => Promise<readonly Buffer[]>): void {
    const rid = request(frames);
    const { guard } = this.#service;
    const owner = this.#connection;
    answer().then(
      (rest) => guard.run(() => this.#say("DATA", rid, ...rest), owner),
      (error: unknown) => {
        if (error instanceof HoldfastError && error.code !== "ASSERTION_FAILED")
          guard.run(() => this.#refuse(rid, error), owner);
        else guard.report(error, { owner });
      },
    );
  }

  /** Successive options are mostly the same bytes: those without times in them are read once. */
  #spec(frame: Buffer | undefined): TaskSpec {
    if (!frame || frame.length === 0) return SPEC_DEFAULT;
    if (this.#lastOptions && this.#lastOptions.frame.equals(frame)) return this.#lastOptions.spec;
    if (frame.length > OPTIONS_BYTES_MAX) throw new ProtocolError("QUEUE_PROTOCOL", "Cannot read options of more than 64 KiB");
    // "=KEY" is short for {"key":KEY}: what every submission of our client has.
    if (frame[0] === 0x3d) return { ...SPEC_DEFAULT, key: readKey(frame.toString("utf8", 1)) };
    const options = readObject(frame) as TaskOptions;
    const spec = readSpec(options, this.#specContext);
    if (spec.dueMs === 0 && spec.runAtMs === undefined && spec.expiresMs === Infinity && spec.key === "")
      this.#lastOptions = { frame: Buffer.from(frame), spec };
    return spec;
  }

  get #specContext(): SpecContext {
    const { nowMs, wallMs } = this.#service;
    return { nowMs, wallMs, numberOf: (id) => this.#numberOf(id) };
  }

  /** What a task is to wait for must be known to who adds it. */
  #numberOf(id: string): number | undefined {
    const number = this.#ids.number(id);
    return knowsTask(this.#service, this.#rights, number) ? number : undefined;
  }

  /** Of a submission of several bodies, each of which may ask for something else. */
  #specs(frame: Buffer | undefined, count: number): Pick<Submission, "spec" | "specs"> {
    if (frame?.[0] !== OBJECT_BEGIN || !frame.includes('"each"')) return { spec: this.#withKey(this.#spec(frame)) };
    const { each, ...common } = readObject(frame, EACH_BYTES_MAX) as TaskOptions;
    const context = this.#specContext;
    return { spec: this.#withKey(readSpec(common, context)), specs: readSpecs({ ...common, each }, count, context) };
  }

  /** A submission that a broker of the group may have to send again gets that broker's key. */
  #withKey(spec: TaskSpec): TaskSpec {
    const { idempotencyKey } = this.#connection;
    return idempotencyKey && spec.key === "" ? { ...spec, key: idempotencyKey } : spec;
  }

  #taskNumber(frame: Buffer | undefined): number {
    const number = this.#ids.read(frame);
    if (number === undefined) throw unknownTask();
    return number;
  }
}

const HANDLERS: Readonly<Record<VerbIn, (handler: NativeHandler, frames: Frames) => void>> = {
  HELLO: (handler, frames) => handler.hello(frames),
  BEAT: (handler) => handler.beat(),
  BYE: (handler) => handler.bye(),
  ADD: (handler, frames) => handler.add(frames),
  CALL: (handler, frames) => handler.call(frames),
  WATCH: (handler, frames) => handler.watch(frames),
  UNWATCH: (handler, frames) => handler.unwatch(frames),
  CANCEL: (handler, frames) => handler.cancel(frames),
  WORK: (handler, frames) => handler.work(frames),
  ADDS: (handler, frames) => handler.adds(frames),
  CALLS: (handler, frames) => handler.calls(frames),
  BEGUN: (handler, frames) => handler.begun(frames),
  BEGUNS: (handler, frames) => handler.beguns(frames),
  DONE: (handler, frames) => handler.done(frames),
  DONES: (handler, frames) => handler.dones(frames),
  FAIL: (handler, frames) => handler.fail(frames),
  RETURN: (handler, frames) => handler.giveBack(frames),
  PROGRESS: (handler, frames) => handler.progress(frames),
  PARTIAL: (handler, frames) => handler.partial(frames),
  HOLD: (handler, frames) => handler.hold(frames),
  HISTORY: (handler, frames) => handler.history(frames),
  STEP: (handler, frames) => handler.step(frames),
  OPERATE: (handler, frames) => handler.operate(frames),
  SHOW: (handler, frames) => handler.inspect(frames),
  LIST: (handler, frames) => handler.inspect(frames),
  STATS: (handler, frames) => handler.inspect(frames),
  PURGE: (handler, frames) => handler.inspect(frames),
  RETRY: (handler, frames) => handler.inspect(frames),
  SET: (handler, frames) => handler.inspect(frames),
  CRON: (handler, frames) => handler.inspect(frames),
};

function request(frames: Frames): Buffer {
  const rid = frames[2];
  if (!rid || rid.length === 0 || rid.length > REQUEST_BYTES_MAX) {
    throw new ProtocolError("QUEUE_PROTOCOL", `Invalid request number: it must have 1 to ${REQUEST_BYTES_MAX} bytes`);
  }
  return rid;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function show8(frame: Buffer | undefined): string {
  return frame ? `'${frame.subarray(0, 8).toString("latin1")}'` : "a message without a verb";
}
