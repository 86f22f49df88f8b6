// run.mjs runs this program while the emulators run: emulators:exec has set
// FIRESTORE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST and FIREBASE_AUTH_EMULATOR_HOST.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Report } from "./report.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = process.env.CARILLON_ROOT;

// env has the environment of the repository's programs. Without the variables of the
// project each program uses its own project. The Auth emulator is for one test. The other
// tests verify signatures, and the SDK would not do so if its own variable were set.
const env = { ...process.env, GOOGLE_AUTH_EMULATOR_HOST: process.env.FIREBASE_AUTH_EMULATOR_HOST };
for (const name of ["FIREBASE_AUTH_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"]) delete env[name];

// run starts a program and returns whether it exited with 0. If lines is given, it gets
// each line of the standard output.
function run(command, args, { lines, cwd = root, with: vars = env } = {}) {
  const child = spawn(command, args, { cwd, env: vars, stdio: ["ignore", lines ? "pipe" : "inherit", "inherit"] });
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    const all = (rest + text).split("\n");
    rest = all.pop();
    all.forEach(lines);
  });
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("close", (code) => done(code === 0));
  });
}

// step prints what begins, and afterwards whether it passed and how long it took.
async function step(what, work) {
  const began = Date.now();
  console.log(`\n-- ${what}`);
  const good = await work();
  console.log(`-- ${what}: ${good ? "passed" : "FAILED"} after ${Math.round((Date.now() - began) / 1000)} s`);
  return good;
}

async function goTests(args) {
  const report = new Report();
  const good = await run("go", ["test", "-json", "-timeout", "20m", ...(args.length > 0 ? args : ["./..."])], { lines: (l) => report.line(l) });
  return report.end() && good;
}

const commands = {
  async test(args) {
    const good = [
      await step("rules: clients read and write nothing", () => run(process.execPath, ["--test", join(here, "rules.test.mjs")], { with: process.env })),
      await step("demo", commands.demo),
      await step("go test " + (args.join(" ") || "./..."), () => goTests(args)),
    ];
    return good.every(Boolean);
  },
  demo: () => run("go", ["run", "./emulators", "demo"]),
  chaos: (args) => run("go", ["run", "./emulators", "load", "-chaos", "1", "-minutes", "2", ...args]),
  laptop: (args) => run("go", ["run", "./emulators", ...args], { with: process.env }),
};

const [name, ...args] = process.argv.slice(2);
if (!Object.hasOwn(commands, name)) {
  console.error(`unknown command ${name}: use one of ${Object.keys(commands).join(", ")}`);
  process.exit(2);
}
process.exit((await commands[name](args)) ? 0 : 1);
