import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ImageProgram } from "./config.ts";

/** Images that come with Portolan, for examples and first steps. */
export function bundledImages(): Readonly<Record<string, ImageProgram>> {
  return {
    "portolan.dev/whoami": {
      command: [process.execPath, join(packageRoot(), "examples", "whoami.mjs")],
    },
  };
}

/** The manifests with one Service of each type. */
export function fiveServicesFile(): string {
  return join(packageRoot(), "examples", "five-services.yaml");
}

/** The folder of package.json: this file runs from `dist/` and, in tests, from `src/`. */
export function packageRoot(): string {
  let dir = import.meta.dirname;
  while (!existsSync(join(dir, "package.json"))) {
    const parent = dirname(dir);
    if (parent === dir) throw new Error(`no package.json above ${import.meta.dirname}`);
    dir = parent;
  }
  return dir;
}
