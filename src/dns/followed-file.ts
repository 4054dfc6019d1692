import { readFile, stat } from "node:fs/promises";
import type { Logger } from "../telemetry/log.ts";

/** What a look at a file found. */
export type FileLook =
  | { readonly kind: "same" }
  /** It is another one than at the look before, or the first. */
  | { readonly kind: "text"; readonly text: string }
  /** `isNews`: it could be read at the look before, or this is the first. */
  | { readonly kind: "unreadable"; readonly error: unknown; readonly isNews: boolean };

/** Looks at a file as often as it is called, and reads it only when it is another one. One call after the other. */
export function lookAtFile(path: string): () => Promise<FileLook> {
  let version = "";
  return async () => {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const found = [mtimeMs, size, ino].join();
      if (found === version) return { kind: "same" };
      const text = await readFile(path, "utf8");
      version = found;
      return { kind: "text", text };
    } catch (error) {
      const isNews = version !== "missing";
      version = "missing";
      return { kind: "unreadable", error, isNews };
    }
  };
}

/**
 * Hands out a file's text, now and whenever it changed; it is looked at every `everyMs`, or never again when that
 * is 0. As long as it cannot be read, which the log says once, nothing is handed out. Disposing stops it.
 */
export async function followFile(
  log: Logger,
  path: string,
  everyMs: number,
  take: (text: string) => void,
): Promise<Disposable> {
  const look = lookAtFile(path);
  const read = async (): Promise<void> => {
    const found = await look();
    if (found.kind === "text") take(found.text);
    if (found.kind === "unreadable" && found.isNews)
      log.warn("dns file not readable", { path, error: found.error });
  };
  await read();
  const timer =
    everyMs > 0
      ? // It handles its failures itself.
        setInterval(() => void read(), everyMs)
      : undefined;
  timer?.unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
    },
  };
}
