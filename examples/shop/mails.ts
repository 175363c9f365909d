/** Mails that are tried again. A mail server that is away is no reason to lose one; an address that is none is no reason to try twice. */
import { access, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GiveUp, queue, worker, type Queue, type QueueClient, type Worker } from "holdfast/queue";

export interface Mail {
  readonly to: string;
  readonly subject: string;
}

export function mailsOf(client: QueueClient): Queue<Mail, string> {
  return queue<Mail, string>("mails", { client });
}

/** "Sends" into `folder`/outbox; the mail server is down while `folder`/mail-server-down is there. */
export function sendMails(mails: Queue<Mail, string>, folder: string): Worker<Mail, string> {
  return worker(
    mails,
    async ({ to, subject }, { id }) => {
      if (!to.includes("@")) throw new GiveUp(`'${to}' is no address`);
      if (await exists(join(folder, "mail-server-down"))) throw new Error("the mail server is down");
      const file = join(folder, "outbox", `${id}.eml`);
      await mkdir(join(folder, "outbox"), { recursive: true });
      await writeFile(file, `To: ${to}\nSubject: ${subject}\n`); // the task's id in its name: a second attempt writes the same file
      return file;
    },
    { concurrency: 10, backoff: ["100ms", "1s", "1m"], onError: () => {} },
  );
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
