/** `node --import redirect.ts PROGRAM`: whoever imports "zeromq" gets Holdfast's sockets. */
import { registerHooks } from "node:module";

const holdfast = new URL("../../../src/zmq/index.ts", import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) => next(specifier === "zeromq" ? holdfast : specifier, context),
});
