/** ○ Bytes of ASCII that text protocols are cut at. */

export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const ZERO = 0x30;
export const NINE = 0x39;
