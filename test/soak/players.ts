/**
 * ● The soak's players as processes: each plays a role, is killed or stopped for a while at random, and replaced. What they say goes
 * to the books; what they print on stderr is kept, because nothing there is expected.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { between, pick, type Random } from "../../src/core/random.ts";
import type { PlayerReport } from "./player-report.ts";

const root = join(import.meta.dirname, "../..");
const PYTHON = "/usr/bin/python3";

export interface Role {
  readonly name: string;
  /** Ours, or another's client. */
  readonly by: "node" | "python" | "command";
  /** How many play it at once. */
  readonly players: number;
}

export interface Player {
  readonly role: Role;
  readonly child: ChildProcess;
  readonly end: Promise<unknown>;
  /** It has said something: until then ours do not know what SIGTERM means. */
  readonly spoke: Promise<unknown>;
  /** It ends because we wanted it to. */
  dismissed: boolean;
}

export interface PlayersOptions {
  readonly random: Random;
  readonly pace: number;
  /** What a player must know of the stage; as JSON for ours. */
  readonly addresses: Readonly<Record<string, string | number>>;
  readonly heard: (said: PlayerReport) => void;
  /** Something nobody expects: a line on stderr, an end that nobody asked for. */
  readonly surprised: (text: string) => void;
}

export class Players {
  readonly players = new Set<Player>();
  kills = 0;
  freezes = 0;
  readonly #options: PlayersOptions;

  constructor(options: PlayersOptions) {
    this.#options = options;
  }

  hire(role: Role): Player {
    const [command, ...args] = this.#command(role);
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], cwd: root });
    const lines = createInterface({ input: child.stdout! });
    const player: Player = { role, child, end: once(child, "close"), spoke: once(lines, "line"), dismissed: false };
    this.players.add(player);
    lines.on("line", (line) => {
      if (role.by !== "command") this.#options.heard(JSON.parse(line) as PlayerReport);
    });
    createInterface({ input: child.stderr! }).on("line", (line) => this.#options.surprised(`${role.name}: ${line}`));
    child.once("close", (code, signal) => {
      this.players.delete(player);
      if (!player.dismissed) this.#options.surprised(`${role.name}: ended by itself with ${signal ?? code}`);
    });
    return player;
  }

  /** Kills one at random without a word and hires another, or stops one for some seconds. */
  async strike(): Promise<void> {
    const { random } = this.#options;
    const player = pick(
      random,
      [...this.players].filter(({ role, dismissed }) => role.name !== "hub" && !dismissed),
    );
    if (random() < 0.2) {
      this.freezes += 1;
      player.child.kill("SIGSTOP");
      const ms = between(random, 500, 4000);
      await new Promise((resolve) => {
        setTimeout(resolve, ms);
      });
      player.child.kill("SIGCONT");
      return;
    }
    this.kills += 1;
    player.dismissed = true;
    player.child.kill("SIGKILL");
    await player.end;
    this.hire(player.role);
  }

  /** Asks all who play one of these roles to stop, and waits until they have: others' players, who know no last word, are killed. */
  async dismiss(names: readonly string[]): Promise<void> {
    const leaving = [...this.players].filter(({ role }) => names.includes(role.name));
    for (const player of leaving) {
      if (player.role.by === "node") await Promise.race([player.spoke, player.end]);
      player.dismissed = true;
      player.child.kill(player.role.by === "python" ? "SIGKILL" : "SIGTERM");
    }
    await Promise.all(leaving.map(({ end }) => end));
    const failed = leaving.filter(({ role, child }) => role.by === "node" && child.exitCode !== 0);
    for (const { role, child } of failed)
      this.#options.surprised(`${role.name}: ended with ${child.signalCode ?? child.exitCode}`);
  }

  #command({ name, by }: Role): readonly [string, ...string[]] {
    const { addresses, pace, random } = this.#options;
    if (by === "python") {
      const address = String(name.startsWith("py") ? addresses["cache"] : addresses["queue"]);
      return [PYTHON, join(import.meta.dirname, "player.py"), name, address, String(pace)];
    }
    if (by === "command") {
      const flags = ["--url", String(addresses["queue"]), "--log-level", "error"];
      return [join(root, "bin/holdfast"), "work", "default", ...flags, "--", "tr", "a-z", "A-Z"];
    }
    const node = [process.execPath, "--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"] as const;
    const seed = String(between(random, 0, 2 ** 31));
    return [...node, join(import.meta.dirname, "player-child.ts"), name, seed, String(pace), JSON.stringify(addresses)];
  }
}
