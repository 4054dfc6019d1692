import { readFile } from "node:fs/promises";

/** Where something is mounted in this process's mount namespace. */
export async function mountPoints(): Promise<readonly string[]> {
  return parseMountPoints(await readFile("/proc/self/mountinfo", "utf8"));
}

/** @param text of `/proc/PID/mountinfo` (proc_pid_mountinfo(5)), whose fifth field is where it is mounted. */
export function parseMountPoints(text: string): readonly string[] {
  return text
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .map((path) =>
      // Spaces and the like are written in octal.
      path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    );
}
