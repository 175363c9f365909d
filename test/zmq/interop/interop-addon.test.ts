/** Holdfast and the `zeromq` package, in a process of its own: the whole table. */
import { addonPeer } from "./process-peer.ts";
import { interopTable } from "./table.ts";

interopTable({ name: "the zeromq package", start: addonPeer, needs: { skip: false } });
