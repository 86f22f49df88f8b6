package personal

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
)

// TestCacheCompilesEachContentOnce checks that a content is compiled once, even by many
// requests at the same time, that faults are cached, too, and that the cache stays small.
func TestCacheCompilesEachContentOnce(t *testing.T) {
	t.Parallel()
	var c Cache
	message := json.RawMessage(`{"notification":{"title":"+{{ values.points }}"}}`)
	var mu sync.Mutex
	seen := map[*Template]bool{}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			x, faults := c.CompileMessage(message, "https://shop.example/{{ values.points }}")
			if err := faults.Err(); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[x] = true
		})
	}
	all.Wait()
	if len(seen) != 1 {
		t.Errorf("one content was compiled %d times, want once", len(seen))
	}

	if x, _ := c.CompileMessage(message, ""); seen[x] {
		t.Error("another link has the same template")
	}
	for range 2 {
		if _, faults := c.CompileMessage(json.RawMessage(`{"data":{"a":"{{ foo }}"}}`), ""); len(faults) != 1 {
			t.Errorf("%d faults, want 1", len(faults))
		}
	}
	for i := range 3 * maxCached {
		if _, faults := c.CompileMessage(message, fmt.Sprint("https://shop.example/", i)); len(faults) > 0 {
			t.Error(faults)
		}
	}
	if len(c.compiled) > maxCached {
		t.Errorf("%d contents are kept, want at most %d", len(c.compiled), maxCached)
	}
}

// TestRenderMessage checks that values are rendered like the customer's attributes, and that
// a missing value is rendered as nothing.
func TestRenderMessage(t *testing.T) {
	t.Parallel()
	x, faults := CompileMessage(json.RawMessage(`{"notification":{"title":"{{ customer.name }} +{{ values.points }}","body":"{{ values.none | default: 'x' }}{{ values['odd name'] }}"}}`), "")
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	got, _, err := x.RenderMessage("c1", map[string]any{"name": "Anna"}, map[string]any{"points": 50.0, "odd name": true, "unused": 1.0})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"notification":{"title":"Anna +50","body":"xtrue"}}`; string(got) != want {
		t.Errorf("rendered %s, want %s", got, want)
	}
	if names := fmt.Sprint(x.Values()); names != "[none odd name points]" {
		t.Errorf("the template uses the values %s, want [none odd name points]", names)
	}
}
