import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing, run } from "../e2e/tools.ts";

/** The first build downloads modules and compiles them. */
const BUILD_TIMEOUT_MS = 600_000;

/** Why tests of Go programs are skipped; false: they run. */
export function goSkip(): string | false {
  return process.env["PORTOLAN_TEST_GO"] === "1"
    ? missing("go")
    : "builds a client of Go; set PORTOLAN_TEST_GO=1 to run it";
}

/** Builds the program in the folder of this name beside this file; disposal removes it. */
export async function builtGo(name: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const home = await mkdtemp(join(tmpdir(), "portolan-go-"));
  const close = () => rm(home, { recursive: true });
  const path = join(home, name);
  const folder = join(import.meta.dirname, name);
  const { code, stderr } = await run("go", ["build", "-C", folder, "-o", path, "."], {
    timeoutMs: BUILD_TIMEOUT_MS,
  });
  if (code === 0) return { path, [Symbol.asyncDispose]: close };
  await close();
  throw new Error(`go build of ${name}: ${stderr}`);
}
