/** ○ The tests of the `zeromq` package in which `holdfast/zmq` differs on purpose, by words of their titles, and why. */

interface Difference {
  readonly title: RegExp;
  readonly why: string;
}

const DIFFERENCES: readonly Difference[] = [
  {
    title: /(?<!child constructor )should throw if called as function/,
    why: "Classes here are the language's own, and so is what calling one without `new` says; the addon has a text of its own.",
  },
  {
    title: /throw error on concurrent (send|receive)/,
    why: "Calls wait for each other and are answered in order; there is no `Socket is busy`.",
  },
  {
    title: /not starve event loop/,
    why: "It counts how often a timer of 1 ms fires during 2,500 sends and as many receives, which take less than 3 ms here. The loop is kept for 10 ms at most: test/zmq/fairness.test.ts.",
  },
  {
    title: /and get int64 socket option/,
    why: "`maxMessageSize` is 64 MiB unless told otherwise, so that no peer may send a message without end; there it is -1.",
  },
  {
    title: /in thread with default context should be shared/,
    why: "All threads know the default context's inproc names; its options are each thread's own, as all of JavaScript's state is.",
  },
  {
    title: /stream socket type|tcp stream/,
    why: "There is no `Stream`: Node has sockets for peers that do not speak ZMTP.",
  },
  {
    title: /zmq exports should include/,
    why: "There is no `Stream`; `SocketType` and what is beyond the package are exported too.",
  },
];

/** Why a test is not to pass, if it is in the list. */
export function differenceOf(title: string): string | undefined {
  return DIFFERENCES.find((each) => each.title.test(title))?.why;
}
