/** Frames as vectors.json writes them: names as the protocol page has them, bytes in hex, numbers of messages as keys. */
import {
  byeBody,
  challengeBody,
  gapBody,
  helloBody,
  partBody,
  progressBody,
  receiptBody,
  refuseBody,
  topicBody,
  welcomeBody,
} from "../../../src/link/session/body.ts";
import type { Receipt, Terms } from "../../../src/link/session/body.ts";
import type { SessionFrameName } from "../../../src/link/session/session-frame.ts";

export type Fields = Readonly<Record<string, unknown>>;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: unknown): Uint8Array => Uint8Array.from(Buffer.from(text as string, "hex"));

function receiptFields({ done, rejects, ranges }: Receipt): Fields {
  return { done, refused: Object.fromEntries(rejects), ranges: (ranges ?? []).map(({ from, to }) => [from, to]) };
}

function toReceipt({ done, refused, ranges }: Fields): Receipt {
  const rejects = new Map(Object.entries(refused as Record<string, string>).map(([number, why]) => [Number(number), why]));
  return { done: done as number, rejects, ranges: (ranges as [number, number][]).map(([from, to]) => ({ from, to })) };
}

function termsFields({ arrived, receipt, partial, messageBytesMax, window, windowBytes }: Terms): Fields {
  const parts = Object.fromEntries(partial ?? []);
  return { arrived, ...receiptFields(receipt), parts, messageMax: messageBytesMax, window, windowBytes };
}

function toTerms(fields: Fields): Terms {
  const { arrived, parts, messageMax, window, windowBytes } = fields as Record<string, number> & { parts: object };
  return {
    arrived: arrived!,
    receipt: toReceipt(fields),
    partial: new Map(Object.entries(parts).map(([number, bytes]) => [Number(number), bytes as number])),
    messageBytesMax: messageMax!,
    window: window!,
    windowBytes: windowBytes!,
  };
}

interface Shape {
  fields(body: Uint8Array): Fields;
  // oxlint-disable-next-line typescript/no-explicit-any -- what a vector's JSON has is checked by its comparison with the bytes
  body(fields: any): Uint8Array;
}

const topicShape: Shape = {
  fields(body) {
    const { bytes, ...rest } = topicBody.decode(body);
    return { ...rest, bytes: hex(bytes) };
  },
  body: ({ bytes, ...rest }) => topicBody.encode({ ...rest, bytes: unhex(bytes) }),
};

const noBody: Shape = { fields: () => ({}), body: () => new Uint8Array(0) };

const SHAPES: Readonly<Record<SessionFrameName, Shape>> = {
  CHALLENGE: {
    fields(body) {
      const { nonce, ...rest } = challengeBody.decode(body);
      return { ...rest, nonce: hex(nonce) };
    },
    body: ({ nonce, ...rest }) => challengeBody.encode({ ...rest, nonce: unhex(nonce) }),
  },
  HELLO: {
    fields(body) {
      const { version, resume, nonce, serverNonce, sessionId, terms, heartbeatMs, name, will, proof } = helloBody.decode(body);
      const ids = { nonce: hex(nonce), ...(serverNonce && { serverNonce: hex(serverNonce) }), sessionId: hex(sessionId) };
      const rest = { terms: termsFields(terms), heartbeatMs, name, will: will ? hex(will) : null, proof: hex(proof) };
      return { version, resume, ...ids, ...rest };
    },
    body: ({ nonce, serverNonce, sessionId, terms, will, proof, ...rest }) =>
      helloBody.encode({
        ...rest,
        nonce: unhex(nonce),
        serverNonce: serverNonce && unhex(serverNonce),
        sessionId: unhex(sessionId),
        terms: toTerms(terms as Fields),
        will: will === null ? undefined : unhex(will),
        proof: unhex(proof),
      }),
  },
  WELCOME: {
    fields(body) {
      const { clientNonce, restarted = false, terms, proof, ...rest } = welcomeBody.decode(body);
      const second = clientNonce && { restarted, clientNonce: hex(clientNonce) };
      return { ...rest, ...second, terms: termsFields(terms), proof: hex(proof) };
    },
    body: ({ clientNonce, terms, proof, ...rest }) =>
      welcomeBody.encode({
        ...rest,
        clientNonce: clientNonce && unhex(clientNonce),
        terms: toTerms(terms as Fields),
        proof: unhex(proof),
      }),
  },
  REFUSE: { fields: (body) => ({ ...refuseBody.decode(body) }), body: (notice) => refuseBody.encode(notice) },
  BYE: { fields: (body) => ({ ...byeBody.decode(body) }), body: (notice) => byeBody.encode(notice) },
  MESSAGE: { fields: (body) => ({ bytes: hex(body) }), body: ({ bytes }) => unhex(bytes) },
  ACK: {
    fields: (body) => receiptFields(receiptBody.decode(body)),
    body: (receipt) => receiptBody.encode(toReceipt(receipt as Fields)),
  },
  GAP: { fields: (body) => ({ next: gapBody.decode(body) }), body: ({ next }) => gapBody.encode(next) },
  PING: noBody,
  PONG: noBody,
  PART: {
    fields(body) {
      const { number, offset, last, givenUp, isStream, isTopic, bytes } = partBody.decode(body);
      return { number, offset, last, givenUp, stream: isStream, topic: isTopic, bytes: hex(bytes) };
    },
    body: ({ stream, topic, bytes, ...rest }) =>
      Buffer.concat([partBody.head({ ...rest, isStream: stream, isTopic: topic }), unhex(bytes)]),
  },
  PROGRESS: {
    fields(body) {
      const { number, bytes } = progressBody.decode(body);
      return { number, count: bytes };
    },
    body: ({ number, count }) => progressBody.encode({ number, bytes: count }),
  },
  TOPIC: topicShape,
  NOTE: topicShape,
};

/** What a frame's body says. */
export function fieldsOf(name: SessionFrameName, body: Uint8Array): Fields {
  return SHAPES[name].fields(body);
}

/** The body that says this. */
export function bodyOf(name: SessionFrameName, fields: Fields): Uint8Array {
  return SHAPES[name].body(fields);
}
