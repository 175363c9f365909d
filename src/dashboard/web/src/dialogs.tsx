/** ● What asks once more before something is done to many or for good, what was done then, and the offer to undo it. */
import { useEffect, useRef, useState } from "preact/hooks";

interface Question {
  /** "Remove 3 dead tasks of emails?" */
  readonly title: string;
  /** What follows from it, and whether it can be undone. */
  readonly text: string;
  /** The button that does it: "Remove 3 tasks". */
  readonly verb: string;
  /** The button that does not. */
  readonly keep: string;
}

interface Asked extends Question {
  readonly answer: (yes: boolean) => void;
}

export interface Notice {
  /** "3 dead tasks of emails were removed." */
  readonly text: string;
  readonly forMs: number;
  /** Resolves to what it says then; without it there is nothing to undo. */
  undo?(): Promise<string>;
}

let show: { ask: (asked: Asked) => void; notice: (notice: Notice) => void } | undefined;

/** Asks once more. Resolves to false when it is closed in any other way than by the button that does it. */
export function confirmed(question: Question): Promise<boolean> {
  return new Promise((answer) => (show ? show.ask({ ...question, answer }) : answer(false)));
}

/** Says what was done, wherever one is on the page. */
export function notify(notice: Notice): void {
  show?.notice(notice);
}

export function Dialogs() {
  const [asked, setAsked] = useState<Asked>();
  const [told, setTold] = useState<{ notice: Notice; untilMs: number }>();
  useEffect(() => {
    show = { ask: setAsked, notice: (notice) => setTold({ notice, untilMs: performance.now() + notice.forMs }) };
    return () => (show = undefined);
  }, []);
  return (
    <>
      {asked ? <Confirmation asked={asked} close={() => setAsked(undefined)} /> : null}
      <div class="toasts" role="status">
        {told ? <Toast key={told.untilMs} {...told} close={() => setTold(undefined)} /> : null}
      </div>
    </>
  );
}

function Confirmation({ asked, close }: { asked: Asked; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current!.showModal(), []);
  const end = (yes: boolean): void => {
    asked.answer(yes);
    close();
  };
  return (
    <dialog ref={dialog} aria-labelledby="question" onCancel={() => end(false)}>
      <h2 id="question">{asked.title}</h2>
      <p>{asked.text}</p>
      <div class="buttons">
        <button type="button" onClick={() => end(false)}>
          {asked.keep}
        </button>
        <button type="button" class="danger" onClick={() => end(true)}>
          {asked.verb}
        </button>
      </div>
    </dialog>
  );
}

function Toast({ notice, untilMs, close }: { notice: Notice; untilMs: number; close: () => void }) {
  const [leftMs, setLeftMs] = useState(untilMs - performance.now());
  const [said, setSaid] = useState<string>();
  useEffect(() => {
    const timer = setInterval(() => setLeftMs(untilMs - performance.now()), 250);
    return () => clearInterval(timer);
  }, []);
  // What was said after an undo stays as long as the offer would have.
  useEffect(() => {
    if (leftMs <= 0) close();
  }, [leftMs <= 0]);
  const undo = (): void => {
    notice.undo?.().then(setSaid, (error: unknown) => setSaid(error instanceof Error ? error.message : String(error)));
  };
  return (
    <div class="toast">
      <span>{said ?? notice.text}</span>
      {notice.undo && said === undefined ? (
        <>
          <button type="button" onClick={undo}>
            Undo
          </button>
          <small aria-hidden="true">{Math.max(0, Math.ceil(leftMs / 1000))} s</small>
        </>
      ) : null}
    </div>
  );
}
