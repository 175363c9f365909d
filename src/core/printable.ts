/** ○ Text from untrusted peers for a terminal. */

/** The text with its control characters written as \xNN, so that it cannot steer the terminal of whoever reads it. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
