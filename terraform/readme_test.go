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

var update = flag.Bool("update", false, "write the tables of README.md anew")

type variable struct{ Type, Default, Description string }

// variablesOf reads variables.tf, whose layout is terraform fmt's.
func variablesOf(t *testing.T) map[string]variable {
	t.Helper()
	out := map[string]variable{}
	for name, body := range blocks(read(t, "variables.tf"), "variable") {
		out[name] = variable{Type: attribute(body, "type"), Default: attribute(body, "default"), Description: unquote(attribute(body, "description"))}
	}
	return out
}

// blocks are the top-level blocks of a kind: name to body.
func blocks(text, kind string) map[string]string {
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`(?ms)^`+kind+` "([a-z_]+)" \{\n(.*?)^\}$`).FindAllStringSubmatch(text, -1) {
		out[m[1]] = m[2]
	}
	return out
}

// attribute is a block's own attribute; of a value over several lines the first.
func attribute(body, name string) string {
	m := regexp.MustCompile(`(?m)^  ` + name + ` += (.*)$`).FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return m[1]
}

func unquote(s string) string { return strings.ReplaceAll(strings.Trim(s, `"`), `\"`, `"`) }

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

// settingsTable are the attributes of var.functions with their defaults.
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

// TestTables: README's tables are those of the module. With -update they are
// written anew.
func TestTables(t *testing.T) {
	t.Parallel()
	was := read(t, "README.md")
	is := was
	for mark, table := range map[string]string{
		"variables": variablesTable(t), "settings": settingsTable(t), "outputs": outputsTable(t),
		"prices": pricesTable(), "costs": costsTable(), "messages": messagesTable(),
	} {
		from, to := "<!-- "+mark+" -->\n", "<!-- end of "+mark+" -->"
		before, rest, ok := strings.Cut(is, from)
		_, after, ok2 := strings.Cut(rest, to)
		if !ok || !ok2 {
			t.Fatalf("README.md has no place for %s", mark)
		}
		is = before + from + table + to + after
	}
	if is == was {
		return
	}
	if !*update {
		t.Fatal("README.md's tables are not those of the module: run go test ./terraform -run TestTables -update")
	}
	if err := os.WriteFile("README.md", []byte(is), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestVariablesAreDescribed: everything that can be set or read says what it is.
func TestVariablesAreDescribed(t *testing.T) {
	t.Parallel()
	for n, v := range variablesOf(t) {
		if v.Type == "" || !strings.HasSuffix(v.Description, ".") && !strings.HasSuffix(v.Description, ")") {
			t.Errorf("variable %s has no type or no description that is a sentence", n)
		}
	}
	for n, body := range blocks(read(t, "outputs.tf"), "output") {
		if !strings.HasSuffix(unquote(attribute(body, "description")), ".") {
			t.Errorf("output %s has no description that is a sentence", n)
		}
	}
}

// strict decodes as the API does: what it does not know it refuses.
func strict(t *testing.T, text string, into any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}

func checkDraft(t *testing.T, text string) {
	t.Helper()
	var d push.Draft
	strict(t, text, &d)
	if f := d.Check(time.Now()); len(f) > 0 {
		t.Errorf("%s: the API would refuse it: %v", text, f)
	}
}

// TestCommands: what README, outputs and the audit hand in is what the API takes.
func TestCommands(t *testing.T) {
	t.Parallel()
	checkDraft(t, read(t, "audit.json"))
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
				if r.Token == "" || !slices.Contains([]string{"android", "ios", "web"}, r.Platform) {
					t.Errorf("%s: no token, or no platform", m[2])
				}
			default:
				t.Errorf("%s posts to %s, which the API does not have", file, m[1])
			}
		}
		if file == "outputs.tf" && (mailings != 1 || tokens != 1) {
			t.Errorf("%s hands in %d mailings and %d tokens, want one each", file, mailings, tokens)
		}
	}
}

// TestPaths: every path that README, outputs and runbooks name is one that the
// functions serve.
func TestPaths(t *testing.T) {
	t.Parallel()
	code := glob(t, "../functions/mailings/*.go") + glob(t, "../functions/customers/*.go")
	served := found(`"(/v1/[^"]+)"`, code)
	named := found(`(/v1/[a-z{}/-]+)`, read(t, "outputs.tf")+read(t, "README.md")+read(t, "scheduler.tf")+glob(t, "../docs/runbooks/*.md"))
	if len(named) < 5 || len(served) < 5 {
		t.Errorf("found only %v, served are %v", named, served)
	}
	for _, p := range named {
		if !slices.ContainsFunc(served, func(route string) bool { return serves(route, p, code) }) {
			t.Errorf("no function serves %s", p)
		}
	}
}

// serves reports whether a route of the code is a path's. A route that ends in a
// slash goes on with a word that stands in the code, too.
func serves(route, path, code string) bool {
	pattern := regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(route, `[^/]+`)
	if !strings.HasSuffix(route, "/") {
		return regexp.MustCompile(`^` + pattern + `$`).MatchString(path)
	}
	last := path[strings.LastIndex(path, "/")+1:]
	return regexp.MustCompile(`^`+pattern+`[a-z]+$`).MatchString(path) && strings.Contains(code, `"`+last+`"`)
}

// TestRunbooks: one for every alert, no other, each short enough for the
// documentation of an alert (8,192 characters).
func TestRunbooks(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("../docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}
	monitoring, readme := read(t, "monitoring.tf"), read(t, "README.md")
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".md")
		text := read(t, "../docs/runbooks", f.Name())
		if len(text) > 8192 {
			t.Errorf("%s has %d bytes, too many for an alert", f.Name(), len(text))
		}
		for _, part := range []string{"# ", "**What it means.**", "**Look.**", "**Do.**"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no %s", f.Name(), part)
			}
		}
		if !strings.Contains(monitoring, "    "+name+" = {") && !strings.Contains(monitoring, "/"+name+".md") {
			t.Errorf("%s is the runbook of no alert", f.Name())
		}
		if !strings.Contains(readme, "docs/runbooks/"+f.Name()) {
			t.Errorf("README.md does not name %s", f.Name())
		}
	}
}
