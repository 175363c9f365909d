/** ○ How a message is sent or published, as people write it and as the cores take it. */
import { UsageError } from "../../core/errors.ts";
import { durationMs } from "../../core/units.ts";
import type { Duration } from "../../core/units.ts";

/** How a message is sent. */
export interface SendOptions {
  /** It passes messages that are not, large ones under way among them. */
  readonly urgent?: boolean;
  /** How long it is worth delivering: what was not written by then never is. Default: `keep` of the session. */
  readonly expires?: Duration;
  /** False: nobody confirms it, and it is dropped while the other side is away or slow; at most 16 KiB. Default true. */
  readonly confirm?: boolean;
}

/** How a message is published. */
export interface PublishOptions extends SendOptions {
  /** It becomes the topic's last value, which later subscribers get; without bytes it takes that away. */
  readonly keep?: boolean;
}

export interface SendSettings {
  readonly urgent: boolean;
  /** 0 for as long as any message. */
  readonly expiresMs: number;
  readonly confirm: boolean;
}

const PLAIN: SendSettings = { urgent: false, expiresMs: 0, confirm: true };

/** @throws UsageError UNIT_INVALID, LINK_OPTION_INVALID */
export function readSend(options: SendOptions | undefined): SendSettings {
  if (!options) return PLAIN;
  const { urgent = false, expires, confirm = true } = options;
  const expiresMs = expires === undefined ? 0 : durationMs(expires, "expires");
  if (expires !== undefined && (expiresMs < 1 || expiresMs > EXPIRES_MS_MAX))
    throw new UsageError("LINK_OPTION_INVALID", `Cannot set expires: ${expiresMs} ms is not from 1 to ${EXPIRES_MS_MAX}`);
  return { urgent, expiresMs, confirm };
}

/** 49 days: what 32 bits of milliseconds can say. */
const EXPIRES_MS_MAX = 0xffff_ffff;
