/** What libzmq's own tests say of ZAP handlers, as facts about these sockets: docs/zmq-libzmq-tests.md has the table. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import { Context, Pull, Push, Reply, type EventType } from "../../../src/zmq/index.ts";
import { closing, nextEvent } from "../../support/zmq.ts";

interface Fault {
  readonly name: string;
  /** [version, request id, status, text, user, metadata] → what it answers. */
  readonly answer: (right: string[]) => string[];
  readonly type: EventType;
  readonly code: string;
  readonly status?: number;
}

const PROTOCOL = "handshake:error:protocol";
const FAULTS: readonly Fault[] = [
  { name: "answers with another version", answer: (r) => r.with(0, "2.0"), type: PROTOCOL, code: "ERR_ZAP_BAD_VERSION" },
  { name: "answers another request", answer: (r) => r.with(1, "x"), type: PROTOCOL, code: "ERR_ZAP_BAD_REQUEST_ID" },
  { name: "answers with no status", answer: (r) => r.with(2, "invalid"), type: PROTOCOL, code: "ERR_ZAP_INVALID_STATUS_CODE" },
  { name: "answers in too many parts", answer: (r) => [...r, ""], type: PROTOCOL, code: "ERR_ZAP_MALFORMED_REPLY" },
  { name: "answers 300", answer: (r) => r.with(2, "300"), type: "handshake:error:auth", code: "ERR_ZMTP_REFUSED", status: 300 },
  { name: "answers 500", answer: (r) => r.with(2, "500"), type: "handshake:error:auth", code: "ERR_ZMTP_REFUSED", status: 500 },
];

async function guarded(t: Parameters<typeof closing>[0], context: Context, options = {}): Promise<{ pull: Pull; push: Push }> {
  const pull = closing(t, new Pull({ context, zapDomain: "farm", ...options }));
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push({ context }));
  return { pull, push };
}

for (const fault of FAULTS)
  test(`a ZAP handler that ${fault.name}: the client is not let in`, async (t) => {
    const context = new Context();
    const handler = closing(t, new Reply({ context }));
    await handler.bind("inproc://zeromq.zap.01");
    const { pull, push } = await guarded(t, context);
    const told = nextEvent(pull, fault.type);
    push.connect(pull.lastEndpoint!);
    const [, id] = await handler.receive();
    await handler.send(fault.answer(["1.0", String(id), "200", "", "", ""]));
    const { error } = (await told) as unknown as { readonly error: Error & { status?: number } };
    assert.deepEqual([codeOf(error), error.status], [fault.code, fault.status]);
    assert.equal(pull.readable, false);
  });

for (const [name, silence] of [
  ["closes before it answers", "close"],
  ["takes no request", "deaf"],
  ["never answers", "mute"],
] as const)
  test(`a ZAP handler that ${name} lets nobody in, and costs the handshake's time at most`, async (t) => {
    const context = new Context();
    const handler = closing(t, new Reply({ context }));
    await handler.bind("inproc://zeromq.zap.01");
    const { pull, push } = await guarded(t, context, { handshakeInterval: 100 });
    const failed = new Promise<void>((resolve) => {
      for (const type of ["handshake:error:other", "handshake:error:auth", "handshake:error:protocol"] as const)
        pull.events.on(type, () => resolve());
    });
    push.connect(pull.lastEndpoint!);
    if (silence !== "deaf") await handler.receive();
    if (silence === "close") await handler.close();
    await failed;
    assert.equal(pull.readable, false);
  });

test("where no ZAP handler is bound, zapEnforceDomain lets nobody in", async (t) => {
  const context = new Context();
  const { pull, push } = await guarded(t, context, { zapEnforceDomain: true });
  const told = nextEvent(pull, "handshake:error:auth");
  push.connect(pull.lastEndpoint!);
  assert.equal((await told).error.status, 500);
  const open = await guarded(t, context);
  open.push.connect(open.pull.lastEndpoint!);
  await open.push.send("hello");
  assert.equal(String((await open.pull.receive())[0]), "hello");
});
