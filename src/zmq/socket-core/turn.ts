/**
 * ● How long the sockets of a thread may keep its event loop. All they do asks here whether the turn is over; what finds it so goes on
 * in the next one, behind what waits already. So timers fire and other connections are served however much arrives, and however long
 * the application takes for a message. Invariant: after `turnIsOver` was true it stays so until the loop has turned.
 */
import type { PerformanceNodeTiming } from "node:perf_hooks";
import { systemClock } from "../../core/clock.ts";
import { Ring } from "../../core/ring.ts";

/**
 * 10 ms: with what the kernel hands over in between a turn takes under 30 ms, and one turn more in 10 ms costs nothing that can be
 * measured.
 */
const TURN_MS = 10;

/** 64 operations between two looks at the clock, which takes 50 ns; fewer at the start of a turn, since they may take long. */
const OPERATIONS_UNSEEN_MAX = 64;

const waiting = new Ring<() => void>();
/** Operations until the clock is looked at again. */
let unseen = 0;
/** As many the last time; 0: the turn has not begun. */
let step = 0;
let beganMs = 0;
let turnsAtBegin: number | undefined;
let over = false;

/** To be asked before each operation. */
export function turnIsOver(): boolean {
  if (unseen === 0) return look();
  unseen -= 1;
  return false;
}

/** Calls once the loop has turned and there is time, in the order of the calls here. */
export function nextTurn(run: () => void): void {
  waiting.push(run);
  setImmediate(runFirst);
}

function look(): boolean {
  if (over) return true;
  const nowMs = systemClock.now();
  if (step > 0 && nowMs - beganMs < TURN_MS) {
    step = Math.min(step * 2, OPERATIONS_UNSEEN_MAX);
  } else if (step > 0 && loopTurns() === turnsAtBegin) {
    over = true;
    setImmediate(begin);
    return true;
  } else {
    // The first operation, or the loop has turned since
    step = 1;
    beganMs = nowMs;
    turnsAtBegin = loopTurns();
  }
  unseen = step;
  return false;
}

function begin(): void {
  over = false;
  step = 0;
}

/** How often the loop has turned; where a runtime does not tell, it turns once too often when operations are rare. */
function loopTurns(): number | undefined {
  return (performance.nodeTiming as PerformanceNodeTiming | undefined)?.uvMetricsInfo?.loopCount;
}

/** As often as something waits; each time in a call of its own, so that what the application makes of it is counted too. */
function runFirst(): void {
  if (turnIsOver()) setImmediate(runFirst);
  else waiting.shift()!();
}
