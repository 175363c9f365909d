/** ○ Commands that tune a running store: the proportions of its LRU lists, the moves of its pages. */
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import type { Tokens } from "../../../memcached/tokens.ts";
import { R } from "../text-replies.ts";
import type { SessionContext, ServerControl } from "../cache-session.ts";
import { TUNE } from "../../store/settings.ts";
import type { ItemStore } from "../../store/item-store.ts";

export class TuneCommands {
  readonly #store: ItemStore;
  readonly #out: ReplyBuffer;
  readonly #host: ServerControl;

  constructor({ store, out, host }: Pick<SessionContext, "store" | "out" | "host">) {
    this.#store = store;
    this.#out = out;
    this.#host = host;
  }

  /** `lru tune`, `lru mode`, `lru temp_ttl` */
  lru(tokens: Tokens): void {
    const { tune } = this.#store.memory;
    const maintained = tune[TUNE.maintainer] !== 0;
    if (tokens.begins(1, "tune") && tokens.count >= 6) {
      this.#lruTune(tokens);
    } else if (tokens.begins(1, "mode") && tokens.count >= 3 && maintained) {
      const flat = tokens.begins(2, "flat");
      if (flat || tokens.begins(2, "segmented")) {
        tune[TUNE.segmented] = flat ? 0 : 1;
        this.#out.put(R.ok);
      } else {
        this.#out.put(R.error);
      }
    } else if (tokens.begins(1, "temp_ttl") && tokens.count >= 3 && maintained) {
      const ttl = tokens.i32(2);
      if (Number.isNaN(ttl)) {
        this.#out.put(R.error);
        return;
      }
      tune[TUNE.tempLru] = ttl < 0 ? 0 : 1;
      if (ttl >= 0) tune[TUNE.tempTtl] = ttl;
      this.#out.put(R.ok);
    } else {
      this.#out.put(R.error);
    }
  }

  #lruTune(tokens: Tokens): void {
    const { tune } = this.#store.memory;
    const hot = tokens.u32(2);
    const warm = tokens.u32(3);
    const hotFactor = real(tokens.text(4));
    const warmFactor = real(tokens.text(5));
    if (hot < 0 || warm < 0 || Number.isNaN(hotFactor) || Number.isNaN(warmFactor)) this.#out.put(R.error);
    else if (hot + warm > 80) this.#line("ERROR hot and warm pcts must not exceed 80");
    else if (warmFactor <= 0 || hotFactor <= 0) this.#line("ERROR hot/warm age factors must be greater than 0");
    else {
      tune[TUNE.hotPercent] = hot;
      tune[TUNE.warmPercent] = warm;
      tune[TUNE.hotMaxFactor] = hotFactor;
      tune[TUNE.warmMaxFactor] = warmFactor;
      this.#out.put(R.ok);
    }
  }

  /** `slabs reassign`, `slabs automove` */
  slabs(tokens: Tokens): void {
    if (tokens.count === 4 && tokens.begins(1, "reassign")) {
      const source = tokens.i32(2);
      const target = tokens.i32(3);
      if (!this.#store.memory.settings.slabReassign) this.#line("CLIENT_ERROR slab reassignment disabled");
      else if (Number.isNaN(source) || Number.isNaN(target)) this.#out.put(R.badFormat);
      else this.#line(this.#host.reassign(source, target));
    } else if (tokens.count >= 3 && tokens.begins(1, "automove")) {
      this.#automove(tokens);
    } else {
      this.#out.put(R.error);
    }
  }

  #automove(tokens: Tokens): void {
    const { tune } = this.#store.memory;
    if (tokens.begins(2, "ratio") || tokens.begins(2, "freeratio")) {
      const ratio = real(tokens.text(3));
      if (Number.isNaN(ratio)) {
        this.#out.put(R.error);
        return;
      }
      tune[tokens.begins(2, "ratio") ? TUNE.automoveRatio : TUNE.automoveFreeRatio] = ratio;
      tune[TUNE.automoveVersion]! += 1;
    } else if (tokens.begins(2, "window")) {
      const seconds = tokens.u32(3);
      if (seconds < 0) {
        this.#out.put(R.badFormat);
        return;
      }
      if (seconds < 3 || seconds > 1800) {
        this.#line("CLIENT_ERROR automove window too low or too high");
        return;
      }
      tune[TUNE.automoveWindow] = seconds;
      tune[TUNE.automoveVersion]! += 1;
    } else {
      const level = tokens.u32(2);
      if (level < 0 || level > 2) {
        this.#out.put(level < 0 ? R.badFormat : R.error);
        return;
      }
      tune[TUNE.automove] = level;
    }
    this.#out.put(R.ok);
  }

  #line(text: string): void {
    this.#out.text(`${text}\r\n`);
  }
}

function real(text: string): number {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
}
