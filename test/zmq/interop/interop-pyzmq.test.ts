/** Holdfast and Debian's libzmq, through pyzmq: the whole table. */
import { requires } from "../../support/requires.ts";
import { pyzmqPeer } from "./process-peer.ts";
import { interopTable } from "./table.ts";

interopTable({ name: "pyzmq", start: pyzmqPeer, needs: requires("python3-zmq") });
