import { readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { codeOf } from "../agent/proc.ts";
import type { CorefileContext, ImportedFile } from "../core/dns/corefile/statements.ts";

/** Files that one Corefile may bring in, and bytes of each: more is a pattern that caught too much. */
const MAX_FILES = 1000;
const MAX_BYTES = 1024 * 1024;

/** The files that a Corefile imports, and what was read of them. */
export interface CorefileFiles {
  readonly files: NonNullable<CorefileContext["files"]>;
  /** All that was read so far, to see whether it changed. */
  texts(): string;
}

/**
 * Reads the files of `import` in a Corefile. They are few and small, and what is in one says whether another
 * is read, so they are read where they stand, before or between answers.
 * @param corefile its path; patterns that are no whole path are below its folder.
 */
export function corefileFiles(corefile: string): CorefileFiles {
  const read: ImportedFile[] = [];
  return {
    files: (pattern, from) => {
      const folder = dirname(resolve(from ?? corefile));
      const whole = isAbsolute(pattern) ? pattern : join(folder, pattern);
      const found = pathsOf(whole).map((path): ImportedFile => {
        if (read.length >= MAX_FILES) throw new Error(`more than ${String(MAX_FILES)} files`);
        if (statSync(path).size > MAX_BYTES) throw new Error(`${path} has more than 1 MiB`);
        const file = { path, text: readFileSync(path, "utf8") };
        read.push(file);
        return file;
      });
      return found;
    },
    texts: () => read.map(({ path, text }) => `\n# ${path}\n${text}`).join(""),
  };
}

/** The files that a pattern with `*`, `?` and `[...]` stands for, sorted. */
function pathsOf(pattern: string): readonly string[] {
  const [, ...segments] = pattern.split("/");
  let folders = ["/"];
  for (const [i, segment] of segments.entries()) {
    const isLast = i === segments.length - 1;
    folders = folders.flatMap((folder) =>
      namesIn(folder, segment).filter((path) => isLast === isFile(path)),
    );
  }
  return folders.toSorted();
}

function namesIn(folder: string, segment: string): readonly string[] {
  if (!/[*?[]/.test(segment)) return [join(folder, segment)];
  const matches = segmentPattern(segment);
  try {
    return readdirSync(folder)
      .filter((name) => matches.test(name))
      .map((name) => join(folder, name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** As Go's `filepath.Match`: `*` and `?` stand for anything but `/`, which no name has. */
function segmentPattern(segment: string): RegExp {
  const source = segment.replaceAll(/\[([^\]]+)\]|[\\^$.*+?()[\]{}|]/g, (found, set?: string) => {
    if (set !== undefined) return `[${set.replaceAll("\\", "\\\\")}]`;
    return found === "*" ? ".*" : found === "?" ? "." : `\\${found}`;
  });
  return new RegExp(`^${source}$`, "s");
}

/** A path that is not there is neither: of a pattern it is left out. */
function isFile(path: string): boolean | undefined {
  try {
    return statSync(path).isFile();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENOTDIR";
}
