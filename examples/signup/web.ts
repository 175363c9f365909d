/** The web server of the example: a form, a lookup through the cache, a mail through the queue. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import { text } from "node:stream/consumers";
import type { CacheClient } from "holdfast/cache";
import type { Queue } from "holdfast/queue";
import type { User, Users } from "./users.ts";

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly body: string;
}

export interface Receipt {
  readonly file: string;
  readonly sentBy: string;
}

export interface Services {
  readonly users: Users;
  readonly cache: CacheClient;
  readonly mails: Queue<Mail, Receipt>;
}

export function signupServer(services: Services): Server {
  return createServer((request, response) => {
    respond(request, services).then(
      ({ status, html }) => response.writeHead(status, { "content-type": "text/html; charset=utf-8" }).end(html),
      (error: Error) =>
        response.writeHead(503, { "content-type": "text/html; charset=utf-8" }).end(page(`<p>${escape(error.message)}</p>`)),
    );
  });
}

async function respond(request: IncomingMessage, services: Services): Promise<{ status: number; html: string }> {
  if (request.url !== "/") return { status: 404, html: page("<p>There is no such page.</p>") };
  if (request.method !== "POST") return { status: 200, html: page(FORM) };
  const form = new URLSearchParams(await text(request));
  const user: User = { email: (form.get("email") ?? "").trim().toLowerCase(), name: (form.get("name") ?? "").trim() };
  if (!/^[^@\s]+@[^@\s]+$/.test(user.email) || user.name === "")
    return { status: 422, html: page(`<p>A name and an address, please.</p>${FORM}`) };
  return signUp(user, services);
}

async function signUp(user: User, { users, cache, mails }: Services): Promise<{ status: number; html: string }> {
  // However many requests ask for this user at once, the database is asked once in 30 s.
  const known = await cache.fetch(`user:${encodeURIComponent(user.email)}`, () => users.find(user.email), { ttl: "30s" });
  if (known) return { status: 200, html: page(`<p>Welcome back, ${escape(known.name)}: you have signed up already.</p>`) };
  await users.add(user);
  await cache.set(`user:${encodeURIComponent(user.email)}`, user, { ttl: "30s" });
  const mail: Mail = { to: user.email, subject: "Welcome", body: `Hello ${user.name},\n\nplease confirm your address.\n` };
  // The same key for the same user: a visitor who presses the button twice gets one mail.
  const receipt = await mails.call(mail, { key: `confirm:${user.email}`, timeout: "10s" });
  return {
    status: 201,
    html: page(
      `<p>Thank you, ${escape(user.name)}. A mail is in ${escape(receipt.file)}, sent by the ${escape(receipt.sentBy)} worker.</p>`,
    ),
  };
}

const FORM = `<form method="post">
  <label>Name <input name="name" required autocomplete="name"></label>
  <label>Email <input name="email" type="email" required autocomplete="email"></label>
  <button>Sign up</button>
</form>`;

function page(body: string): string {
  return `<!doctype html><html lang="en"><title>Sign up</title><meta name="viewport" content="width=device-width">
<style>body{font:1rem/1.5 system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}label{display:block;margin:1rem 0}</style>
<h1>Sign up</h1>${body}</html>`;
}

function escape(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
