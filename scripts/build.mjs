// Bundles the program and the library into dist/: one file loads faster than some hundred.
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const { metafile } = await build({
  entryPoints: {
    portolan: "src/cli/main.ts",
    index: "src/programs/start-cluster.ts",
    "udp-worker": "src/dns/udp-worker.ts",
  },
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
  metafile: true,
});

// Older files go last, so that a program that runs from dist/ meanwhile always finds its parts.
for (const name of readdirSync("dist")) {
  // dist/types is made by build:types.
  if (name !== "types" && !(`dist/${name}` in metafile.outputs))
    rmSync(`dist/${name}`, { recursive: true });
}
