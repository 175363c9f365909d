/**
 * ○ The broker without sockets: the task service, the protocol router, the cron table and their one timer, on a store. It knows
 * peers by keys and answers them through connections that it is given; whether they are connected here or to another broker of a
 * group makes no difference. A broker that shares its store with others has a core only while it leads.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";
import { CronTable, type NextRun } from "../service/cron.ts";
import { TaskService, type TaskServiceOptions } from "../service/task-service.ts";
import type { StartProgress, TaskServiceStats } from "../service/task-service.ts";
import type { StoreOpening } from "../../store/store.ts";
import type { Standby } from "../stores/follower-state.ts";
import type { PeerConnection } from "../protocols/protocol-handler.ts";
import { WALL_LOOK_MS } from "../limits.ts";
import { type Frames, IdText } from "../protocols/messages.ts";
import { ProtocolRouter } from "./protocol-router.ts";

export interface BrokerCoreOptions extends Omit<TaskServiceOptions, "wake"> {
  readonly nextRun: NextRun;
  /** Makes the first part of task ids, for a store that has none yet: eight hex digits. */
  newId(): string;
  readonly log: Log;
}

/** The setting that holds the first part of task ids. */
export const ID_SETTING = "broker";
const TICK_MS = 1000;

export class BrokerCore {
  readonly #options: BrokerCoreOptions;
  readonly #clock: Clock;
  readonly #service: TaskService;
  readonly #cron: CronTable;
  #router: ProtocolRouter | undefined;
  #ids: IdText | undefined;
  #timer: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  #cancelTick: Cancel = () => {};
  #inBundle = false;
  /** Its time has come; what has arrived is read first. */
  #isFiring = false;
  #closing = false;
  #over = false;

  constructor(options: BrokerCoreOptions) {
    this.#options = options;
    this.#clock = options.clock;
    const log: Log = (event, facts) => {
      const { task } = facts;
      options.log(event, typeof task === "number" && this.#ids ? { ...facts, task: this.#ids.text(task) } : facts);
    };
    this.#service = new TaskService({ ...options, log, wake: () => this.#arm() });
    this.#cron = new CronTable(this.#service, options.nextRun);
  }

  /** Opens the store and continues with what it holds. Errors are the store's. */
  async open(progress: StartProgress = {}): Promise<void> {
    const opened = (opening: StoreOpening<Standby>): void => {
      this.#ids = new IdText(opening.settings.get(ID_SETTING) ?? this.#options.newId());
      progress.opened?.(opening);
    };
    const { settings } = await this.#service.open({ ...progress, opened });
    if (!settings.has(ID_SETTING)) this.#service.setting(ID_SETTING, this.id, () => {});
    this.#router = new ProtocolRouter({ service: this.#service, ids: this.#ids!, cron: this.#cron });
    this.#cron.restore(settings);
    this.flush();
    this.#tick();
  }

  /** The first part of its tasks' ids. */
  get id(): string {
    return this.#ids?.broker ?? "";
  }

  get peerCount(): number {
    return this.#router?.peerCount ?? 0;
  }

  stats(): TaskServiceStats {
    return this.#service.stats();
  }

  /** A message of a peer. `flush` once all that are at hand were handed in. @param connection makes the way back, for a new peer */
  receive(key: string, frames: Frames, connection: () => PeerConnection): void {
    this.#inBundle = true;
    this.#router!.receive(key, frames, connection);
    if (this.#options.single === true) this.#service.flush();
  }

  /** The peer is gone; what it had is given back. */
  gone(key: string): void {
    // Of one that closes they stay active on disk: it writes nothing any more.
    if (!this.#closing) this.#router?.gone(key);
  }

  /** Gives out and commits. */
  flush(): void {
    this.#inBundle = false;
    if (!this.#over) this.#service.flush();
  }

  /** Answers what is being written and closes the store. */
  async close(): Promise<void> {
    this.#end();
    await this.#service.close();
  }

  /** Another leads: nothing is written, given out or answered any more. */
  abandon(): void {
    this.#over = true;
    this.#end();
  }

  #end(): void {
    this.#timer?.cancel();
    this.#cancelTick();
    this.#closing = true;
  }

  #tick(): void {
    const tick = (): void => {
      if (this.#closing) return;
      this.#router!.tick(this.#clock.now());
      this.flush();
      this.#tick();
    };
    // A broker that was stopped for a while has messages of all who are well.
    this.#cancelTick = this.#clock.at(this.#clock.now() + TICK_MS, () => void this.#clock.afterInput(tick));
  }

  /** Sets the one timer to the task service's or the cron table's next deadline. */
  #arm(): void {
    if (this.#inBundle || this.#closing || this.#isFiring) return;
    const nowMs = this.#clock.now();
    const serviceMs = this.#service.deadlineMs ?? Infinity;
    const { nextMs } = this.#cron;
    // The wall clock may be set meanwhile.
    const lookMs = this.#clock.isWallSteady ? Infinity : nowMs + WALL_LOOK_MS;
    const cronMs = nextMs === undefined ? Infinity : Math.min(nextMs - this.#clock.wallMs() + nowMs, lookMs);
    const atMs = Math.min(serviceMs, cronMs);
    if (atMs === Infinity) return;
    if (this.#timer && this.#timer.atMs <= atMs && this.#timer.atMs > nowMs) return;
    this.#timer?.cancel();
    const fire = (): void => {
      this.#isFiring = false;
      if (this.#closing) return;
      this.#service.guard.run(() => this.#cron.tick());
      this.#service.tick();
    };
    const ring = (): void => {
      this.#timer = undefined;
      this.#isFiring = true;
      this.#clock.afterInput(fire);
    };
    this.#timer = { atMs, cancel: this.#clock.at(atMs, ring) };
  }
}
