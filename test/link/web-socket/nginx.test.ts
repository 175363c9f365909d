/** Sessions by WebSocket behind real nginx, with the configuration that docs/how-to/links-over-websocket.md gives. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect as connectSocket, createServer as createTcpServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, listen } from "../../../src/link/index.ts";
import type { LinkEnd } from "../../../src/link/index.ts";
import { requires } from "../../support/requires.ts";

const HOW_TO = readFileSync(join(import.meta.dirname, "../../../docs/how-to/links-over-websocket.md"), "utf8");

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test(
  "behind nginx as the page configures it: who the client is, longer silence than its limit, and a reload that cuts, all is well",
  requires("nginx-light"),
  async (t) => {
    const got: string[] = [];
    const server = await listen({
      port: false,
      session: { heartbeatMin: "100ms", onMessage: (_session, message) => void got.push(Buffer.from(message).toString()) },
    });
    const http = createServer();
    server.attach(http, { path: "/link", trustedProxies: ["127.0.0.1"] });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const folder = mkdtempSync(join(tmpdir(), "holdfast-nginx-"));
    const port = await freePort();
    const [, location] = /```nginx\n([\s\S]*?)```/.exec(HOW_TO)!;
    const own = location!.replace("8480", String((http.address() as AddressInfo).port)).replaceAll("60s", "1s");
    assert.ok(own.includes("proxy_read_timeout 1s"));
    writeFileSync(
      join(folder, "nginx.conf"),
      `daemon off; user root; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log; worker_shutdown_timeout 100ms;
      events {} http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
      uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s; server { listen 127.0.0.1:${port}; ${own} } }`,
    );
    const nginx = spawn("/usr/sbin/nginx", ["-p", folder, "-c", join(folder, "nginx.conf")], { stdio: "inherit" });
    t.after(async () => {
      nginx.kill("SIGTERM");
      await once(nginx, "exit");
      await server.close();
      http.close();
      rmSync(folder, { recursive: true });
    });
    await listening(port);

    const client = await connect({
      url: `ws://127.0.0.1:${port}/link`,
      localAddress: "127.0.0.9",
      session: { name: "behind", heartbeat: "300ms" },
      reconnect: { base: 10, cap: 50 },
    });
    t.after(() => client.close());
    const ends: LinkEnd[] = [];
    client.on("end", (end) => ends.push(end));
    await client.send("one");
    assert.equal(server.session("behind")!.peer, "127.0.0.9", "as X-Forwarded-For tells it, without a port");
    // Twice nginx's limit without a message: heartbeats are bytes to it.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    assert.deepEqual([client.connected, ends], [true, []]);
    const resumed = once(client, "open");
    nginx.kill("SIGHUP");
    const sends = Array.from({ length: 200 }, (_, index) => client.send(String(index)));
    await Promise.all(sends);
    assert.equal((await resumed)[0].resumed, true, "the old worker was cut off");
    await client.send("last");
    assert.deepEqual(got, ["one", ...Array.from({ length: 200 }, (_, index) => String(index)), "last"]);
  },
);

async function listening(port: number): Promise<void> {
  for (;;) {
    const socket = connectSocket(port, "127.0.0.1");
    const isThere = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "close").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
