import { rename, writeFile } from "node:fs/promises";

/** Replaces a file: a crash leaves the old one or the new one, and who reads meanwhile finds one of them, never half. */
export async function writeWhole(path: string, text: string | Buffer, mode = 0o600): Promise<void> {
  await writeFile(`${path}.new`, text, { mode });
  await rename(`${path}.new`, path);
}
