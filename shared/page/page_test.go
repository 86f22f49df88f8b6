package page

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

// maxPage is the most bytes that all files of the page may have together, compressed.
const maxPage = 200_000

// TestTheWholePageIsSmall checks the size of all files together, compressed.
func TestTheWholePageIsSmall(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer
	z := gzip.NewWriter(&all)
	eachFile(t, func(_ string, b []byte) {
		if _, err := z.Write(b); err != nil {
			t.Fatal(err)
		}
	})
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if all.Len() > maxPage {
		t.Errorf("the page has %d bytes compressed, want at most %d", all.Len(), maxPage)
	}
	t.Logf("%d bytes compressed", all.Len())
}

// fromElsewhere finds what would be loaded from another origin.
var fromElsewhere = regexp.MustCompile(`(?:src|href)="(?:https?:)?//|from "https?://|url\(["']?(?:https?:)?//|import\("https?://`)

// TestNothingIsLoadedFromElsewhere looks for addresses of other origins, and for what
// makes HTML of text.
func TestNothingIsLoadedFromElsewhere(t *testing.T) {
	t.Parallel()
	html := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`)
	eachFile(t, func(name string, b []byte) {
		if found := fromElsewhere.Find(b); found != nil {
			t.Errorf("%s loads from another origin: %s", name, found)
		}
		if found := html.Find(b); found != nil {
			t.Errorf("%s has %s", name, found)
		}
	})
}

// TestEachPauseHasWords checks that the page explains each reason of a pause that the API
// may answer, and no other.
func TestEachPauseHasWords(t *testing.T) {
	t.Parallel()
	b, err := files.ReadFile("files/common/words.js")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?s)export const paused = \{\n(.*?)\n\};`).FindSubmatch(b)
	if block == nil {
		t.Fatal("words.js has no words for pauses")
	}
	var explained []string
	for _, key := range regexp.MustCompile(`(?m)^  ([a-z_]+): \[`).FindAllSubmatch(block[1], -1) {
		explained = append(explained, string(key[1]))
	}

	reason, _ := reflect.TypeFor[push.Pause]().FieldByName("Reason")
	want := strings.Split(reason.Tag.Get("enum"), ",")
	if diff := cmp.Diff(want, explained); diff != "" {
		t.Errorf("the page explains other reasons than the API has (-API +page):\n%s", diff)
	}
}

func eachFile(t *testing.T, do func(name string, b []byte)) {
	t.Helper()
	n := 0
	err := fs.WalkDir(files, "files", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		do(path, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 10 {
		t.Fatalf("the page has %d files, want at least 10", n)
	}
}

// TestTypes checks that browsers take the files for what they are.
func TestTypes(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"/": "text/html; charset=utf-8", "/main.js": "text/javascript; charset=utf-8", "/base.css": "text/css; charset=utf-8", "/common/base.css": "text/css; charset=utf-8", "/common/dom.js": "text/javascript; charset=utf-8", "/icon.svg": "image/svg+xml"} {
		t.Run(path, func(t *testing.T) {
			w := httptest.NewRecorder()
			Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || got != want {
				t.Errorf("%s is answered %d as %q, want %q", path, w.Code, got, want)
			}
		})
	}
}
