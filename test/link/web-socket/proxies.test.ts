/** Sessions by WebSocket behind real nginx and HAProxy, with the configurations that docs/how-to/links-over-websocket.md gives. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect as connectSocket } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, listen } from "../../../src/link/index.ts";
import type { LinkEnd } from "../../../src/link/index.ts";
import { freePort } from "../../support/free-port.ts";
import { requires } from "../../support/requires.ts";

const HOW_TO = readFileSync(join(import.meta.dirname, "../../../docs/how-to/links-over-websocket.md"), "utf8");

interface ProxyProgram {
  readonly debianPackage: "nginx-light" | "haproxy";
  /** Its configuration with what the page says, shortened to limits of a second, and how it is started. */
  command(folder: string, at: { readonly port: number; readonly server: number }): readonly [string, ...string[]];
}

/** What the page says a program's configuration is, with limits of a second. */
function fromPage(language: string, server: number): string {
  const [, text] = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(HOW_TO)!;
  assert.match(text!, /8480/);
  assert.match(text!, /60s/);
  return text!.replace("8480", String(server)).replaceAll("60s", "1s");
}

const PROXIES: readonly ProxyProgram[] = [
  {
    debianPackage: "nginx-light",
    command(folder, { port, server }) {
      const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`);
      writeFileSync(
        join(folder, "nginx.conf"),
        `daemon off; user root; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log; worker_shutdown_timeout 100ms;
        events {} http { access_log off; ${paths.join(" ")} server { listen 127.0.0.1:${port}; ${fromPage("nginx", server)} } }`,
      );
      return ["/usr/sbin/nginx", "-p", folder, "-c", join(folder, "nginx.conf")];
    },
  },
  {
    debianPackage: "haproxy",
    command(folder, { port, server }) {
      const own = fromPage("haproxy", server).replace(/bind .*/, `bind 127.0.0.1:${port}`);
      const global = "global\n  hard-stop-after 100ms\ndefaults\n  mode http\n  timeout connect 1s\n";
      writeFileSync(join(folder, "haproxy.cfg"), `${global}${own}\n`);
      return ["/usr/sbin/haproxy", "-W", "-db", "-f", join(folder, "haproxy.cfg")];
    },
  },
];

for (const { debianPackage, command } of PROXIES) {
  test(
    `behind ${debianPackage} as the page configures it: who the client is, longer silence than its limit, and a reload that cuts, all is well`,
    requires(debianPackage),
    async (t) => {
      const got: string[] = [];
      const server = await listen({
        port: false,
        session: { heartbeatMin: "100ms", onMessage: (_session, message) => void got.push(Buffer.from(message).toString()) },
      });
      const http = createServer();
      server.attach(http, { path: "/link", trustedProxies: ["127.0.0.1"] });
      await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
      const folder = mkdtempSync(join(tmpdir(), "holdfast-proxy-"));
      const port = await freePort();
      const [program, ...flags] = command(folder, { port, server: (http.address() as AddressInfo).port });
      const proxy = spawn(program, flags, { stdio: ["ignore", "ignore", "ignore"] });
      t.after(async () => {
        proxy.kill("SIGTERM");
        await once(proxy, "exit");
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
      // Twice the proxy's limit without a message: heartbeats are bytes to it.
      await new Promise((resolve) => setTimeout(resolve, 2000));
      assert.deepEqual([client.connected, ends], [true, []]);
      const resumed = once(client, "open");
      proxy.kill(debianPackage === "haproxy" ? "SIGUSR2" : "SIGHUP");
      await Promise.all(Array.from({ length: 200 }, (_, index) => client.send(String(index))));
      assert.equal((await resumed)[0].resumed, true, "the old worker was cut off");
      await client.send("last");
      assert.deepEqual(got, ["one", ...Array.from({ length: 200 }, (_, index) => String(index)), "last"]);
    },
  );
}

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
