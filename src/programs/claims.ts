import { connect, createServer } from "node:net";
import type { Server } from "node:net";

/** Who holds something that only one process may hold. */
export interface Holder {
  /** Undefined when only processes that it started live on. */
  readonly pid: number | undefined;
  readonly dataDir: string;
}

/** A name is held by another process, which says who it is (undefined when it does not answer). */
export interface Taken {
  readonly kind: "taken";
  readonly name: string;
  readonly holder: Holder | undefined;
}

export interface Claim extends AsyncDisposable {
  readonly kind: "claimed";
}

const HOLDER_TIMEOUT_MS = 500;
const MAX_HOLDER_BYTES = 8192;

/**
 * Holds all of these names until disposal, or none. A name is a socket in Linux's abstract namespace: taken
 * atomically, seen by every process of this network namespace, and free again the moment its process ends,
 * however it ends. Whoever connects is told the holder.
 */
export async function claim(names: readonly string[], holder: Holder): Promise<Claim | Taken> {
  const servers: Server[] = [];
  const release = async (): Promise<void> => {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  };
  for (const name of names) {
    const server = await listen(name, holder);
    if (server === undefined) {
      await release();
      return { kind: "taken", name, holder: await askHolder(name) };
    }
    servers.push(server);
  }
  return { kind: "claimed", [Symbol.asyncDispose]: release };
}

/** @returns undefined when the name is taken. */
function listen(name: string, holder: Holder): Promise<Server | undefined> {
  const server = createServer((socket) => {
    // A client that goes away while it is told is no concern of ours.
    socket.on("error", () => socket.destroy());
    socket.end(JSON.stringify(holder));
  });
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(new Error(`cannot claim ${name}`, { cause: error }));
    });
    server.listen({ path: pathOf(name) }, () => {
      resolve(server);
    });
  });
}

function askHolder(name: string): Promise<Holder | undefined> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ path: pathOf(name) });
    socket.setEncoding("utf8");
    socket.setTimeout(HOLDER_TIMEOUT_MS, () => socket.destroy());
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > MAX_HOLDER_BYTES) socket.destroy();
    });
    // "close" follows; whatever was read decides.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      resolve(parseHolder(text));
    });
  });
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    if (!("pid" in value) || !("dataDir" in value)) return undefined;
    return { pid: Number(value.pid), dataDir: String(value.dataDir) };
  } catch {
    // Something else listens there, or the holder went away.
    return undefined;
  }
}

/** A leading NUL makes the socket abstract: no file anywhere. */
function pathOf(name: string): string {
  return `\0portolan/${name}`;
}
