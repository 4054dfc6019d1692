import type { Http2ServerResponse } from "node:http2";
import type { ChunkSource } from "./exchange.ts";

/**
 * Runs what is due in the next turn of the event loop, each once however often it was asked for: commits that
 * share a flush go out together, and whoever wrote them is not kept waiting until thousands have been told.
 */
export class NextTurn {
  #due = new Set<() => void>();

  add(call: () => void): void {
    if (this.#due.size === 0) {
      setImmediate(() => {
        const due = this.#due;
        this.#due = new Set();
        for (const each of due) each();
      });
    }
    this.#due.add(call);
  }
}

/**
 * Writes what a source gives as it comes, and asks it for nothing while the client has not taken what was written.
 * Resolves at the source's end, which comes too when the caller is gone; closes the source.
 */
export async function pushed(
  source: ChunkSource,
  outgoing: Pick<Http2ServerResponse, "write" | "once" | "off">,
  caller: { readonly isGone: boolean },
  nextTurn: NextTurn,
): Promise<void> {
  let isFull = false;
  let push = (): void => {};
  const drained = () => {
    isFull = false;
    push();
  };
  try {
    await new Promise<void>((resolve, reject) => {
      push = () => {
        try {
          while (!isFull || caller.isGone) {
            const chunk = source.next();
            if (chunk === "wait") return;
            if (chunk === "end") {
              resolve();
              return;
            }
            isFull = !outgoing.write(chunk);
            if (isFull) outgoing.once("drain", drained);
          }
        } catch (error) {
          reject(error);
        }
      };
      source.onReady(() => nextTurn.add(push));
      push();
    });
  } finally {
    outgoing.off("drain", drained);
    source.close();
  }
}
