/**
 * ○ The reply to a hit of `get`: `VALUE key flags bytes [cas]` and the value, copied out of the arena. By far the most frequent
 * thing a cache does, so it is written in one go: room is made once, and the place is a local number.
 */
import { CR, LF, SPACE, ZERO } from "../../../core/ascii.ts";
import { WORDWISE_BYTES_MAX, copyWords } from "../../../memcached/copy.ts";
import { type ReplyBuffer, writeDigits } from "../../../memcached/reply-buffer.ts";
import { copyValue } from "../../store/chunks.ts";
import * as Item from "../../store/item.ts";
import type { Items } from "../../store/items.ts";

/** "VALU" and "E ", as they lie in memory. */
const VALU = 0x56414c55;
const E_SPACE = 0x4520;
/** Room for the words and numbers of the line. */
const LINE_BYTES = 80;

export function writeHit(out: ReplyBuffer, items: Items, item: number, withCas: boolean): void {
  const { words } = items;
  const keyBytes = Item.keyBytes(words, item);
  const length = Item.length(words, item);
  const keyStart = Item.keyStart(item);
  out.ensure(keyBytes + length + LINE_BYTES);
  const { bytes, view } = out;
  let place = out.length;
  view.setUint32(place, VALU);
  view.setUint16(place + 4, E_SPACE);
  place += 6;
  copyWords(items.view, keyStart, keyBytes, view, place);
  place += keyBytes;
  bytes[place] = SPACE;
  const clientFlags = Item.clientFlags(words, item);
  if (clientFlags === 0) {
    bytes[place + 1] = ZERO;
    place += 2;
  } else {
    out.length = place + 1;
    out.number(clientFlags);
    place = out.length;
  }
  bytes[place] = SPACE;
  place = writeDigits(bytes, place + 1, length - 2);
  if (withCas) {
    bytes[place] = SPACE;
    out.length = place + 1;
    out.u64(Item.casHigh(words, item), Item.casLow(words, item));
    place = out.length;
  }
  bytes[place] = CR;
  bytes[place + 1] = LF;
  place += 2;
  if (length <= WORDWISE_BYTES_MAX && !Item.has(words, item, Item.CHUNKED)) {
    copyWords(items.view, keyStart + keyBytes, length, view, place);
    out.length = place + length;
  } else {
    out.length = place;
    copyValue(items, item, length, out);
  }
}
