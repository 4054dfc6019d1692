import { constants } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import type { Container } from "../api/v1/container.ts";
import { tailOffset } from "./container-log.ts";
import { codeOf } from "./proc.ts";

/** Tells a program which file to leave its last words in: it has no file of its own at `terminationMessagePath`. */
const VARIABLE = "PORTOLAN_TERMINATION_LOG";

/** As kubelet bounds them (`MaxContainerTerminationMessageLength`, `...LogLength`, `...LogLines`). */
const MAX_BYTES = 4096;
const MAX_LOG_BYTES = 2048;
const MAX_LOG_LINES = 80;

/** A program may have put something else in the file's place: nobody waits for the other end of a pipe. */
const READ_ONLY = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/** Makes the file. @returns the variable that names it to the program. */
export async function prepareMessage(file: string): Promise<Readonly<Record<string, string>>> {
  await writeFile(file, "", { mode: 0o600 });
  return { [VARIABLE]: file };
}

/**
 * A container's last words: what is in its file, or the end of its log where the container says so and failed
 * (kubelet `getTerminationMessage`). Empty when there are none.
 */
export async function terminationMessage(
  { terminationMessagePolicy }: Container,
  files: { readonly message: string; readonly log: string },
  exitCode: number,
): Promise<string> {
  const message = await firstBytes(files.message, MAX_BYTES);
  const takesLog = terminationMessagePolicy === "FallbackToLogsOnError" && exitCode !== 0;
  return message !== "" || !takesLog ? message : lastLines(files.log);
}

async function firstBytes(file: string, most: number): Promise<string> {
  return (await readAt(file, () => Promise.resolve(0), most)).toString("utf8");
}

async function lastLines(file: string): Promise<string> {
  const begin = async (size: number): Promise<number> => {
    const { offset } = await tailOffset(file, size, MAX_LOG_LINES);
    return Math.max(offset, size - MAX_LOG_BYTES);
  };
  return (await readAt(file, begin, MAX_LOG_BYTES)).toString("utf8");
}

const ABSENT: ReadonlySet<string> = new Set(["ENOENT", "EACCES", "ELOOP", "ENXIO"]);

async function readAt(
  file: string,
  begin: (size: number) => Promise<number>,
  most: number,
): Promise<Buffer> {
  let handle;
  try {
    handle = await open(file, READ_ONLY);
  } catch (error) {
    // An earlier version of the agent made none, or the program took it away.
    if (ABSENT.has(codeOf(error) ?? "")) return Buffer.alloc(0);
    throw error;
  }
  try {
    const about = await handle.stat();
    if (!about.isFile()) return Buffer.alloc(0);
    const { size } = about;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(most), 0, most, await begin(size));
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
