/**
 * vectors.json: what docs/link-protocol.md says, as frames and conversations. clients/python runs them too: frames with its codec, `clients`
 * with its client before a scripted server, `servers` from a bare socket to our server.
 */
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectSocket, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import type { SessionClientOptions, SessionServer } from "../../../src/link/index.ts";
import { helloBody } from "../../../src/link/session/body.ts";
import type { Hello } from "../../../src/link/session/body.ts";
import { SessionClient } from "../../../src/link/session/client/session-client.ts";
import { proofOf } from "../../../src/link/session/proof.ts";
import { encodeFrame, SessionFrameDecoder } from "../../../src/link/session/session-frame.ts";
import type { SessionFrameName } from "../../../src/link/session/session-frame.ts";
import { bodyOf, fieldsOf } from "../support/frame-values.ts";
import type { Fields } from "../support/frame-values.ts";
import { matches, repeated, ScriptedPeer } from "../support/scripted-peer.ts";
import type { Known } from "../support/scripted-peer.ts";
import { vectorServer } from "../support/vector-server.ts";

type Step = Readonly<Record<string, unknown>>;

interface Conversation {
  readonly fact: string;
  readonly options?: Readonly<Record<string, string | number>>;
  readonly steps: readonly Step[];
}

const vectors = JSON.parse(readFileSync(join(import.meta.dirname, "vectors.json"), "utf8")) as {
  readonly frames: { readonly frame: SessionFrameName; readonly what: string; readonly hex: string; readonly fields: Fields }[];
  readonly malformed: { readonly what: string; readonly hex: string; readonly code: string }[];
  readonly proofs: { what: string; token: string; hello: Fields; clientProof: string; serverProof: string }[];
  readonly defaults: Readonly<Record<string, Fields>>;
  readonly clients: Conversation[];
  readonly servers: Conversation[];
};

suite("frames", () => {
  for (const { frame, what, hex, fields } of vectors.frames)
    test(`${frame}${what && `: ${what}`}`, () => {
      const decoder = new SessionFrameDecoder({ messageBytesMax: 1_048_576 });
      decoder.push(Buffer.from(hex, "hex"));
      const { name, body } = decoder.next()!;
      assert.equal(name, frame);
      assert.deepEqual(fieldsOf(name, body), fields);
      assert.equal(Buffer.from(encodeFrame(frame, bodyOf(frame, fields))).toString("hex"), hex);
    });
  for (const { what, hex, code } of vectors.malformed)
    test(`${what} is refused`, () => {
      const decoder = new SessionFrameDecoder({ messageBytesMax: 1_048_576 });
      decoder.push(Buffer.from(hex, "hex"));
      assert.throws(
        () => {
          const { name, body } = decoder.next()!;
          fieldsOf(name, body);
        },
        { code },
      );
    });
  for (const { what, token, hello, clientProof, serverProof } of vectors.proofs)
    test(`proofs: ${what}`, () => {
      const body = bodyOf("HELLO", hello);
      const said: Hello = helloBody.decode(body);
      const hmac = (key: string, parts: readonly Uint8Array[]): Uint8Array => {
        const sum = createHmac("sha256", key);
        for (const part of parts) sum.update(part);
        return sum.digest();
      };
      const challenge = { nonce: said.serverNonce!, tokenRequired: true, version: 2 as const };
      const proof = (side: "client" | "server", over: Uint8Array): string =>
        Buffer.from(proofOf({ hmac }, { side, token, challenge, hello: said, body: over })).toString("hex");
      assert.equal(proof("client", body), clientProof);
      assert.equal(proof("server", said.sessionId), serverProof);
    });
  test("the frames that docs/link-protocol.md shows are among them", () => {
    const page = readFileSync(join(import.meta.dirname, "../../../docs/link-protocol.md"), "utf8");
    const [, shown] = /```bytes\n([^]*?)```/.exec(page)!;
    const frames = shown!.trim().split(/\n(?=\S)/);
    for (const lines of frames) {
      const hex = lines.replace(/^\w+/, "").replaceAll(/#.*$/gm, "").replaceAll(/\s/g, "");
      assert.ok(
        vectors.frames.some((each) => each.hex === hex),
        lines,
      );
    }
  });
});

/** A step's frame with what it leaves out; terms too. */
function full(name: string, fields: Fields): Fields {
  const byDefault = vectors.defaults[name] ?? {};
  const terms = byDefault["terms"] as Fields | undefined;
  const all = terms && { terms: { ...terms, ...(fields["terms"] as Fields | undefined) } };
  return { ...byDefault, ...fields, ...all };
}

/** What the application of a client hears, by kind, to be awaited in order. */
class Heard {
  readonly #values: { readonly kind: string; readonly value: Fields }[] = [];
  #changed = Promise.withResolvers<void>();

  tell(kind: string, value: Fields): void {
    this.#values.push({ kind, value });
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async next(kind: string): Promise<Fields> {
    for (;;) {
      const at = this.#values.findIndex((each) => each.kind === kind);
      if (at >= 0) return this.#values.splice(at, 1)[0]!.value;
      await this.#changed.promise;
    }
  }
}

suite("our client before a scripted server", () => {
  for (const { fact, options = {}, steps } of vectors.clients)
    test(fact, async (t) => {
      const sockets: Socket[] = [];
      const scripted = createServer((socket) => void sockets.push(socket)).listen(0, "127.0.0.1");
      await once(scripted, "listening");
      const { port } = scripted.address() as AddressInfo;
      const heard = new Heard();
      const app = new Application(options, { port, heard });
      t.after(async () => {
        for (const socket of sockets) socket.destroy();
        scripted.close();
        await app.client.close({ within: 0 });
      });
      const known: Known = new Map();
      let peer: ScriptedPeer | undefined;
      let accepted = 0;
      for (const { server, client, raw, accept, cut, fin, outcome, of, app: told, do: act, ...fields } of steps) {
        if (accept) {
          while (sockets.length === accepted) await once(scripted, "connection");
          peer = new ScriptedPeer(sockets[accepted]!);
          accepted += 1;
        }
        if (server) peer!.say(server as SessionFrameName, full(server as string, fields), known);
        if (client) await peer!.hear(client as SessionFrameName, fields, known);
        if (raw) peer!.raw(Buffer.from(raw as string, "hex"));
        if (cut) peer!.cut();
        if (fin) await peer!.ended();
        if (act) app.act(act as string, fields);
        if (outcome) assert.equal(await app.outcomes.get(of as string)!, outcome);
        if (told) {
          const value = await heard.next(told as string);
          assert.ok(matches(value, fields, known), `${told as string} ${JSON.stringify(value)}, not ${JSON.stringify(fields)}`);
        }
      }
    });
});

/** An application of our client: does as it is told, and tells what it hears. A message "refuse" is refused. */
class Application {
  readonly client: SessionClient;
  /** By the text of a message: what became of it. */
  readonly outcomes = new Map<string, Promise<string>>();
  readonly #heard: Heard;
  #holds = false;

  constructor(options: Fields, { port, heard }: { port: number; heard: Heard }) {
    this.#heard = heard;
    const { heartbeatMs, ...rest } = options;
    const session: SessionClientOptions = {
      ...rest,
      ...(heartbeatMs !== undefined && { heartbeat: heartbeatMs as number }),
      onMessage: (message) => {
        const text = Buffer.from(message).toString();
        if (text === "refuse") throw new Error("no");
        heard.tell("message", { text });
        return this.#holds ? new Promise(() => {}) : undefined;
      },
      onTopic: (topic, message, { kept }) => heard.tell("topic", { topic, text: Buffer.from(message).toString(), kept }),
    };
    this.client = new SessionClient({ port, session, reconnect: { base: "1ms", cap: "1ms" } });
    this.client.on("open", (how) => heard.tell("open", { ...how }));
    this.client.on("gap", (gap) => heard.tell("gap", { ...gap }));
    this.client.on("end", ({ reason, cause }) => heard.tell("end", { reason, code: codeOf(cause) }));
    this.client.on("close", ({ reason }) => heard.tell("closed", { reason }));
    this.client.start();
  }

  act(what: string, { text, times, topic, filter, urgent = false, keep = false }: Fields): void {
    const message = repeated((text ?? "") as string, times);
    const done = {
      send: () => this.client.send(message, { urgent: urgent as boolean }),
      note: () => this.client.send(message, { confirm: false }),
      publish: () => this.client.publish(topic as string, message, { keep: keep as boolean }),
      subscribe: () => this.client.subscribe(filter as string).then(() => this.#heard.tell("subscribed", {})),
      unsubscribe: () => this.client.unsubscribe(filter as string),
      close: () => this.client.close(),
      hold: () => Promise.resolve(void (this.#holds = true)),
    }[what]!();
    const outcome = done.then(
      () => "confirmed",
      (error: unknown) => codeOf(error) ?? String(error),
    );
    if (what === "send") this.outcomes.set(text as string, outcome);
  }
}

suite("our server and a scripted client", () => {
  let server: SessionServer;
  before(async () => (server = await vectorServer()));
  after(() => server.close());
  for (const { fact, steps } of vectors.servers)
    test(fact, async (t) => {
      const known: Known = new Map([["$name", randomBytes(8).toString("hex")]]);
      const peers = new Map<unknown, ScriptedPeer>();
      t.after(() => peers.forEach((peer) => peer.cut()));
      for (const { peer: name = "", server: hears, client: says, cut, fin, ...fields } of steps) {
        let peer = peers.get(name);
        if (!peer) peers.set(name, (peer = new ScriptedPeer(connectSocket(server.port, "127.0.0.1"))));
        if (hears) await peer.hear(hears as SessionFrameName, fields, known);
        if (says) {
          for (const word of JSON.stringify(fields).matchAll(/"(\$[a-z])"/g))
            if (!known.has(word[1]!)) known.set(word[1]!, randomBytes(16).toString("hex"));
          known.set("$fresh", randomBytes(16).toString("hex"));
          peer.say(says as SessionFrameName, full(says as string, fields), known);
        }
        if (fin) await peer.ended();
        if (!cut) continue;
        peer.cut();
        peers.delete(name);
      }
    });
});
