package terraform_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
)

var update = flag.Bool("update", false, "update the tables of README.md")

type variable struct{ Type, Default, Description string }

// variablesOf reads variables.tf. It relies on the layout of terraform fmt.
func variablesOf(t *testing.T) map[string]variable {
	t.Helper()
	out := map[string]variable{}
	for name, body := range blocks(read(t, "variables.tf"), "variable") {
		out[name] = variable{Type: attribute(body, "type"), Default: attribute(body, "default"), Description: unquote(attribute(body, "description"))}
	}
	return out
}

// blocks returns the bodies of the top-level blocks of a kind, by name.
func blocks(text, kind string) map[string]string {
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`(?ms)^`+kind+` "([a-z_]+)" \{\n(.*?)^\}$`).FindAllStringSubmatch(text, -1) {
		out[m[1]] = m[2]
	}
	return out
}

// attribute returns the value of an attribute of a block, "" if it is missing. Of a value
// that has several lines it returns the first.
func attribute(body, name string) string {
	m := regexp.MustCompile(`(?m)^  ` + name + ` += (.*)$`).FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return m[1]
}

func unquote(s string) string { return strings.ReplaceAll(strings.Trim(s, `"`), `\"`, `"`) }

// names returns the names of the blocks of a kind in the order of the text.
func names[T any](m map[string]T, text, kind string) []string {
	var out []string
	for _, x := range regexp.MustCompile(`(?m)^`+kind+` "([a-z_]+)" \{`).FindAllStringSubmatch(text, -1) {
		if _, ok := m[x[1]]; ok {
			out = append(out, x[1])
		}
	}
	return out
}

func variablesTable(t *testing.T) string {
	vars := variablesOf(t)
	b := "| variable | type | default | what it is |\n|---|---|---|---|\n"
	for _, n := range names(vars, read(t, "variables.tf"), "variable") {
		v := vars[n]
		typ, def := strings.TrimSuffix(v.Type, "({"), "`"+v.Default+"`"
		if v.Default == "" {
			def = "required"
		}
		b += fmt.Sprintf("| `%s` | %s | %s | %s |\n", n, typ, def, v.Description)
	}
	return b
}

// settingsTable returns the table of the defaults in var.functions.
func settingsTable(t *testing.T) string {
	body := blocks(read(t, "variables.tf"), "variable")["functions"]
	attributes := []string{"cpu", "memory", "concurrency", "min_instances", "max_instances", "timeout_seconds", "ack_deadline_seconds", "max_delivery_attempts"}
	b := "| function | " + strings.Join(attributes, " | ") + " |\n|---|" + strings.Repeat("---|", len(attributes)) + "\n"
	for _, f := range append(functionNames[:4:4], append([]string{"deliver-small", "messages"}, functionNames[4:]...)...) {
		of := regexp.MustCompile(`(?s)    ` + f + ` = optional\(object\(\{(.*?)\}\), \{\}\)`).FindStringSubmatch(body)[1]
		b += "| " + f
		for _, a := range attributes {
			v := found(`\b`+a+`\s+= optional\([a-z]+, ([^)]+)\)`, of)
			b += " | " + strings.Trim(strings.Join(v, ""), `"`)
		}
		b += " |\n"
	}
	return b
}

func outputsTable(t *testing.T) string {
	text := read(t, "outputs.tf")
	outs := blocks(text, "output")
	b := "| output | what it is |\n|---|---|\n"
	for _, n := range names(outs, text, "output") {
		b += fmt.Sprintf("| `%s` | %s |\n", n, unquote(attribute(outs[n], "description")))
	}
	return b
}

// TestTables checks that the tables of README.md are those of the module. With -update it
// updates them.
func TestTables(t *testing.T) {
	t.Parallel()
	was := read(t, "README.md")

	is := was
	for mark, table := range map[string]string{
		"variables": variablesTable(t), "settings": settingsTable(t), "outputs": outputsTable(t),
		"prices": pricesTable(), "costs": costsTable(), "messages": messagesTable(),
	} {
		t.Run(mark, func(t *testing.T) {
			from, to := "<!-- "+mark+" -->\n", "<!-- end of "+mark+" -->"
			before, rest, ok := strings.Cut(is, from)
			_, after, ok2 := strings.Cut(rest, to)
			if !ok || !ok2 {
				t.Fatalf("README.md has no marks for the table %s", mark)
			}
			is = before + from + table + to + after
		})
	}

	if is == was {
		return
	}
	if !*update {
		t.Fatal("the tables of README.md are not those of the module: run go test ./terraform -run TestTables -update")
	}
	if err := os.WriteFile("README.md", []byte(is), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestVariablesAreDescribed checks that every variable and output has a description that
// is a sentence.
func TestVariablesAreDescribed(t *testing.T) {
	t.Parallel()
	for n, v := range variablesOf(t) {
		if v.Type == "" {
			t.Errorf("variable %s has no type", n)
		}
		if !strings.HasSuffix(v.Description, ".") && !strings.HasSuffix(v.Description, ")") {
			t.Errorf("variable %s has the description %q, want a sentence", n, v.Description)
		}
	}
	for n, body := range blocks(read(t, "outputs.tf"), "output") {
		if text := unquote(attribute(body, "description")); !strings.HasSuffix(text, ".") {
			t.Errorf("output %s has the description %q, want a sentence", n, text)
		}
	}
}

// strict decodes JSON as the API does: it refuses unknown fields.
func strict(t *testing.T, text string, into any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}

// checkDraft checks that the API accepts a text as a mailing.
func checkDraft(t *testing.T, text string) {
	t.Helper()
	var d push.Draft
	strict(t, text, &d)
	if f := d.Check(time.Now()); len(f) > 0 {
		t.Errorf("%s: the API would refuse it: %v", text, f)
	}
}

// TestCommands checks that the API accepts the bodies in README.md, in the outputs and in
// the token check.
func TestCommands(t *testing.T) {
	t.Parallel()
	checkDraft(t, read(t, "token_check.json"))
	for _, file := range []string{"outputs.tf", "README.md"} {
		mailings, tokens := 0, 0
		for _, m := range regexp.MustCompile(`(?s)curl -s -X POST (\S+).*?-d '(\{.*?\})'`).FindAllStringSubmatch(read(t, file), -1) {
			switch {
			case strings.HasSuffix(m[1], "/v1/mailings"):
				mailings++
				checkDraft(t, m[2])
			case strings.HasSuffix(m[1], "/v1/customers/anna/tokens"):
				tokens++
				var r struct{ Token, FID, Platform, App string }
				strict(t, m[2], &r)
				if r.Token == "" {
					t.Errorf("%s has no token", m[2])
				}
				if platforms := []string{"android", "ios", "web"}; !slices.Contains(platforms, r.Platform) {
					t.Errorf("%s has the platform %q, want one of %v", m[2], r.Platform, platforms)
				}
			default:
				t.Errorf("%s posts to %s, which the API does not have", file, m[1])
			}
		}
		if n := strings.Count(read(t, file), "-H 'Idempotency-Key: first-mailing'"); n != mailings {
			t.Errorf("%s sends an Idempotency-Key %d times, want %d: repeated, the command would create another mailing", file, n, mailings)
		}
		if file == "outputs.tf" && (mailings != 1 || tokens != 1) {
			t.Errorf("%s creates %d mailings and registers %d tokens, want one each", file, mailings, tokens)
		}
	}
}

// TestPaths checks that the functions serve every path that README.md, the outputs and the
// runbooks name.
func TestPaths(t *testing.T) {
	t.Parallel()
	code := glob(t, "../functions/mailings/*.go") + glob(t, "../functions/customers/*.go")
	served := found(`"(/v1/[^"]+)"`, code)
	named := found(`(/v1/[a-z{}/-]+)`, read(t, "outputs.tf")+read(t, "README.md")+read(t, "scheduler.tf")+glob(t, "../docs/runbooks/*.md"))
	if len(named) < 5 {
		t.Errorf("found the named paths %v, want at least 5", named)
	}
	if len(served) < 5 {
		t.Errorf("found the served paths %v, want at least 5", served)
	}
	for _, p := range named {
		if !slices.ContainsFunc(served, func(route string) bool { return serves(route, p, code) }) {
			t.Errorf("no function serves %s", p)
		}
	}
}

// serves reports whether a route of the code matches a path. After a route that ends in a
// slash, the path has one more word, which must be a string in the code.
func serves(route, path, code string) bool {
	pattern := regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(route, `[^/]+`)
	if !strings.HasSuffix(route, "/") {
		return regexp.MustCompile(`^` + pattern + `$`).MatchString(path)
	}
	last := path[strings.LastIndex(path, "/")+1:]
	return regexp.MustCompile(`^`+pattern+`[a-z]+$`).MatchString(path) && strings.Contains(code, `"`+last+`"`)
}

// TestRunbooks checks that every runbook belongs to an alert, has all its parts, is named
// in README.md, and is short enough for the documentation of an alert (8,192 characters).
func TestRunbooks(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("../docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}

	monitoring, readme := read(t, "monitoring.tf")+read(t, "slo.tf"), read(t, "README.md")
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".md")
		text := read(t, "../docs/runbooks", f.Name())
		if len(text) > 8192 {
			t.Errorf("%s has %d bytes, too many for an alert", f.Name(), len(text))
		}
		for _, part := range []string{"# ", "**What it means.**", "**Look.**", "**Do.**"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no part %q", f.Name(), part)
			}
		}
		if !strings.Contains(monitoring, "    "+name+" = {") && !strings.Contains(monitoring, "/"+name+".md") {
			t.Errorf("%s does not belong to an alert", f.Name())
		}
		if !strings.Contains(readme, "docs/runbooks/"+f.Name()) {
			t.Errorf("README.md does not name %s", f.Name())
		}
	}
}
