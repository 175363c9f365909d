/** `watch`: the lines that a watcher is sent, in memcached's form. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { test } from "node:test";
import { CacheServer } from "../../../src/cache/index.ts";
import { percentEncode } from "../../../src/memcached/key-encoding.ts";

async function withServer(
  options: { watcherBuffer?: number },
  body: (connect: () => Promise<Client>) => Promise<void>,
): Promise<void> {
  const server = new CacheServer({ listen: "127.0.0.1:0", memory: "2m", itemSize: "1m", ...options });
  await server.listen();
  const clients: Client[] = [];
  try {
    await body(async () => {
      const socket = createConnection({ host: "127.0.0.1", port: Number(server.address.split(":")[1]) });
      await once(socket, "connect");
      clients.push(new Client(socket));
      return clients.at(-1)!;
    });
  } finally {
    for (const client of clients) client.socket.destroy();
    await server.close();
  }
}

class Client {
  readonly socket: Socket;
  #text = "";
  #heard: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.#text += text;
      this.#heard();
    });
  }

  say(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** The next line, without its end. */
  async line(): Promise<string> {
    while (!this.#text.includes("\n")) await new Promise<void>((resolve) => (this.#heard = resolve));
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end).trimEnd();
    this.#text = this.#text.slice(end + 1);
    return line;
  }
}

/** A line without its time and number, which no test can foresee. */
const what = (line: string): string => line.replace(/^ts=\d+\.\d+ gid=\d+ /, "").replace(/cfd=\d+/, "cfd=N");

test("a watcher is told each fetch and store, by whom and of what size", async () => {
  await withServer({}, async (connect) => {
    const [watcher, client] = [await connect(), await connect()];
    watcher.say("watch fetchers mutations\r\n");
    assert.equal(await watcher.line(), "OK");
    client.say("set a\x01b 0 0 4\r\nfour\r\nget a\x01b\r\n");
    assert.equal(what(await watcher.line()), "type=item_get key=a%01b status=not_found clsid=0 cfd=N size=0");
    assert.equal(what(await watcher.line()), "type=item_store key=a%01b status=stored cmd=set ttl=0 clsid=1 cfd=N size=4");
    assert.match(await watcher.line(), /^ts=\d+\.\d+ gid=3 type=item_get key=a%01b status=found clsid=1 cfd=\d+ size=4$/);
  });
});

test("watch alone tells fetches and nothing else; deletions and connections are told where asked for", async () => {
  await withServer({}, async (connect) => {
    const [fetches, rest, client] = [await connect(), await connect(), await connect()];
    fetches.say("watch\r\n");
    rest.say("watch deletions connevents\r\n");
    assert.deepEqual([await fetches.line(), await rest.line()], ["OK", "OK"]);
    client.say("set k 0 0 1\r\nv\r\ndelete k\r\nset k 0 0 1\r\nw\r\nmd k\r\nquit\r\n");
    assert.equal(what(await rest.line()), "type=deleted key=k cmd=delete clsid=1 size=1");
    assert.equal(what(await rest.line()), "type=deleted key=k cmd=md clsid=1 size=1");
    assert.match(what(await rest.line()), /^type=conn_close rip=127\.0\.0\.1 rport=\d+ transport=tcp reason=normal cfd=N$/);
    assert.match(await fetches.line(), /type=item_get/);
  });
});

test("a watcher that does not read is told how many lines it missed, and costs no more than its buffer", async () => {
  await withServer({ watcherBuffer: 8192 }, async (connect) => {
    const [watcher, client] = [await connect(), await connect()];
    watcher.say("watch fetchers\r\n");
    assert.equal(await watcher.line(), "OK");
    watcher.socket.pause();
    const key = "k".repeat(200);
    for (let round = 0; round < 100; round += 1) {
      client.say(`get ${key}\r\n`.repeat(1000));
      for (let answer = 0; answer < 1000; answer += 1) assert.equal(await client.line(), "END");
    }
    watcher.socket.resume();
    let line = "";
    while (!line.startsWith("skipped=")) {
      client.say("get x\r\n");
      await client.line();
      line = await watcher.line();
    }
    assert.ok(Number(line.slice("skipped=".length)) > 100, line);
    assert.match(await watcher.line(), /type=item_get/);
  });
});

test("the twenty-first watcher is refused, and what a watcher sends is ignored", async () => {
  await withServer({}, async (connect) => {
    for (let count = 0; count < 20; count += 1) {
      const watcher = await connect();
      watcher.say("watch evictions\r\n");
      assert.equal(await watcher.line(), "OK");
      watcher.say("version\r\n");
    }
    const late = await connect();
    late.say("watch\r\n");
    assert.equal(await late.line(), "WATCHER_TOO_MANY log watcher limit reached");
    late.say("stats\r\n");
    let line = "";
    while (!line.startsWith("STAT log_watchers")) line = await late.line();
    assert.equal(line, "STAT log_watchers 20");
  });
});

test("keys are percent-encoded but for letters, digits and -._~", () => {
  assert.equal(percentEncode(Buffer.from("aZ09-._~ #/\xff\n", "latin1")), "aZ09-._~%20%23%2F%FF%0A");
});
