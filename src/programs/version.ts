import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "./bundled.ts";

/** This program's version, as in its package.json. */
export function programVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
  if (typeof manifest === "object" && manifest !== null && "version" in manifest) {
    return String(manifest.version);
  }
  throw new Error("package.json has no version");
}
