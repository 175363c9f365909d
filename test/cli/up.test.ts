/** `holdfast up`: all parts or none, one clear sentence when it cannot, and an end within 5 s. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Holdfast } from "../support/holdfast.ts";

const OFF = ["--cache", "off", "--queue", "off", "--link", "off", "--dashboard", "off"];
const ANY = ["--cache", "127.0.0.1:0", "--queue", "tcp://127.0.0.1:0", "--link", "127.0.0.1:0", "--dashboard", "127.0.0.1:0"];

suite("holdfast up", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-up-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const up = (...args: string[]): Holdfast => new Holdfast(["up", "--data", join(folder, "data"), ...args], { cwd: folder });
  /** A part's own flag given last wins over the same flag in ANY or OFF. */
  const only = (...args: string[]): Holdfast => up(...OFF, ...args);

  test("it prints one line a part with the address, and SIGTERM ends it with 0", async () => {
    const holdfast = up(...ANY);
    await holdfast.printed(/^dashboard/m);
    assert.match(
      holdfast.stdout,
      /^cache +listening on 127\.0\.0\.1:\d+\nqueue +listening on tcp:\/\/127\.0\.0\.1:\d+\nlink +listening on 127\.0\.0\.1:\d+\ndashboard +listening on http:\/\/127\.0\.0\.1:\d+\n$/,
    );
    assert.deepEqual(await holdfast.stop("SIGTERM"), { code: 0, signal: null });
  });

  test("--json prints the ready lines as JSON, and SIGINT ends it with 0", async () => {
    const holdfast = up(...ANY, "--json");
    await holdfast.printed(/"dashboard"/);
    const lines = holdfast.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string; part: string; address: string });
    assert.deepEqual(
      lines.map(({ event, part }) => `${event} ${part}`),
      ["listening cache", "listening queue", "listening link", "listening dashboard"],
    );
    assert.deepEqual(await holdfast.stop("SIGINT"), { code: 0, signal: null });
  });

  test("an open data folder is closed at the start with one line, and is its owner's alone with all that is in it; a new one from the start", async () => {
    const data = join(folder, "open");
    const modes = (): string[] =>
      [data, ...readdirSync(data).map((name) => join(data, name))].map((path) => (statSync(path).mode & 0o777).toString(8));
    const runs = async (): Promise<string> => {
      const holdfast = up(...ANY, "--data", data);
      await holdfast.printed(/^dashboard/m);
      assert.deepEqual([...new Set(modes())].sort(), ["600", "700"]);
      await holdfast.stop("SIGTERM");
      return holdfast.stderr;
    };
    assert.equal(await runs(), "");
    for (const name of readdirSync(data)) chmodSync(join(data, name), 0o644);
    chmodSync(data, 0o755);
    assert.match(await runs(), /^\S+ warning queue\.made-private folder=\S+ files=".*queue\.db .*"\n$/);
    assert.equal(await runs(), "");
  });

  test("keys, users and tokens that others can read are refused with the command that closes them", async () => {
    const keys = join(folder, "open.keys");
    const made = new Holdfast(["queue", "keygen", keys], { cwd: folder });
    assert.equal((await made.ended()).code, 0);
    assert.match(made.stdout, /^public \S{40}\n$/);
    assert.equal((statSync(keys).mode & 0o777).toString(8), "600");
    assert.equal((await new Holdfast(["queue", "keygen", keys], { cwd: folder }).ended()).code, 1);
    chmodSync(keys, 0o644);
    for (const flag of ["--queue-curve-keys", "--queue-plain-users", "--dashboard-token-file", "--cache-auth-file"]) {
      const { code, stderr } = await only("--queue", "tcp://127.0.0.1:0", "--cache", "127.0.0.1:0", flag, keys).ended();
      assert.deepEqual([code, stderr.includes(`chmod 600 ${keys}`)], [2, true], `${flag}: ${stderr}`);
    }
  });

  test("npm start hands SIGTERM on, and all parts end with 0", async () => {
    const words = ["--prefix", join(import.meta.dirname, "../.."), "--silent", "start", "--", "--data", join(folder, "npm")];
    const npm = new Holdfast([...words, ...ANY], { launcher: "npm", cwd: folder });
    await npm.printed(/^dashboard/m);
    assert.deepEqual(await npm.stop("SIGTERM"), { code: 0, signal: null });
  });

  test("SIGHUP reads a settings file again and names what needs a restart; without any file it drains and ends with 0", async () => {
    const config = join(folder, "settings.json");
    writeFileSync(config, JSON.stringify({ queue: { maxBody: "1m" } }));
    const holdfast = up(...ANY, "--config", config);
    await holdfast.printed(/^dashboard/m);
    writeFileSync(config, JSON.stringify({ queue: { maxBody: "2m" } }));
    holdfast.child.kill("SIGHUP");
    await holdfast.printed(/ warning reloaded needRestart=queue\.maxBody$/m, "stderr");
    writeFileSync(config, "{");
    holdfast.child.kill("SIGHUP");
    await holdfast.printed(/ error reload-failed error="Cannot read the settings in/m, "stderr");
    assert.deepEqual(await holdfast.stop(), { code: 0, signal: null });
    const bare = up(...ANY);
    await bare.printed(/^dashboard/m);
    assert.deepEqual(await bare.stop("SIGHUP"), { code: 0, signal: null });
  });

  test("it ends within 5 s though clients stay connected and say nothing", async () => {
    const holdfast = up(...ANY, "--json");
    await holdfast.printed(/"dashboard"/);
    const ports = [...holdfast.stdout.matchAll(/:(\d+)"/g)].map((match) => Number(match[1]));
    const clients = ports.map((port) => connect(port, "127.0.0.1").on("error", () => {}));
    await Promise.all(clients.map((client) => once(client, "connect")));
    const asked = performance.now();
    assert.deepEqual(await holdfast.stop(), { code: 0, signal: null });
    assert.ok(performance.now() - asked < 5000);
    for (const client of clients) client.destroy();
  });

  for (const [part, flag] of [
    ["cache", "--cache"],
    ["queue", "--queue"],
    ["link", "--link"],
    ["dashboard", "--dashboard"],
  ] as const) {
    test(`a taken port of the ${part} is told in one sentence that names ${flag}, and nothing stays started`, async () => {
      const taken = createServer().listen(0, "127.0.0.1");
      await once(taken, "listening");
      const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
      const holdfast = up(...ANY, flag, part === "queue" ? `tcp://${address}` : address);
      const { code, stdout, stderr } = await holdfast.ended();
      taken.close();
      assert.equal(code, 1);
      assert.equal(stdout, "");
      assert.match(stderr, new RegExp(`^holdfast: Cannot start the ${part} on .*${address}: .*${flag}.*\n$`));
    });
  }

  test("a wrong flag, address or word is wrong usage: exit 2 and one sentence", async () => {
    const wrong: readonly (readonly [string[], RegExp])[] = [
      [["--cash", "1"], /--cash/],
      [["--cache", "nowhere:99999"], /--cache/],
      [["--link", "a b"], /--link/],
      [["--queue", "http://127.0.0.1:1"], /--queue/],
      [["--dashboard", "x:y"], /--dashboard/],
      [["surplus"], /argument/i],
      [[], /'off'/],
    ];
    for (const [args, expected] of wrong) {
      const { code, stdout, stderr } = await only(...args).ended();
      assert.deepEqual({ args, code, stdout }, { args, code: 2, stdout: "" }, stderr);
      assert.match(stderr, expected);
      assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
    }
  });

  test("a part that is open beyond this machine is told in a warning; parts on loopback are not", async () => {
    const holdfast = up(...ANY, "--cache", "0.0.0.0:0");
    await holdfast.printed(/^dashboard/m);
    await holdfast.printed(/warning.*\n/, "stderr");
    await holdfast.stop();
    assert.match(holdfast.stderr, /^\S+Z warning cache\.exposed address=0\.0\.0\.0:\d+\n$/);
  });

  test("each part alone warns too when it is open beyond this machine, and says which flag locks it", async () => {
    const folderOf = join(folder, "open");
    for (const [words, warning] of [
      [["cache", "-l", "0.0.0.0", "-p", "-1"], / warning cache\.exposed address=0\.0\.0\.0:\d+$/m],
      [["listen", "0.0.0.0:0", "--json"], / warning link\.exposed address=0\.0\.0\.0:\d+ see=--ca$/m],
      [
        ["queue", "serve", "--listen", "tcp://0.0.0.0:0", "--data", folderOf],
        / warning queue\.exposed address=tcp:\/\/0\.0\.0\.0:0 see=--curve-keys$/m,
      ],
    ] as const) {
      await using part = new Holdfast(words, { cwd: folder });
      await part.printed(warning, "stderr");
    }
  });

  test("a data folder that cannot be written is told with --data", async () => {
    const file = join(folder, "a-file");
    writeFileSync(file, "");
    const { code, stdout, stderr } = await up(...ANY, "--data", join(file, "below")).ended();
    assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
    assert.match(stderr, /^holdfast: Cannot write the data folder .*--data.*\n$/);
  });

  test("the launcher works from any folder and through a chain of symlinks", async () => {
    const launcher = join(import.meta.dirname, "../../bin/holdfast");
    const first = join(folder, "first");
    const second = join(folder, "second");
    symlinkSync(launcher, first);
    symlinkSync("first", second);
    const help = new Holdfast(["up", "--help"], { launcher: second, cwd: tmpdir() });
    const { code, stdout } = await help.ended();
    assert.equal(code, 0);
    assert.match(stdout, /--cache <address>/);
  });

  test("an unknown command is wrong usage, no command shows the usage", async () => {
    const unknown = await new Holdfast(["upp"]).ended();
    assert.deepEqual([unknown.code, unknown.stderr], [2, "holdfast: No command 'upp'; 'holdfast --help' lists them\n"]);
    const none = await new Holdfast([]).ended();
    assert.equal(none.code, 2);
    assert.match(none.stdout, /^Usage: holdfast COMMAND/);
  });
});
