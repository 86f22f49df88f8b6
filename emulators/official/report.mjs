// Report summarizes the output of `go test -json`: one line for each package, the output of
// failed tests, and each skipped test with its reason.

// Fewer than LIMIT tests may be skipped on Google's emulators.
const LIMIT = 15;

export class Report {
  #output = new Map(); // output so far, by package and test
  #failed = [];
  #skipped = [];
  #passed = 0;

  // line handles one line of the stream.
  line(text) {
    let event;
    try {
      event = JSON.parse(text);
    } catch {
      if (text) console.log(text); // the output of a failed build is not JSON
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

  // end prints the summary. It returns whether no test failed and fewer than LIMIT were
  // skipped.
  end() {
    console.log(`\n${this.#passed} tests and subtests passed, ${this.#failed.length} failed, ${this.#skipped.length} were skipped`);
    for (const { test, why } of this.#skipped) console.log(`SKIPPED ${test}\n        ${why}`);
    for (const test of this.#failed) console.log(`FAILED ${test}`);
    if (this.#skipped.length >= LIMIT) console.log(`FAILED: fewer than ${LIMIT} tests may be skipped`);
    return this.#failed.length === 0 && this.#skipped.length < LIMIT;
  }
}

// reason returns the last line of output of a skipped test that is not from the testing
// package.
function reason(output) {
  const said = output.split("\n").map((l) => l.trim()).filter((l) => l && !/^(===|---)/.test(l));
  return said.at(-1)?.replace(/^\S+_test\.go:\d+: |^\S+\.go:\d+: /, "") ?? "no reason given";
}
