import { constants } from "node:fs";
import { access, lstat, readlink, stat } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { codeOf } from "./proc.ts";

export type Program =
  /** `path` as the sandbox has it. */
  | { readonly kind: "found"; readonly path: string }
  | { readonly kind: "failed"; readonly message: string };

export interface ProgramPlace {
  /** The variable of its environment. */
  readonly path: string;
  /** Absolute. */
  readonly workingDir: string;
  /** @see Entry.root */
  readonly root: string;
}

/** As the kernel has it. */
const MAX_LINKS = 40;

/**
 * Looks where a program is before it is started: the messages of a failed start do not tell a missing program from
 * a missing directory. The messages are those of a container runtime, which are Go's (`os/exec.LookPath`).
 */
export async function findProgram(name: string, place: ProgramPlace): Promise<Program> {
  const { path, workingDir, root } = place;
  const failed = (message: string): Program => ({ kind: "failed", message });
  const quoted = JSON.stringify(name);
  const dir = await lookAt(root, workingDir);
  if (dir !== "directory")
    return failed(
      `chdir to cwd (${JSON.stringify(workingDir)}) failed: ` +
        (dir === "missing" ? "no such file or directory" : "not a directory"),
    );
  if (name.includes("/")) {
    const file = resolve(workingDir, name);
    switch (await lookAt(root, file)) {
      case "program":
        return { kind: "found", path: file };
      case "file":
        return failed(`exec: ${quoted}: permission denied`);
      case "directory":
        return failed(`exec: ${quoted}: is a directory`);
      case "missing":
        return failed(`exec: ${quoted}: stat ${name}: no such file or directory`);
    }
  }
  for (const each of path.split(delimiter)) {
    const file = join(each === "" ? workingDir : resolve(workingDir, each), name);
    if ((await lookAt(root, file)) === "program") return { kind: "found", path: file };
  }
  return failed(`exec: ${quoted}: executable file not found in $PATH (${path})`);
}

async function lookAt(
  root: string,
  path: string,
): Promise<"program" | "file" | "directory" | "missing"> {
  const at = root === "" ? path : await insideRoot(root, path);
  if (at === undefined) return "missing";
  const found = await stat(at).catch(noneThere);
  if (found === undefined) return "missing";
  if (found.isDirectory()) return "directory";
  if (!found.isFile()) return "file";
  const isProgram = await access(at, constants.X_OK).then(
    () => true,
    () => false,
  );
  return isProgram ? "program" : "file";
}

/**
 * The path by which this process reaches `path` of another root directory. Every link on the way is followed here,
 * as the kernel would take the absolute ones from this process's own root. Undefined when it leads nowhere.
 */
async function insideRoot(root: string, path: string): Promise<string | undefined> {
  let done = "/";
  const left = path.split("/").reverse();
  for (let links = 0; left.length > 0; ) {
    const name = left.pop() ?? "";
    if (name === "" || name === ".") continue;
    if (name === "..") {
      done = dirname(done);
      continue;
    }
    const here = join(done, name);
    const found = await lstat(root + here).catch(noneThere);
    if (found === undefined) return undefined;
    if (!found.isSymbolicLink()) {
      done = here;
      continue;
    }
    if (++links > MAX_LINKS) return undefined;
    const target = await readlink(root + here);
    if (target.startsWith("/")) done = "/";
    left.push(...target.split("/").reverse());
  }
  return root + done;
}

/** Not there, or not for this user to see: no program in either case. */
function noneThere(error: unknown): undefined {
  const code = codeOf(error);
  if (code === undefined || !["ENOENT", "ENOTDIR", "EACCES", "ELOOP", "ESRCH"].includes(code))
    throw error;
  return undefined;
}
