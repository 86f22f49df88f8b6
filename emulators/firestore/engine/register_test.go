package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestARegisterFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	r, random := newRegister(), rand.New(rand.NewPCG(3, 4))
	want := map[string]*document{}
	for range 50_000 {
		path := fmt.Sprintf("c/%d", random.IntN(5000))
		if d := want[path]; d != nil && random.IntN(2) == 0 {
			r.remove(d)
			delete(want, path)
		} else if d == nil {
			want[path] = &document{path: path}
			r.put(want[path])
		}
	}
	for i := range 5000 {
		path := fmt.Sprintf("c/%d", i)
		if got := r.get(path); got != want[path] {
			t.Fatalf("%s: %v, want %v", path, got, want[path])
		}
	}
}
