import { execFile } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { mountPoints } from "../../agent/mount-points.ts";
import { codeOf } from "../../agent/proc.ts";
import { draftOf } from "./state.ts";

/** Beginning of the name of a lab's folder. */
export const LAB_PREFIX = "portolan-lab-";
/** Sockets of a lab that runs: its program's own, and the API's, which may stay a moment longer. */
const OWN_SOCKET = "up.sock";
const API_SOCKET = "api.sock";
/** A folder without any socket may be one that is just being made. */
const YOUNG_MS = 60_000;
const UNMOUNT_MS = 5_000;

/** Shows others that the lab of this folder is alive: what listens ends with this process, however that ends. */
export async function showAlive(dir: string): Promise<AsyncDisposable> {
  const server = createServer((socket) => socket.destroy());
  server.listen(join(dir, OWN_SOCKET));
  await once(server, "listening");
  server.unref();
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

/** Removes the folders of this user's labs that were killed before anybody noted where they are. */
export async function removeDeadLabs(parent: string, nowMs: number): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(LAB_PREFIX)) continue;
    const dir = join(parent, name);
    const stats = await stat(dir).catch(whenGone);
    if (stats === undefined || stats.uid !== process.getuid?.()) continue;
    const states = await Promise.all([OWN_SOCKET, API_SOCKET].map((file) => stateOf(dir, file)));
    const isYoung = nowMs - stats.mtimeMs < YOUNG_MS;
    if (states.includes("alive") || (isYoung && !states.includes("dead"))) continue;
    // The lab itself may be removing it at this moment.
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Removes a lab's folder from within the lab, with what is mounted in it, and the note of where it is: `lab up` may
 * have been killed. Not the note of another lab that has the name by now.
 */
export async function removeRemains(dir: string, stateFile: string): Promise<void> {
  const below = (await mountPoints()).filter((path) => path.startsWith(`${dir}/`));
  // Whoever still has something open there keeps it, and nobody else sees it. What stays mounted fails to be removed.
  if (below.length > 0)
    await promisify(execFile)("umount", ["-l", ...below], { timeout: UNMOUNT_MS }).catch(
      () => undefined,
    );
  await rm(dir, { recursive: true, force: true });
  // `lab up` may have been killed in the middle of writing it.
  await rm(draftOf(stateFile, dir), { force: true });
  const text = await readFile(stateFile, "utf8").catch(whenGone);
  if (text?.includes(JSON.stringify(dir)) === true) await rm(stateFile, { force: true });
}

/** Whether somebody listens there; "none": there is no such socket. */
function stateOf(dir: string, file: string): Promise<"alive" | "dead" | "none"> {
  return new Promise((resolve) => {
    const socket = connect(join(dir, file));
    socket.once("connect", () => {
      socket.destroy();
      resolve("alive");
    });
    socket.once("error", (error) => {
      const code = codeOf(error);
      resolve(code === "ECONNREFUSED" ? "dead" : code === "ENOENT" ? "none" : "alive");
    });
  });
}

function whenGone(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT") throw error;
  return undefined;
}
