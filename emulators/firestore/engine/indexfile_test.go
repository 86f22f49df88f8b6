package engine

import (
	"strings"
	"testing"
)

// TestOldFormsOfTheIndexFile checks that all forms that `firebase init` has written
// declare the same index.
func TestOldFormsOfTheIndexFile(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"today's": `{"indexes":[{"collectionGroup":"c","queryScope":"COLLECTION","fields":[{"fieldPath":"foo","order":"ASCENDING"},{"fieldPath":"bar","order":"DESCENDING"}]}]}`,
		"mode":    `{"indexes":[{"collectionId":"c","fields":[{"fieldPath":"foo","mode":"ASCENDING"},{"fieldPath":"bar","mode":"DESCENDING"}]}]}`,
		"comments": "\ufeff{\n // Example, of \"firebase init\": {\n \"indexes\": [ /* one * / of them */ {\"collectionGroup\": \"c\", \"fields\": [ // two\n" +
			"{\"fieldPath\":\"foo\",\"order\":\"ASCENDING\"},{\"fieldPath\":\"bar\",\"order\":\"DESCENDING\"}]}], \"fieldOverrides\": []\n}\n// the end",
	} {
		t.Run(name, func(t *testing.T) {
			ix, err := ParseIndexes("shop.json", []byte(file))
			if err != nil {
				t.Fatal(err)
			}
			if len(ix.Composite) != 1 {
				t.Fatalf("%d indexes, want 1", len(ix.Composite))
			}
			c := ix.Composite[0]
			if c.Group != "c" {
				t.Errorf("collection group is %q, want c", c.Group)
			}
			if c.Scope != inCollection {
				t.Errorf("scope is %q, want %q", c.Scope, inCollection)
			}
			if got := c.Fields[0].Order; got != ascending {
				t.Errorf("the first order is %q, want %q", got, ascending)
			}
			if got := c.Fields[1].Order; got != descending {
				t.Errorf("the second order is %q, want %q", got, descending)
			}
		})
	}
	ix, err := ParseIndexes("shop.json", []byte(`{"indexes":[{"collectionGroup":"c","fields":[{"fieldPath":"tags","mode":"ARRAY_CONTAINS"},{"fieldPath":"a","order":"ASCENDING"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if f := ix.Composite[0].Fields[0]; f.Array != elements {
		t.Errorf("arrayConfig for the mode ARRAY_CONTAINS is %q, want %q", f.Array, elements)
	} else if f.Order != "" {
		t.Errorf("order for the mode ARRAY_CONTAINS is %q, want none", f.Order)
	}
}

// TestAnIndexFileWithoutIndexes checks the file that `firebase init` writes, which has only
// comments.
func TestAnIndexFileWithoutIndexes(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"{\n // Example\n \"indexes\": [],\n \"fieldOverrides\": []\n}", `{}`, `{"indexes":[]} /* no end`} {
		if ix, err := ParseIndexes("shop.json", []byte(file)); err != nil {
			t.Errorf("%s: %v", file, err)
		} else if len(ix.Composite) != 0 {
			t.Errorf("%s: composite indexes are %+v, want none", file, ix.Composite)
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
		_, err := ParseIndexes("shop.json", []byte(file))
		if err == nil {
			t.Errorf("%s: no error", file)
			continue
		}
		for _, want := range append(wants, "read shop.json: ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", file, err, want)
			}
		}
	}
}

// A path or a name may look like a comment.
func TestCommentsInStringsStay(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"a":"http://x/*y*/"}`, `{"a\"//":"b"}`, `"\\"`, `"`, `"\`, `/`, ``} {
		if got := string(withoutComments([]byte(text))); got != text {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}
