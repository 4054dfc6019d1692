// Runs the demo and draws what a terminal then shows: docs/demo.svg. npm run picture
// What is drawn is this run's own output, after it has refreshed its table twice.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

const COMMANDS = ["npm ci", "npm start"];
const FILE = "docs/demo.svg";

/** Pixels. A character of a monospaced font is about 0.6 of its size wide; textLength makes it exactly so. */
const FONT = 14;
const CHARACTER = 8.4;
const LINE = 21;
const MARGIN = 20;
const TITLE_BAR = 36;

const COLORS = {
  background: "#0d1b2a",
  bar: "#1b2b3f",
  text: "#dbe4ee",
  faint: "#8496aa",
  prompt: "#7bd88f",
  heading: "#f2c14e",
  answer: "#7bd88f",
};

const { tables, footer } = await record();
const [heading = "", ...rows] = tables.at(-1) ?? [];
const lastColumn = heading.lastIndexOf("  ") + 2;

const lines = [
  ...COMMANDS.map((command) => [
    { text: "$ ", color: COLORS.prompt },
    { text: command, color: COLORS.text },
  ]),
  [{ text: heading, color: COLORS.heading }],
  ...rows.map((row) => [
    { text: row.slice(0, lastColumn), color: COLORS.text },
    { text: row.slice(lastColumn), color: COLORS.answer },
  ]),
  ...footer.map((line) => [{ text: line, color: COLORS.faint }]),
];
writeFileSync(FILE, svg(lines));
console.log([`${FILE} shows:`, heading, ...rows, ...footer].join("\n"));

/** The demo off a terminal prints a table, what to try, and the table again each time that it has changed. */
async function record() {
  const demo = spawn(process.execPath, ["dist/portolan.js", "demo"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => demo.once("close", resolve));
  const limit = setTimeout(() => demo.kill("SIGKILL"), 60_000);
  let output = "";
  demo.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  while (!output.includes("Ctrl-C") && demo.exitCode === null) await wait(50);
  await wait(5000);
  demo.kill("SIGINT");
  const code = await ended;
  clearTimeout(limit);
  if (code !== 0) throw new Error(`the demo ended with ${String(code)}`);
  const blocks = output
    .trimEnd()
    .split("\n\n")
    .map((block) => block.split("\n"));
  const isTable = ([first = ""]) => first.startsWith("SERVICE");
  const rest = blocks.filter((block) => !isTable(block)).flat();
  return { tables: blocks.filter(isTable), footer: ["", ...rest] };
}

function svg(content) {
  const columns = Math.max(
    ...content.map((parts) => parts.map(({ text }) => text).join("").length),
  );
  const width = Math.ceil(columns * CHARACTER + 2 * MARGIN);
  const height = TITLE_BAR + content.length * LINE + 2 * MARGIN - 6;
  const body = content.flatMap((parts, row) => {
    const y = TITLE_BAR + MARGIN + row * LINE + FONT - 2;
    let column = 0;
    return parts.flatMap(({ text, color }) => {
      const start = column;
      column += text.length;
      // Each cell at its own place: fonts differ in width, and viewers in what they do with many spaces.
      return [...text.matchAll(/\S+(?: \S+)*/g)].map(({ 0: cell, index }) => {
        const x = (MARGIN + (start + index) * CHARACTER).toFixed(1);
        const length = (cell.length * CHARACTER).toFixed(1);
        return `  <text x="${x}" y="${String(y)}" fill="${color}" textLength="${length}">${escaped(cell)}</text>`;
      });
    });
  });
  const label =
    "A terminal: npm ci, npm start, and a table of five Services with the Pods that answered";
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(height)}" viewBox="0 0 ${String(width)} ${String(height)}" role="img" aria-label="${label}">`,
    `  <rect width="${String(width)}" height="${String(height)}" rx="10" fill="${COLORS.background}"/>`,
    `  <path d="M0 ${String(TITLE_BAR)}V10A10 10 0 0 1 10 0H${String(width - 10)}A10 10 0 0 1 ${String(width)} 10V${String(TITLE_BAR)}Z" fill="${COLORS.bar}"/>`,
    ...["#ff6058", "#ffbd2e", "#28c940"].map(
      (fill, i) =>
        `  <circle cx="${String(20 + i * 20)}" cy="${String(TITLE_BAR / 2)}" r="6" fill="${fill}"/>`,
    ),
    `  <g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${String(FONT)}">`,
    `  <text x="${String(width / 2)}" y="${String(TITLE_BAR / 2 + 5)}" fill="${COLORS.faint}" text-anchor="middle">portolan</text>`,
    ...body,
    "  </g>",
    "</svg>",
  ].join("\n")}\n`;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
