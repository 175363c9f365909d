import { after, before } from "node:test";
import { JetstreamStore } from "../../../src/queue/cluster/jetstream-store.ts";
import { parseNatsUrl } from "../../../src/store/nats/nats-url.ts";
import { NatsServers } from "../../support/nats.ts";
import { requires } from "../../support/requires.ts";
import { storeConformance } from "../../store/store-conformance.ts";

let servers: NatsServers | undefined;
let groups = 0;
const { skip } = requires("nats-server");
before(async () => {
  if (skip === false) servers = await NatsServers.start();
});
after(() => servers?.[Symbol.asyncDispose]());

storeConformance({
  name: "NATS JetStream",
  skip,
  make: async () => {
    groups += 1;
    const url = parseNatsUrl(servers!.url, { group: `conformance${groups}` });
    const make = (): JetstreamStore => new JetstreamStore({ url });
    return { store: make(), again: make, dispose: async () => {} };
  },
});
