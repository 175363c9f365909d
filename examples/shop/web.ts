/** The shop's page: a form, and what becomes of the orders, as the queue's HTTP API tells it by server-sent events. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import { text } from "node:stream/consumers";
import type { Board } from "holdfast/board";
import { retryDead } from "./dead-letters.ts";
import { placeOrder, type Order, type Shop } from "./orders.ts";

/** `ops` is Holdfast's own page, with the API below it. */
export function shopServer(shop: Shop, ops: Board): Server {
  return createServer((request, response) => {
    if (request.url?.startsWith("/ops")) void ops.node(request, response);
    else
      answer(request, shop).then(
        ({ status, body, type }) => response.writeHead(status, { "content-type": type }).end(body),
        (error: Error) => response.writeHead(503, { "content-type": "text/plain; charset=utf-8" }).end(error.message),
      );
  });
}

async function answer(request: IncomingMessage, shop: Shop): Promise<{ status: number; body: string; type: string }> {
  const json = (status: number, value: unknown) => ({ status, body: JSON.stringify(value), type: "application/json" });
  switch (`${request.method} ${request.url}`) {
    case "GET /":
      return { status: 200, body: PAGE, type: "text/html; charset=utf-8" };
    case "POST /orders": {
      const order = readOrder(new URLSearchParams(await text(request)));
      return order ? json(201, { order: await placeOrder(shop, order) }) : json(422, { error: "a customer, please" });
    }
    case "POST /refunds":
      return json(201, {
        id: (await shop.refunds.add({ order: new URLSearchParams(await text(request)).get("order") ?? "" })).id,
      });
    case "POST /approvals": {
      const form = new URLSearchParams(await text(request));
      return json(200, { first: await shop.refunds.signal(form.get("id") ?? "", "approved", form.get("by")) });
    }
    case "POST /retry":
      return json(200, { retried: await retryDead(shop.mails, /mail server/) });
    default:
      return json(404, { error: "there is no such page" });
  }
}

function readOrder(form: URLSearchParams): Order | undefined {
  const customer = form.get("customer")?.trim();
  const colour = Buffer.from((form.get("colour") ?? "#000000").slice(1), "hex");
  if (!customer || colour.length !== 3) return undefined;
  return { customer, email: form.get("email") ?? "", colour: [colour[0]!, colour[1]!, colour[2]!] };
}

const PAGE = `<!doctype html><html lang="en"><title>Shop</title><meta name="viewport" content="width=device-width">
<style>body{font:1rem/1.5 system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem}label{display:block}li{font-family:monospace}</style>
<h1>Prints</h1>
<form id="order">
  <label>Customer <input name="customer" required></label>
  <label>Email <input name="email"></label>
  <label>Colour <input name="colour" type="color" value="#336699"></label>
  <button>Order</button>
</form>
<p><button id="retry">Try dead mails again</button> <a href="/ops/">What the queue does</a></p>
<ul id="news"></ul>
<script>
const tell = (line) => { const item = document.createElement("li"); item.textContent = line; news.prepend(item); };
order.onsubmit = async (event) => {
  event.preventDefault();
  const answer = await fetch("/orders", { method: "POST", body: new URLSearchParams(new FormData(order)) });
  tell(JSON.stringify(await answer.json()));
};
retry.onclick = async () => tell(JSON.stringify(await (await fetch("/retry", { method: "POST" })).json()));
const events = ["progress", "failed", "completed", "dead"];
const heard = new EventSource("/ops/api/v1/events?events=" + events.join("&events="));
for (const name of events) heard.addEventListener(name, ({ data }) => {
  const { queue, id, progress, error } = JSON.parse(data);
  tell([queue, name, progress ?? error ?? id].join(" "));
});
</script></html>`;
