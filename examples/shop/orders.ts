/** An order: what has to be done, and what has to wait for what. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { flow, type Queue } from "holdfast/queue";
import type { Invoice } from "./invoices.ts";
import type { Mail } from "./mails.ts";
import type { Refund } from "./refunds.ts";
import { WIDTHS, writePicture, type Pictures } from "./pictures.ts";

export interface Shop {
  readonly folder: string;
  readonly mails: Queue<Mail, string>;
  readonly pictures: Pictures;
  readonly invoices: Queue<Invoice>;
  readonly refunds: Queue<Refund, string>;
}

export interface Order {
  readonly customer: string;
  readonly email: string;
  /** Red, green, blue: what the customer's picture shows. */
  readonly colour: readonly [number, number, number];
}

/**
 * Resolves when the order is on disk, as a flow, all of its tasks or none: three sizes, a gallery when all three are there, a mail when the gallery
 * is; the invoice waits for nobody.
 *
 * @returns the order's number
 */
export async function placeOrder({ folder, mails, pictures, invoices }: Shop, order: Order): Promise<string> {
  const number = randomUUID();
  await writePicture(join(folder, number), "original.ppm", { width: 256, height: 256, pixels: painted(order.colour) });
  const sizes = WIDTHS.map((width) => [`${width}`, { queue: pictures.resizes, body: { order: number, width } }] as const);
  await flow({
    ...Object.fromEntries(sizes),
    gallery: { queue: pictures.galleries, body: { order: number }, after: sizes.map(([name]) => name) },
    mail: { queue: mails, body: { to: order.email, subject: `Your order ${number}` }, after: ["gallery"], attempts: 3 },
    invoice: { queue: invoices, body: { order: number, customer: order.customer }, group: order.customer },
  });
  return number;
}

function painted([red, green, blue]: Order["colour"]): Buffer {
  const pixels = Buffer.alloc(256 * 256 * 3);
  for (let at = 0; at < pixels.length; at += 3) pixels.set([red, green, blue], at);
  return pixels;
}
