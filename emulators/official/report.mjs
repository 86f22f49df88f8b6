// Reads what `go test -json` writes and tells it short: a line a package, the
// output of what failed, and each skipped test with its reason.

// LIMIT is how many tests may be skipped on Google's emulators: fewer than that.
const LIMIT = 15;

export class Report {
  #output = new Map(); // by package and test: what it has written
  #failed = [];
  #skipped = [];
  #passed = 0;

  // line takes one line of the stream.
  line(text) {
    let event;
    try {
      event = JSON.parse(text);
    } catch {
      if (text) console.log(text); // a build that fails speaks plainly
      return;
    }
    const name = (event.Package ?? event.ImportPath ?? "").replace("carillon.example/", "");
    const key = `${name} ${event.Test ?? ""}`;
    switch (event.Action) {
      case "output":
      case "build-output":
        this.#output.set(key, (this.#output.get(key) ?? "") + event.Output);
        break;
      case "build-fail":
        console.log(this.#output.get(key));
        break;
      case "pass":
      case "fail":
      case "skip":
        this.#end(event, name, key);
        break;
    }
  }

  #end(event, name, key) {
    const output = this.#output.get(key) ?? "";
    this.#output.delete(key);
    if (!event.Test) {
      if (event.Action !== "skip") console.log(`${event.Action === "pass" ? "ok  " : "FAIL"} ${name} ${event.Elapsed.toFixed(1)} s`);
      if (event.Action === "fail") console.log(output);
      return;
    }
    switch (event.Action) {
      case "fail":
        this.#failed.push(`${name}.${event.Test}`);
        console.log(output);
        break;
      case "skip":
        this.#skipped.push({ test: `${name}.${event.Test}`, why: reason(output) });
        break;
      default:
        this.#passed++;
    }
  }

  // end prints the sums, and answers whether nothing failed and few enough tests
  // were skipped.
  end() {
    console.log(`\n${this.#passed} tests and subtests passed, ${this.#failed.length} failed, ${this.#skipped.length} were skipped`);
    for (const { test, why } of this.#skipped) console.log(`SKIPPED ${test}\n        ${why}`);
    for (const test of this.#failed) console.log(`FAILED ${test}`);
    if (this.#skipped.length >= LIMIT) console.log(`fewer than ${LIMIT} may be skipped`);
    return this.#failed.length === 0 && this.#skipped.length < LIMIT;
  }
}

// reason is what a skipped test said: its last line that is not the testing
// package's.
function reason(output) {
  const said = output.split("\n").map((l) => l.trim()).filter((l) => l && !/^(===|---)/.test(l));
  return said.at(-1)?.replace(/^\S+_test\.go:\d+: |^\S+\.go:\d+: /, "") ?? "no reason given";
}
