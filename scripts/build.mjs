// Bundles the program and the library into dist/: one file loads faster than some hundred.
import { rmSync } from "node:fs";
import { build } from "esbuild";

rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: { portolan: "src/cli/main.ts", index: "src/programs/start-cluster.ts" },
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  // lmdb brings a native library; the others are loaded only when they are needed.
  packages: "external",
  sourcemap: "linked",
  banner: { js: "// Portolan, Apache-2.0" },
  logLevel: "warning",
});
