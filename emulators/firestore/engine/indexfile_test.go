package engine

import (
	"strings"
	"testing"
)

// TestOldFormsOfTheIndexFile: what `firebase init` has written over the years
// declares the same index.
func TestOldFormsOfTheIndexFile(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"today's": `{"indexes":[{"collectionGroup":"c","queryScope":"COLLECTION","fields":[{"fieldPath":"foo","order":"ASCENDING"},{"fieldPath":"bar","order":"DESCENDING"}]}]}`,
		"mode":    `{"indexes":[{"collectionId":"c","fields":[{"fieldPath":"foo","mode":"ASCENDING"},{"fieldPath":"bar","mode":"DESCENDING"}]}]}`,
		"comments": "\ufeff{\n // Example, of \"firebase init\": {\n \"indexes\": [ /* one * / of them */ {\"collectionGroup\": \"c\", \"fields\": [ // two\n" +
			"{\"fieldPath\":\"foo\",\"order\":\"ASCENDING\"},{\"fieldPath\":\"bar\",\"order\":\"DESCENDING\"}]}], \"fieldOverrides\": []\n}\n// the end",
	} {
		t.Run(name, func(t *testing.T) {
			ix, err := ParseIndexes([]byte(file))
			if err != nil {
				t.Fatal(err)
			}
			if len(ix.Composite) != 1 {
				t.Fatalf("%d indexes, want 1", len(ix.Composite))
			}
			c := ix.Composite[0]
			if c.Group != "c" || c.Scope != inCollection {
				t.Errorf("collection group %q, scope %q; want c, %s", c.Group, c.Scope, inCollection)
			}
			if c.Fields[0].Order != ascending || c.Fields[1].Order != descending {
				t.Errorf("orders %q and %q, want %s and %s", c.Fields[0].Order, c.Fields[1].Order, ascending, descending)
			}
		})
	}
	ix, err := ParseIndexes([]byte(`{"indexes":[{"collectionGroup":"c","fields":[{"fieldPath":"tags","mode":"ARRAY_CONTAINS"},{"fieldPath":"a","order":"ASCENDING"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if f := ix.Composite[0].Fields[0]; f.Array != elements || f.Order != "" {
		t.Errorf("the mode ARRAY_CONTAINS is %+v, want arrayConfig %s", f, elements)
	}
}

// TestAnIndexFileWithoutIndexes: the file that `firebase init` writes has
// comments only.
func TestAnIndexFileWithoutIndexes(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"{\n // Example\n \"indexes\": [],\n \"fieldOverrides\": []\n}", `{}`, `{"indexes":[]} /* no end`} {
		if ix, err := ParseIndexes([]byte(file)); err != nil || len(ix.Composite) != 0 {
			t.Errorf("%s: %v, %+v", file, err, ix)
		}
	}
}

func TestFaultsOfTheIndexFileAreNamed(t *testing.T) {
	t.Parallel()
	for file, wants := range map[string][]string{
		`{"indexes":[{"collectionGrp":"c","fields":[{"fieldpath":"a","order":"ASCENDING"}]}],"overrides":[]}`: {
			`the file has the unknown key "overrides"`, `indexes[0] has the unknown key "collectionGrp"`,
			`indexes[0].fields[0] has the unknown key "fieldpath"`, "indexes[0] lacks collectionGroup or fields"},
		`{"indexes":[{"collectionGroup":"c","fields":[{"fieldPath":"a"}]}]}`:      {"indexes[0].fields[0] lacks order, arrayConfig or vectorConfig"},
		`{"fieldOverrides":[{"collectionGroup":"c","fieldPath":"a","index":[]}]}`: {`fieldOverrides[0] has the unknown key "index"`},
		`{"indexes": "none"}`:        {"cannot unmarshal string"},
		`{"indexes": [] // ] no end`: {"unexpected end of JSON input"},
	} {
		_, err := ParseIndexes([]byte(file))
		if err == nil {
			t.Errorf("%s: no error", file)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", file, err, want)
			}
		}
	}
}

// TestCommentsInStringsStay: a path or a name may look like a comment.
func TestCommentsInStringsStay(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"a":"http://x/*y*/"}`, `{"a\"//":"b"}`, `"\\"`, `"`, `"\`, `/`, ``} {
		if got := string(withoutComments([]byte(text))); got != text {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}
