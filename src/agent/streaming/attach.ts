import type { Writable } from "node:stream";
import { abortable } from "../../async/deadline.ts";
import type { ContainerLog } from "../container-log.ts";
import type { ProcessExit } from "../process.ts";
import type { ClientStreams } from "./client-streams.ts";

export interface AttachSpec {
  readonly log: ContainerLog;
  /** Way into the container's stdin, for a client that wants it; ended with the client's. */
  readonly input: Writable | undefined;
  readonly now: () => number;
  /** Resolves with how the container's process has ended. */
  readonly exited: Promise<ProcessExit>;
  readonly hasEnded: () => boolean;
}

/**
 * Shows a client what a container writes from now on, until the container ends or the client goes; the container
 * itself does not notice. stdout and stderr are one file, so all of it goes to stdout.
 */
export async function runAttach(client: ClientStreams, spec: AttachSpec): Promise<void> {
  const { gone, stdout, stdin } = client;
  const { input } = spec;
  // A container that reads no more is no failure.
  input?.on("error", () => undefined);
  try {
    // First, as what the client sends may be answered at once.
    const after = await spec.log.end();
    if (input !== undefined) stdin?.pipe(input);
    if (stdout !== undefined) {
      const query = { follow: true, after };
      const lines = spec.log.read(query, spec.now, spec.hasEnded, gone);
      for await (const chunk of lines) await written(stdout, chunk);
    }
    const { exitCode } = await abortable(gone, spec.exited);
    await client.finish({ kind: "exited", exitCode });
  } catch (error) {
    // The client went away: nobody is left to be told.
    if (!gone.aborted) throw error;
  } finally {
    input?.destroy();
  }
}

function written(to: Writable, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    to.write(chunk, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
