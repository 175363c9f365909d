/**
 * How fast Holdfast's sockets are beside the `zeromq` package (the addon) and libzmq in C: the measured process holds one end, a
 * program in C on libzmq the other. Messages per second, and per CPU second of the measured process, in paired rounds.
 * `node --conditions=holdfast-source bench/zmq.ts [--json] [--tiny] [--seconds 1.5] [WORD …]`; words choose scenes by name.
 */
import { parseArgs } from "node:util";
import { type Maker, type Measured, type Role, Stage } from "./zmq/actors.ts";
import { type Finding, finding, report, type Target } from "./support/report.ts";
import { pairedRounds, type Rounds } from "./support/rounds.ts";

const MAKERS: readonly Maker[] = ["holdfast", "holdfast-batch", "zeromq", "libzmq"];

interface Scene {
  readonly name: string;
  readonly role: Role;
  readonly size: number;
  readonly curve?: boolean;
  /** Contenders; all unless told. */
  readonly makers?: readonly Maker[];
  /** Targets for messages per second and per CPU second. */
  readonly targets?: { readonly perSecond?: Target; readonly perCpuSecond?: Target };
  /** Messages of the run that measures how many fit the time. */
  readonly trial: number;
}

const EIGHT_TIMES_THE_ADDON: Target = { against: "zeromq", atLeast: 8 };
const AS_LIBZMQ: Target = { against: "libzmq", atLeast: 1 };
const SMALL = { perSecond: EIGHT_TIMES_THE_ADDON, perCpuSecond: AS_LIBZMQ };
/** libzmq's cryptography is in C with AVX2. */
const SEALED = { perCpuSecond: { against: "libzmq", atLeast: 0.5 } } as const;
/** With the same library there is no reason to be much slower. */
const SEALED_LARGE = { perCpuSecond: { against: "libzmq", atLeast: 0.8 } } as const;
const TRIP: Scene["makers"] = ["holdfast", "zeromq", "libzmq"]; // one message at a time: there is nothing to batch

const SCENES: readonly Scene[] = [
  { name: "PUSH 100 B", role: "push", size: 100, trial: 20_000, targets: SMALL },
  { name: "PULL 100 B", role: "pull", size: 100, trial: 20_000, targets: SMALL },
  { name: "PUSH 1 KB", role: "push", size: 1000, trial: 20_000, targets: { perCpuSecond: AS_LIBZMQ } },
  { name: "PULL 1 KB", role: "pull", size: 1000, trial: 20_000, targets: { perCpuSecond: AS_LIBZMQ } },
  { name: "PUSH 64 KB", role: "push", size: 65_536, trial: 2000, targets: { perCpuSecond: AS_LIBZMQ } },
  { name: "PULL 64 KB", role: "pull", size: 65_536, trial: 2000, targets: { perCpuSecond: AS_LIBZMQ } },
  { name: "REQ round trips 100 B", role: "request", size: 100, trial: 2000, makers: TRIP, targets: { perSecond: AS_LIBZMQ } },
  { name: "REP round trips 100 B", role: "reply", size: 100, trial: 2000, makers: TRIP, targets: { perSecond: AS_LIBZMQ } },
  { name: "DEALER 100 B, 128 under way", role: "deal", size: 100, trial: 10_000 },
  { name: "ROUTER 100 B, 128 under way", role: "route", size: 100, trial: 10_000 },
  { name: "PUB 100 B to 100 SUB", role: "publish", size: 100, trial: 500 },
  { name: "PUSH 100 B, CURVE", role: "push", size: 100, curve: true, trial: 5000, targets: SEALED },
  { name: "PULL 100 B, CURVE", role: "pull", size: 100, curve: true, trial: 5000, targets: SEALED },
  { name: "PUSH 1 KB, CURVE", role: "push", size: 1000, curve: true, trial: 5000, targets: SEALED },
  { name: "PULL 1 KB, CURVE", role: "pull", size: 1000, curve: true, trial: 5000, targets: SEALED },
  { name: "PUSH 64 KB, CURVE", role: "push", size: 65_536, curve: true, trial: 200, targets: SEALED_LARGE },
  { name: "PULL 64 KB, CURVE", role: "pull", size: 65_536, curve: true, trial: 200, targets: SEALED_LARGE },
];

interface Plan {
  readonly rounds: number;
  readonly secondsEach: number;
  readonly scenes: readonly Scene[];
}

export async function benchZmq({ rounds, secondsEach, scenes }: Plan): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const scene of scenes) findings.push(...(await measure(scene, rounds, secondsEach)));
  return findings;
}

async function measure(scene: Scene, rounds: number, secondsEach: number): Promise<Finding[]> {
  const { name, role, makers = MAKERS, targets = {} } = scene;
  const stages = new Map<Maker, Stage>();
  const found: Record<string, Measured[]> = {};
  try {
    for (const maker of makers) stages.set(maker, await Stage.open(maker, role, scene));
    const contenders: Record<string, () => Promise<number>> = {};
    for (const maker of makers) {
      const stage = stages.get(maker)!;
      const count = await fitting(stage, scene, secondsEach);
      found[maker] = [];
      contenders[maker] = async () => {
        const measured = await stage.run(count);
        found[maker]!.push(measured);
        return measured.perSecond;
      };
    }
    await pairedRounds(rounds, contenders);
  } finally {
    await Promise.all([...stages.values()].map((stage) => stage.close()));
  }
  const figures = (kind: keyof Measured): Rounds<string> =>
    Object.fromEntries(Object.entries(found).map(([maker, all]) => [maker, all.slice(-rounds).map((one) => one[kind])]));
  return (["holdfast", "holdfast-batch"] as const)
    .filter((ours) => makers.includes(ours))
    .flatMap((ours) =>
      (["perSecond", "perCpuSecond"] as const).map((kind) => {
        const unit = kind === "perSecond" ? "messages/s" : "messages/CPU s";
        const target = targets[kind];
        const rivals = Object.fromEntries(
          Object.entries(figures(kind)).filter(([maker]) => maker === ours || !maker.startsWith("holdfast")),
        );
        return finding({ name: `${name} (${ours})`, unit, ...(target && { target }) }, ours, rivals);
      }),
    );
}

/** How many messages fill the time, once the code is warm. */
async function fitting(stage: Stage, { trial }: Scene, seconds: number): Promise<number> {
  await stage.run(trial);
  const { perSecond } = await stage.run(trial);
  return Math.max(trial, Math.round(perSecond * seconds));
}

/** The whole bench takes some six minutes. */
const WHOLE: Plan = { rounds: 5, secondsEach: 1.5, scenes: SCENES };

/** So little that a test runs it: the figures mean nothing, but every role has been played by every contender. */
export const TINY: Plan = {
  rounds: 1,
  secondsEach: 0.01,
  scenes: SCENES.filter(({ size, curve, role }) => size === 100 && !(curve && role === "pull")).map((scene) => ({
    ...scene,
    trial: Math.min(scene.trial, 200),
  })),
};

if (import.meta.main) {
  const { values, positionals: words } = parseArgs({
    allowPositionals: true,
    options: {
      tiny: { type: "boolean", default: false },
      seconds: { type: "string", default: String(WHOLE.secondsEach) },
      json: { type: "boolean", default: false },
    },
  });
  const plan = values.tiny ? TINY : { ...WHOLE, secondsEach: Number(values.seconds) };
  const scenes = plan.scenes.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  report(await benchZmq({ ...plan, scenes }), { json: values.json });
}
